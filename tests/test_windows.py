"""HU to network input, against values worked out by hand."""

import numpy as np
import pytest
import torch

from molre.backbones import SliceInput
from molre.errors import ConfigError
from molre.windows import CT_RGB, IMAGENET_MEAN, IMAGENET_STD, MEDSIGLIP, Windows, to_images

PLAIN = Windows(name="plain", centre_width=((40.0, 80.0),), mean=(0.0,), std=(1.0,))


def slices(*values):
    """One volume of one slice of one row."""
    return torch.tensor(values, dtype=torch.int16).view(1, 1, 1, -1)


def test_a_window_clips_and_scales_from_its_lower_to_its_upper_edge():
    hu = slices(-1024, 0, 20, 40, 80, 3000)[..., None, :].reshape(1, 1, 1, 6).expand(1, 1, 6, 6)
    row = to_images(hu, PLAIN, 6)[0, 0, 0, 0]
    assert row.tolist() == [0.0, 0.0, 0.25, 0.5, 1.0, 1.0]


def test_ct_rgb_is_brain_subdural_bone_then_imagenet():
    hu = torch.full((1, 1, 4, 4), 60, dtype=torch.int16)
    # brain 0..80, subdural -32.5..182.5, bone -800..2000
    scaled = [60 / 80, 92.5 / 215, 860 / 2800]
    wanted = [(s - m) / d for s, m, d in zip(scaled, IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    assert to_images(hu, CT_RGB, 4)[0, 0, :, 0, 0].tolist() == pytest.approx(wanted, abs=1e-6)


def test_medsiglip_rounds_to_eight_bits_before_normalising():
    hu = torch.full((1, 1, 2, 2), 33, dtype=torch.int16)
    # R [-1024, 1024]: 1057/2048 * 255 = 131.6; G [-135, 215]: 168/350 * 255 = 122.4; B [0, 80]: 33/80 * 255 = 105.2
    wanted = [(level / 255 - 0.5) / 0.5 for level in (132, 122, 105)]
    assert to_images(hu, MEDSIGLIP, 2)[0, 0, :, 0, 0].tolist() == pytest.approx(wanted, abs=1e-6)


def test_the_type_of_the_voxels_does_not_matter():
    hu = torch.randint(-1024, 2000, (2, 3, 8, 8), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_images(hu, CT_RGB, 8), to_images(hu.double(), CT_RGB, 8))


def test_slices_of_the_right_size_are_not_resampled():
    hu = torch.randint(0, 80, (1, 2, 16, 16), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_images(hu, PLAIN, 16)[0, :, 0], hu[0] / 80)


def test_shrinking_keeps_what_a_thin_line_adds():
    hu = torch.zeros(1, 1, 64, 64, dtype=torch.int16)
    hu[..., 33, :] = 80  # one bright row that a plain bilinear resize to 16 rows would skip
    shrunk = to_images(hu, PLAIN, 16)
    assert shrunk.mean().item() == pytest.approx(1 / 64, rel=0.05)


def test_enlarging_keeps_a_flat_slice_flat():
    hu = torch.full((1, 1, 8, 8), 20, dtype=torch.int16)
    assert torch.allclose(to_images(hu, PLAIN, 24), torch.tensor(0.25))


def test_each_slice_is_prepared_by_itself():
    hu = torch.randint(-100, 200, (2, 3, 20, 20), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    whole = to_images(hu, CT_RGB, 16)
    assert torch.allclose(whole[1, 2], to_images(hu[1:, 2:], CT_RGB, 16)[0, 0], atol=1e-6)


def kernel(distance, interpolation, a):
    """Weight of a pixel at a distance in pixels: a triangle, or Keys's cubic."""
    d = np.abs(distance)
    if interpolation == "bilinear":
        return np.clip(1 - d, 0, None)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def line(source, target, interpolation, antialias):
    """Matrix from a line of pixels to one of another length over the same extent, centres at half pixels.

    Antialiased, the kernel is stretched by the ratio where it shrinks, cut at the rim and normalised, and a is -0.5 as
    in Pillow; otherwise pixels beyond the rim are the rim's, and a is -0.75 as in OpenCV.
    """
    ratio = source / target
    matrix = np.zeros((target, source))
    for row in range(target):
        centre = ratio * (row + 0.5)
        if antialias:
            stretch = max(ratio, 1)
            matrix[row] = kernel((np.arange(source) + 0.5 - centre) / stretch, interpolation, -0.5)
            matrix[row] /= matrix[row].sum()
        else:
            for pixel in range(int(np.floor(centre)) - 3, int(np.floor(centre)) + 4):
                matrix[row, np.clip(pixel, 0, source - 1)] += kernel(pixel + 0.5 - centre, interpolation, -0.75)
    return matrix


def by_definition(hu, windows, side, interpolation):
    """One slice: window, clip, quantise, resize rows and columns, normalise."""
    rows, columns = hu.shape
    antialias = rows > side or columns > side
    channels = []
    for (centre, width), mean, std in zip(windows.centre_width, windows.mean, windows.std, strict=True):
        lowest = np.float32(centre - width / 2)
        scaled = np.clip((hu.astype(np.float32) - lowest) / np.float32(width), 0, 1)
        if windows.quantise:
            scaled = np.round(scaled * 255).astype(np.uint8) / 255
        resized = scaled.astype(np.float64)
        if (rows, columns) != (side, side):
            down, across = (line(n, side, interpolation, antialias) for n in (rows, columns))
            resized = down @ resized @ across.T
        channels.append((resized - mean) / std)
    return np.stack(channels)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("windows", [CT_RGB, MEDSIGLIP], ids=lambda windows: windows.name)
@pytest.mark.parametrize(
    ("rows", "columns"), [(40, 40), (67, 51), (40, 20), (9, 30), (24, 24), (10, 17), (23, 24)], ids=str
)
def test_images_are_those_of_the_definition(interpolation, windows, rows, columns):
    """Shrinking by whole and broken ratios, along one axis only, not at all, and enlarging."""
    hu = np.random.default_rng(rows * columns).integers(-1100, 2500, (3, rows, columns))
    hu[1] = hu[1] % 200 - 60  # within the narrow windows
    hu[2] = hu[2] % 80
    told = to_images(torch.from_numpy(hu.astype(np.int16))[None], windows, 24, interpolation)[0]
    wanted = np.stack([by_definition(one, windows, 24, interpolation) for one in hu])
    np.testing.assert_allclose(told.numpy(), wanted, atol=2e-5)


def test_a_backbone_s_interpolation_is_the_one_that_is_used():
    hu = torch.randint(-100, 200, (2, 20, 20), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
    for interpolation in ("bilinear", "bicubic"):
        wish = SliceInput(image_px=16, patch_px=8, interpolation=interpolation)
        assert torch.equal(wish.of(hu, CT_RGB), to_images(hu[None], CT_RGB, 16, interpolation)[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"centre_width": ()},
        {"centre_width": ((40.0, 0.0),)},
        {"mean": (0.0, 0.0)},
        {"std": (0.0,)},
    ],
)
def test_windows_that_make_no_sense_are_refused(wrong):
    right = {"name": "x", "centre_width": ((40.0, 80.0),), "mean": (0.0,), "std": (1.0,)}
    with pytest.raises(ConfigError):
        Windows(**(right | wrong))

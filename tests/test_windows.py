"""HU to network input, against values worked out by hand."""

import pytest
import torch

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

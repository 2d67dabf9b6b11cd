"""Volumes on a 3D network's grid, against the definition written out in NumPy; and a 3D classifier as a whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from molre.adapters import AdapterConfig, attach, record_gates
from molre.backbones import VolumeInput, build
from molre.classifier import Classifier
from molre.errors import ConfigError
from molre.volume import GRIDS, Grid
from molre.windows import Windows, to_volumes

AIR = -1024.0
DENSENET = "monai-densenet-7m"
WINDOWS = Windows(
    name="two-and-range",
    centre_width=((40.0, 80.0), (600.0, 2800.0)),
    whole_range=True,
    mean=(0.1, 0.2, 0.0),
    std=(0.5, 1.0, 2.0),
)
HU = Windows(name="hu", centre_width=((0.0, 8192.0),), mean=(0.5,), std=(1 / 8192,))
"""A window that gives HU back."""


@pytest.fixture(autouse=True)
def one_thread():
    """Networks of this size lose more to handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_hu(shape, n=1, seed=0):
    return np.random.default_rng(seed).integers(-1024, 2000, (n, *shape), dtype=np.int16)


def resampled(hu, axis, step, count, wanted, points=1001):
    """Along one axis, and which of the new voxels lie in the field: means of the linear interpolation."""
    size = hu.shape[axis]
    source = step * (np.arange(size) - (size - 1) / 2)
    target = wanted * (np.arange(count) - (count - 1) / 2)
    width = np.sqrt(max(wanted**2 - step**2, 0))  # voxels are averages already: widths add as variances do
    at = target[:, None] + width * (((np.arange(points) + 0.5) / points - 0.5) if width else np.zeros(1))
    inside = np.abs(at) <= size * step / 2 + 1e-9

    def line(values):
        return (np.interp(at, source, values) * inside).sum(1) / np.maximum(inside.sum(1), 1)

    return np.apply_along_axis(line, axis, hu.astype(float)), inside.mean(1) > 0.5


def by_definition(hu, windows, spacing, shape, wanted, padding=AIR):
    inside = []
    for axis, each in enumerate(zip(spacing, shape, wanted, strict=True)):
        hu, covered = resampled(hu, axis + 1, each[0], each[1], each[2])
        inside.append(covered)
    z, y, x = inside[0][:, None, None], inside[1][:, None], inside[2]
    hu = np.where(z, np.where(y & x, hu, AIR), padding)
    channels = [np.clip((hu - (c - w / 2)) / w, 0, 1) for c, w in windows.centre_width]
    if windows.whole_range:
        low, high = (bound(hu, axis=(1, 2, 3), keepdims=True) for bound in (np.min, np.max))
        channels.append((hu - low) / (high - low))
    mean, std = (np.reshape(value, (1, -1, 1, 1, 1)) for value in (windows.mean, windows.std))
    return (np.stack(channels, 1) - mean) / std


@pytest.mark.parametrize(
    ("shape", "spacing", "wanted_shape", "wanted"),
    [
        ((6, 8, 10), (5.0, 2.0, 2.0), (6, 8, 10), (5.0, 2.0, 2.0)),  # the same grid
        ((6, 8, 10), (5.0, 2.0, 2.0), (16, 24, 20), (1.25, 0.7, 1.0)),  # finer, cut
        ((5, 8, 9), (5.0, 2.0, 2.0), (40, 30, 27), (1.25, 1.0, 1.0)),  # finer, padded on all sides
    ],
)
@pytest.mark.parametrize("padding", [AIR, -1.0])
def test_finer_voxels_are_the_linear_interpolation(shape, spacing, wanted_shape, wanted, padding):
    hu = random_hu(shape, n=2)
    images = to_volumes(torch.from_numpy(hu), WINDOWS, spacing, wanted_shape, wanted, padding)
    assert images.shape == (2, 3, *wanted_shape)
    assert images.is_contiguous()
    assert np.allclose(images, by_definition(hu, WINDOWS, spacing, wanted_shape, wanted, padding), atol=2e-5)


@pytest.mark.parametrize(
    ("wanted_shape", "wanted"),
    [((8, 12, 10), (5.0, 1.6, 2.2)), ((12, 20, 20), (4.0, 1.5, 1.3)), ((2, 3, 3), (16.0, 6.0, 6.0))],
)
def test_coarser_voxels_are_averages_over_what_the_store_resolves(wanted_shape, wanted):
    spacing = (2.5, 0.5, 0.5)
    hu = random_hu((12, 40, 36))
    images = to_volumes(torch.from_numpy(hu), HU, spacing, wanted_shape, wanted)[:, 0]
    exact = by_definition(hu, HU, spacing, wanted_shape, wanted)[:, 0]
    assert ((np.abs(images.numpy() - AIR) < 0.01) == (exact == AIR)).all()
    # The mean is taken at four points a sample; the noise itself has a deviation of 873 HU.
    assert np.abs(images.numpy() - exact).max() < 40
    assert np.abs(images.numpy() - exact).mean() < 8


def test_the_lowest_and_highest_voxel_are_each_volume_s_own():
    hu = random_hu((4, 6, 6), n=3)
    hu[1] //= 10
    together = to_volumes(torch.from_numpy(hu), WINDOWS, (5.0, 2.0, 2.0), (4, 6, 6), (5.0, 2.0, 2.0))
    for number in range(3):
        alone = to_volumes(
            torch.from_numpy(hu[number : number + 1]), WINDOWS, (5.0, 2.0, 2.0), (4, 6, 6), (5.0, 2.0, 2.0)
        )
        assert torch.equal(together[number], alone[0])
        assert (alone[:, 2].min() * 2).item() == 0
        assert (alone[:, 2].max() * 2).item() == 1


@pytest.mark.parametrize("head_first", [False, True])
@pytest.mark.parametrize("at", [(3, 30, 60), (12, 56, 56), (20, 90, 20)])
def test_a_bright_point_keeps_its_place(at, head_first):
    grid = GRIDS["demo"]
    hu = torch.zeros(1, *grid.shape, dtype=torch.int16)
    hu[(0, *at)] = 3000
    wish = VolumeInput(shape=(64, 240, 240), spacing_mm=(2.5, 1.0, 1.0), head_first=head_first, padding=0.0)
    inner = replace(WINDOWS, centre_width=((1500.0, 3000.0),), whole_range=False, mean=(0.0,), std=(1.0,))
    image = wish.of(hu, inner, grid.spacing_mm)[0, 0].double()
    centre = [
        (image * (torch.arange(size) - (size - 1) / 2).view(-1, *(1,) * (2 - axis))).sum() / image.sum()
        for axis, size in enumerate(image.shape)
    ]
    found = [step * value.item() for step, value in zip(wish.spacing_mm, centre, strict=True)]
    placed = [step * (i - (size - 1) / 2) for step, i, size in zip(grid.spacing_mm, at, grid.shape, strict=True)]
    placed[0] *= -1 if head_first else 1
    assert found == pytest.approx(placed, abs=0.3)


def test_the_type_of_the_voxels_and_autocast_do_not_matter():
    hu = torch.from_numpy(random_hu((6, 8, 10)))
    place = ((5.0, 2.0, 2.0), (16, 24, 20), (1.25, 0.7, 1.0))
    plain = to_volumes(hu, WINDOWS, *place)
    assert torch.equal(to_volumes(hu.double(), WINDOWS, *place), plain)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(to_volumes(hu, WINDOWS, *place), plain)


def test_the_voxels_are_left_as_they_were():
    hu = torch.from_numpy(random_hu((4, 6, 6))).float()
    before = hu.clone()
    to_volumes(hu, WINDOWS, (5.0, 2.0, 2.0), (8, 8, 8), (5.0, 2.0, 2.0), -1.0)
    assert torch.equal(hu, before)


WISH = VolumeInput(shape=(32, 128, 128), spacing_mm=(5.0, 1.6, 1.6))


def test_a_finer_grid_falls_short_of_nothing():
    assert WISH.check(GRIDS["head-2.5mm"]) == []
    assert WISH.wish == "32 x 128 x 128 voxels of 5 x 1.6 x 1.6 mm, a field of 160 x 204.8 x 204.8 mm"


def test_a_coarser_grid_is_used_and_said_to_be_coarser():
    (told,) = WISH.check(GRIDS["demo"])
    assert "24 x 112 x 112 voxels of 6 x 2 x 2 mm" in told
    assert "5 x 1.6 x 1.6 mm" in told


@pytest.mark.parametrize(
    ("shape", "spacing", "fits"),
    [
        ((6, 112, 112), (30.0, 2.0, 2.0), True),  # six times coarser
        ((6, 112, 112), (30.1, 2.0, 2.0), False),
        ((16, 112, 112), (5.0, 2.0, 2.0), True),  # half the field
        ((15, 112, 112), (5.0, 2.0, 2.0), False),
        ((32, 112, 50), (5.0, 2.0, 2.0), False),
    ],
)
def test_a_grid_that_is_much_too_coarse_or_too_small_is_refused(shape, spacing, fits):
    grid = Grid(name="odd", shape=shape, spacing_mm=spacing)
    if fits:
        WISH.check(grid)
        return
    with pytest.raises(
        ConfigError, match=r"it reads 32 x 128 x 128 voxels.*'odd'.*ingest again with a finer or larger"
    ):
        WISH.check(grid)


@pytest.fixture(scope="module")
def densenet():
    return build(DENSENET, weights="random", seed=3)


def demo_hu(n=2):
    return torch.from_numpy(random_hu(GRIDS["demo"].shape, n=n))


def test_a_volume_becomes_one_row_and_one_gate(densenet):
    classifier = Classifier(densenet, grid=GRIDS["demo"])
    assert len(classifier.shortcomings) == 1
    assert classifier.shortcomings[0].startswith(DENSENET)
    adapted = attach(classifier, AdapterConfig(kind="molre", over_budget=True))
    adapted.model.eval()
    with torch.no_grad(), record_gates(adapted.model) as gates:
        logits = adapted.model(demo_hu())
    assert logits.shape == (2, 75)
    (recorded,) = gates["site"]
    assert recorded.shape == (2, 6)
    assert torch.allclose(recorded.sum(1), torch.ones(2))


def test_within_its_budget_the_adapter_is_small(densenet):
    adapted = attach(Classifier(densenet, grid=GRIDS["demo"]), AdapterConfig(kind="molre"))
    assert adapted.added_fraction <= 0.005


def test_the_memory_setting_changes_nothing_but_memory(densenet):
    hu = demo_hu(3)
    rows = []
    for memory_mib, chunk in ((1.0, 1), (2 * densenet.spec.forward_mib, 2), (1024.0, 16)):
        classifier = Classifier(densenet, grid=GRIDS["demo"], memory_mib=memory_mib).eval()
        assert classifier.chunk == chunk
        with torch.no_grad():
            rows.append(classifier.embed(hu))
    assert rows[0].shape == (3, 1, 800)
    assert all(torch.allclose(other, rows[0], atol=1e-5) for other in rows[1:])


def test_a_3d_backbone_needs_the_grid(densenet):
    with pytest.raises(ConfigError, match="tell the classifier their grid"):
        Classifier(densenet)
    small = Grid(name="slab", shape=(4, 112, 112), spacing_mm=(5.0, 2.0, 2.0))
    with pytest.raises(ConfigError, match="monai-densenet-7m does not fit the store"):
        Classifier(densenet, grid=small)

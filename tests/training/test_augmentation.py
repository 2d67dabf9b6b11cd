"""Augmentation: what moves where, and what must not change."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from molre.classifier import EMPTY_HU, slice_mask
from molre.findings import KEYS
from molre.store import Store
from molre.training.augmentation import Change, Ranges, augmented, moved
from molre.volume import AIR_HU

STILL = Ranges(flip=0.0, rotation_deg=0.0, scale=0.0, shift=0.0, offset_hu=0.0, noise_hu=0.0)


def change(flipped=False, rotation_deg=0.0, scale=1.0, shift=(0.0, 0.0)):
    one = {"flipped": torch.tensor([flipped]), "shift": torch.tensor([shift])}
    numbers = {"rotation_deg": rotation_deg, "scale": scale, "offset_hu": 0.0, "noise_hu": 0.0}
    return Change(**one, **{name: torch.tensor([value]) for name, value in numbers.items()})


def spot(row, column, shape=(101, 81)):
    """A volume of two slices with a blurred bright spot."""
    y, x = np.indices(shape)
    hu = AIR_HU + 2000 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 3.0**2))
    return torch.from_numpy(np.stack([hu, hu])[None]).float()


def centre(hu):
    """Row and column of the mass above air, in the first slice."""
    above = (hu[0, 0] - AIR_HU).numpy()
    y, x = np.indices(above.shape)
    return np.array([(above * y).sum(), (above * x).sum()]) / above.sum()


def test_no_finding_has_a_side_so_that_a_flip_keeps_the_labels():
    """Whoever adds a finding with a side has to swap its label in a flip, or to leave the flip out."""
    assert not [key for key in KEYS if re.search(r"left|right|(?:^|_)[lr](?:_|$)", key)]


@given(
    flipped=st.booleans(), rotation_deg=st.floats(-8, 8), scale=st.floats(0.92, 1.08),
    shift=st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)),
    row=st.floats(35, 65), column=st.floats(28, 52), pixel_mm=st.sampled_from([(1.0, 1.0), (1.0, 2.0), (0.5, 0.4)]),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_a_bright_spot_moves_as_the_affine_says(flipped, rotation_deg, scale, shift, row, column, pixel_mm):
    """Flip, turn clockwise by millimetres, scale, all about the middle, then shift by fractions of the field."""
    shape = np.array([101, 81])
    middle, step = (shape - 1) / 2, np.array(pixel_mm)
    y, x = (np.array([row, column]) - middle) * step
    x = -x if flipped else x
    angle = np.radians(rotation_deg)
    turned = np.array([y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)]) * scale
    expected = turned / step + middle + shape * np.array(shift[::-1])
    after = moved(spot(row, column), change(flipped, rotation_deg, scale, shift), pixel_mm)
    assert np.abs(centre(after) - expected).max() < 0.15
    assert torch.equal(after[0, 0], after[0, 1])


def test_a_flip_swaps_left_and_right_exactly():
    hu = torch.randint(-1024, 2000, (1, 3, 10, 12)).float()
    assert torch.equal(moved(hu, change(flipped=True), (1.0, 1.0)), hu.flip(-1))


@given(seed=st.integers(0, 10**6), kind=st.sampled_from([torch.int16, torch.float32]))
@settings(deadline=None, max_examples=40)
def test_air_stays_air_and_everything_within_range(seed, kind):
    generator = torch.Generator().manual_seed(seed)
    hu = torch.randint(-1024, 3000, (2, 5, 24, 20), generator=generator).to(kind)
    hu[:, 1] = torch.randint(-1100, EMPTY_HU + 1, (2, 24, 20), generator=generator).to(kind)
    hu[1, 4] = EMPTY_HU
    after = augmented(hu, seed)
    assert after.dtype == kind
    assert after.shape == hu.shape
    assert torch.equal(slice_mask(after), slice_mask(hu))
    assert after.float().max() <= 3000 + 3 + 7 * 4


def test_a_still_range_changes_nothing():
    hu = torch.randint(-1024, 3000, (2, 3, 16, 16), dtype=torch.int16)
    assert torch.equal(augmented(hu, 5, ranges=STILL), hu)


def test_the_seed_decides_everything_and_the_global_generator_nothing():
    hu = torch.randint(-900, 3000, (3, 4, 16, 16), dtype=torch.int16)
    torch.manual_seed(1)
    first, state = augmented(hu, 7), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(augmented(hu, 7), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(augmented(hu, 8), first)
    assert not torch.equal(first[0] - hu[0], first[1] - hu[1])


def test_offset_and_noise_have_their_size():
    hu = torch.full((400, 1, 16, 16), 40, dtype=torch.int16)
    after = augmented(hu, 1, ranges=Ranges(flip=0.0, rotation_deg=0.0, scale=0.0, shift=0.0)).float() - 40
    means, deviations = after.flatten(1).mean(1), after.flatten(1).std(1)
    assert means.abs().max() < 3 + 1.2
    assert means.std() == pytest.approx(6 / 12**0.5, rel=0.1)
    assert deviations.mean() == pytest.approx(2, rel=0.15)
    assert deviations.max() < 5


def test_heads_keep_their_mask_and_most_of_their_mass(small_store):
    store = Store.open(small_store)
    hu = torch.from_numpy(store.volumes(np.arange(12)))
    after = augmented(hu, 3, pixel_mm=store.grid.spacing_mm[1:])
    assert torch.equal(slice_mask(after), slice_mask(hu))
    inside = [(volumes > -500).flatten(1).sum(1).float() for volumes in (hu, after)]
    assert (inside[1] / inside[0]).min() > 0.8
    assert (inside[1] / inside[0]).max() < 1.2

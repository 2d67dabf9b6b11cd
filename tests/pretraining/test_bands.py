import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from molre.pretraining.bands import BANDS, CENTRES_HU, shares
from molre.pretraining.objective import MOST_WEIGHT, band_weights

FLAT = {name: torch.full((1, 5, 5), hu) for name, hu in CENTRES_HU.items()}


@pytest.mark.parametrize("name", CENTRES_HU)
def test_the_middle_of_a_band_is_wholly_its_own(name):
    told = shares(FLAT[name])
    assert torch.equal(told[:, BANDS.index(name)], torch.ones(1, 5, 5))
    assert told.sum() == 25


@given(st.floats(-3000, 6000))
def test_shares_add_up_to_one_and_give_the_hu_back(hu):
    told = shares(torch.full((1, 4, 4), hu))
    middles = torch.tensor([*CENTRES_HU.values(), float("nan")])
    assert told.min() >= 0
    torch.testing.assert_close(told.sum(1), torch.ones(1, 4, 4))
    assert (told[0, :, 0, 0] > 0).sum() <= 2
    back = torch.nansum(told[0, :, 0, 0] * middles.nan_to_num())
    assert back.item() == pytest.approx(np.clip(hu, -1000, 2500), abs=0.05)


def test_noise_of_a_scanner_cancels_out_in_a_cell():
    generator = torch.Generator().manual_seed(0)
    hu = 27 + 0.8 * torch.randn(1, 64, 64, generator=generator)
    linear = shares(27 + 0 * hu).mean((2, 3)), shares(hu).mean((2, 3))
    hard = (hu - 27).abs() < 0.5
    assert (linear[0] - linear[1]).abs().max() < 0.08 < 1 - hard.float().mean()


def test_a_border_is_a_slope_and_what_it_borders_is_not():
    hu = torch.full((1, 9, 9), 38.0)
    hu[..., 5:] = 1000
    hu[..., 4] = 500
    told = shares(hu)
    assert torch.equal(told[0, -1].sum(0), torch.tensor([0.0, 0, 0, 0, 9, 0, 0, 0, 0]))
    assert torch.equal(told[0, BANDS.index("grey")].sum(0), torch.tensor([9.0, 9, 9, 9, 0, 0, 0, 0, 0]))


def test_a_thin_bleed_under_bone_is_no_slope():
    hu = torch.full((1, 9, 9), 38.0)
    hu[..., 6:] = 1000
    hu[..., 5] = 70
    told = shares(hu)[0, :, 4, 5]
    assert told[-1] == 0
    assert told[[BANDS.index("fresh_blood"), BANDS.index("clot")]].sum() == pytest.approx(1)


def test_rare_bands_weigh_more_and_none_too_much():
    hu = torch.full((2, 112, 112), 38.0)
    hu[0, :14] = -1000
    hu[1, 0, 0] = 2500
    weights = dict(zip(BANDS, band_weights(hu, 112).tolist(), strict=True))
    assert weights["grey"] < weights["air"] < weights["metal"] == weights["clot"] == MOST_WEIGHT
    rarer = (hu == 38).sum().item() / (hu == -1000).sum().item()
    assert weights["air"] / weights["grey"] == pytest.approx(rarer**0.5, rel=1e-4)


def test_weights_do_not_depend_on_how_slices_are_parted(slices):
    many = slices.repeat(40, 1, 1)
    torch.testing.assert_close(band_weights(many, 112), band_weights(slices, 112))
    assert band_weights(many.short(), 56).shape == (len(BANDS),)

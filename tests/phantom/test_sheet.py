"""The sheet shows each finding where it is, beside the same head without it, and the page lists all of them."""

import numpy as np
import pytest
from PIL import Image

from molre.findings import FINDINGS
from molre.phantom import CohortConfig, make_study
from molre.phantom.listing import listing
from molre.phantom.sheet import TILE_PX, draw_sheet, example, telling_slice

CONFIG = CohortConfig(matrix_px=144, tilted_fraction=0.0)


@pytest.fixture(scope="module")
def shown():
    return [example(key, CONFIG) for key in ("epidural_hematoma", "hyperdense_artery_sign")]


def test_the_two_tiles_show_one_head_that_differs_where_the_arrow_points(shown):
    for each in shown:
        assert each.ill.shape == each.normal.shape == (TILE_PX, TILE_PX)
        row, column = (round(place) for place in each.arrow)
        near = np.s_[max(row - 12, 0) : row + 12, max(column - 12, 0) : column + 12]
        change = np.abs(each.ill.astype(int) - each.normal)
        assert change[near].mean() > 2 * change.mean()
        assert np.median(change) < 25


def test_what_is_small_is_shown_close_up(shown):
    large, small = (np.mean(each.normal == 0) for each in shown)
    assert small < large


def test_the_sheet_is_a_picture_of_all_pairs(shown, tmp_path):
    with Image.open(draw_sheet(shown, tmp_path / "sheet.png", pairs=1)) as picture:
        assert picture.width >= 2 * TILE_PX
        assert picture.height >= 2 * TILE_PX
        assert np.asarray(picture).max() == 255


def test_the_telling_slice_has_the_finding():
    study = make_study(CONFIG, 1, force=("meningioma",))
    assert study.masks["meningioma"][telling_slice(study, "meningioma")].any()


def test_the_page_names_every_finding_and_says_that_it_is_synthetic():
    page = listing()
    assert all(f"**{finding.name}**" in page for finding in FINDINGS)
    assert "synthetic" in page

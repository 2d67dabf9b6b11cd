"""Trauma: what is drawn measures and lies as it should, bundles share one blow, severity shows."""

from functools import cache

import numpy as np
import pytest

from molre.phantom import TISSUES, CohortConfig, make_study
from molre.phantom.body import draw_body
from molre.phantom.lesions.vault import crack, direction, from_path, on_vault, scattered

CONFIG = CohortConfig(seed=5, matrix_px=96)
HU_RANGE = {
    "brain_contusion": (40, 80),
    "traumatic_subarachnoid_hemorrhage": (25, 75),
    "pneumocephalus": (-1024, -200),
    "scalp_hematoma": (20, 75),
}
FIXED = ("calvarial_fracture", "displaced_or_depressed_skull_fracture", "skull_base_fracture",
         "temporal_bone_fracture",
         "brain_contusion", "diffuse_axonal_injury", "pneumocephalus", "scalp_hematoma",
         "intracranial_foreign_body")  # fmt: skip


@cache
def shown(key, severity=0.9, index=1):
    return make_study(CONFIG, index, force=(key,), severity=severity)


@pytest.mark.parametrize("key", FIXED)
def test_a_plain_injury_is_labelled_and_the_same_again(key):
    study = shown(key)
    again = make_study(CONFIG, 1, force=(key,), severity=0.9)
    assert study.labels[key] == 1
    assert np.array_equal(study.hu, again.hu)


@pytest.mark.parametrize("key", sorted(HU_RANGE))
def test_it_measures_what_the_literature_says(key):
    study = shown(key)
    low, high = HU_RANGE[key]
    assert low <= np.median(study.hu[study.masks[key]]) <= high


@pytest.mark.parametrize("key", ["brain_contusion", "scalp_hematoma"])
def test_severity_makes_it_larger(key):
    size = [
        sum(int(shown(key, severity, n).masks.get(key, np.zeros(1)).sum()) for n in range(1, 3))
        for severity in (0.1, 0.9)
    ]
    assert size[1] > 2 * size[0]


def test_a_scalp_hematoma_lifts_the_skin():
    normal, ill = (
        make_study(CONFIG, 1, force=(), age_years=70.0),
        make_study(CONFIG, 1, force=("scalp_hematoma",), age_years=70.0),
    )
    air = TISSUES.index("air")
    gained = (normal.tissue == air) & (ill.tissue != air)
    lost = (normal.tissue != air) & (ill.tissue == air)
    assert gained.sum() > 100
    assert lost.sum() < 0.1 * gained.sum()


def test_fractures_darken_bone_and_nothing_else():
    ill = shown("calvarial_fracture")
    normal = make_study(CONFIG, 1, force=(), age_years=ill.age_years)
    change = ill.hu.astype(int) - normal.hu
    mask = ill.masks["calvarial_fracture"]
    assert np.median(change[mask]) < -60
    assert np.median(normal.hu[mask]) > 250


def test_a_driven_in_piece_also_is_a_fracture():
    study = shown("displaced_or_depressed_skull_fracture")
    assert study.labels["calvarial_fracture"] == 1


def test_findings_of_one_trauma_lie_about_one_blow():
    def middle(study, key):
        where = study.masks[key]
        return np.argwhere(where).mean(0)[1:] - np.array(where.shape[1:]) / 2

    for number in range(1, 4):
        fracture, swelling = (
            shown("displaced_or_depressed_skull_fracture", 0.9, number),
            shown("scalp_hematoma", 0.9, number),
        )
        a = middle(fracture, "displaced_or_depressed_skull_fracture")
        b = middle(swelling, "scalp_hematoma")
        assert a @ b > 0


def test_blows_differ_between_people_and_are_unit_directions():
    blows = np.array([draw_body(np.random.default_rng(n), 40.0).impact for n in range(12)])
    assert np.allclose(np.linalg.norm(blows, axis=1), 1, atol=1e-6)
    assert len(np.unique(blows.round(3), axis=0)) == 12


def test_distance_from_a_line_and_place_along_it():
    path = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)]
    away, along = from_path(np.array([5.0, 13.0], np.float32), np.array([2.0, 10.0], np.float32), path)
    assert away == pytest.approx([2.0, 3.0])
    assert along == pytest.approx([0.25, 1.0])


def test_a_crack_is_as_long_as_asked():
    path = np.array(crack(np.random.default_rng(1), 50.0, 1.0))
    assert np.hypot(*np.diff(path, axis=0).T).sum() == pytest.approx(50, abs=1.5)


def test_scattered_directions_are_unit_and_not_too_low():
    rng = np.random.default_rng(2)
    for _ in range(20):
        towards = scattered(rng, direction(0.3, 0.0), 0.3, lowest=0.0)
        assert np.linalg.norm(towards) == pytest.approx(1)
        assert towards[2] >= -1e-9
    assert np.linalg.norm(np.subtract(on_vault((1.0, 0.0, 0.0)), (0.0, 4.0, 2.0))) == pytest.approx(76)

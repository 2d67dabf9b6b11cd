"""Blood measures what the literature says, lies where it belongs and grows with severity."""

from functools import cache

import numpy as np
import pytest

from molre.phantom import CohortConfig, make_study

CONFIG = CohortConfig(studies=8, seed=5, matrix_px=112, slices_min=22, slices_max=22, tilted_fraction=0.0)
MEDIAN_HU = {
    "intraparenchymal_hemorrhage": (45, 82),
    "intraventricular_hemorrhage": (35, 76),
    "acute_subdural_hematoma": (42, 78),
    "epidural_hematoma": (42, 78),
    "subacute_chronic_subdural_hematoma": (8, 48),
    "acute_on_chronic_subdural_hematoma": (10, 74),
    "aneurysmal_pattern_subarachnoid_hemorrhage": (35, 74),
    "subarachnoid_hemorrhage": (33, 72),
    "hemorrhagic_transformation": (34, 72),
}


@cache
def shown(key, index=1, severity=0.8):
    return make_study(CONFIG, index, force=(key,), severity=severity)


@pytest.mark.parametrize("key", MEDIAN_HU)
def test_blood_has_its_density(key):
    study = shown(key)
    low, high = MEDIAN_HU[key]
    assert study.labels[key] == 1
    assert low <= np.median(study.hu[study.masks[key]]) <= high


@pytest.mark.parametrize("key", MEDIAN_HU)
def test_any_hemorrhage_follows(key):
    study = shown(key)
    assert study.labels["intracranial_hemorrhage_any"] == 1
    assert not (study.masks[key] & ~study.masks["intracranial_hemorrhage_any"]).any()


@pytest.mark.parametrize("key", ["intraparenchymal_hemorrhage", "acute_subdural_hematoma", "epidural_hematoma"])
def test_what_is_severe_is_larger(key):
    sizes = [
        sum(int(shown(key, index, severity).masks[key].sum()) for index in (1, 2, 3)) for severity in (0.1, 0.5, 1.0)
    ]
    assert sizes[0] < sizes[1] < sizes[2]


def test_transformation_bleeds_into_an_infarct():
    study = shown("hemorrhagic_transformation")
    assert study.labels["acute_infarct"] or study.labels["subacute_infarct"]


@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_large_collection_closes_furrows_and_shifts_by_rule(index):
    study = shown("subacute_chronic_subdural_hematoma", index, 1.0)
    assert study.labels["mass_effect"] == 1
    assert study.labels["midline_shift"] == int(abs(study.shift_mm) >= 5)
    assert study.labels["subfalcine_herniation"] <= study.labels["midline_shift"]


def test_a_faint_crescent_shifts_nothing():
    study = shown("acute_subdural_hematoma", 2, 0.05)
    assert study.labels["midline_shift"] == 0
    assert abs(study.shift_mm) < 5


def test_the_same_numbers_give_the_same_blood():
    first = make_study(CONFIG, 4, force=("epidural_hematoma",))
    again = make_study(CONFIG, 4, force=("epidural_hematoma",))
    assert np.array_equal(first.hu, again.hu)

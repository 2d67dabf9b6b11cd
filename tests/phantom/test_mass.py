"""Masses lie where and measure what the table says, and bring about what they must."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from molre.phantom import CohortConfig, entries, make_study
from molre.phantom.body import draw_body
from molre.phantom.case import Case
from molre.phantom.lesions.mass import HYDROCEPHALUS_MM, dam, lump, press, weigh

CONFIG = CohortConfig(studies=8, seed=5, matrix_px=96)
MASSES = [key for key, entry in entries().items() if "intracranial_mass_any" in entry.implies]
HU_RANGE = {
    "meningioma": (40, 200),
    "colloid_cyst": (38, 68),
    "arachnoid_cyst": (0, 20),
    "intracranial_lipoma": (-120, -5),
    "intracranial_aneurysm": (35, 130),
}


@cache
def forced(key, index=1, severity=0.9):
    return make_study(CONFIG, index, force=(key,), severity=severity)


def a_case(key="intra_axial_tumor", severity=0.9, seed=3):
    body = draw_body(np.random.default_rng(seed), 60.0)
    return Case(rng=np.random.default_rng(seed), body=body, entry=entries()[key], severity=severity)


@pytest.mark.parametrize("key", [*MASSES, "intracranial_aneurysm", "abscess_or_subdural_empyema"])
def test_a_plain_mass_is_labelled_and_is_a_mass(key):
    study = forced(key)
    assert study.labels[key]
    if key in MASSES:
        assert study.labels["intracranial_mass_any"]
        assert (study.masks["intracranial_mass_any"] & study.masks[key]).sum() == study.masks[key].sum()


def core(mask):
    """The voxels of a mask that share no side with what lies beyond it: slices are thick, and its rim is half fluid."""
    within = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(2, 1)[None])
    return within if within.any() else mask


@pytest.mark.parametrize("key", sorted(HU_RANGE))
def test_a_mass_measures_what_the_table_says(key):
    low, high = HU_RANGE[key]
    for index in (1, 2):
        study = forced(key, index)
        assert low <= np.median(study.hu[core(study.masks[key])]) <= high


@pytest.mark.parametrize("key", ["meningioma", "colloid_cyst", "arachnoid_cyst"])
def test_severity_makes_a_mass_larger(key):
    sizes = [forced(key, 3, severity).masks.get(key, np.zeros(1)).sum() for severity in (0.1, 0.5, 0.95)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_small_colloid_cyst_dams_nothing_and_a_large_one_does():
    assert not forced("colloid_cyst", 1, 0.05).labels["obstructive_hydrocephalus"]
    assert forced("colloid_cyst", 1, 0.95).labels["obstructive_hydrocephalus"]


def test_a_dam_widens_the_ventricles_to_hydrocephalus_or_not_at_all():
    for mm in np.linspace(0, 6, 13):
        body = draw_body(np.random.default_rng(1), 40.0)
        before = body.ventricle_mm[0]
        claimed = dam(body, float(mm), third=1.0)
        widened = body.ventricle_mm[0] - before
        assert claimed == ("obstructive_hydrocephalus" in body.claims) == (widened >= HYDROCEPHALUS_MM - 1e-6)
        assert claimed or widened == 0


def test_large_masses_claim_mass_effect_and_small_ones_do_not():
    for radius, expected in ((5.0, False), (26.0, True)):
        case = a_case()
        weigh(case, (40.0, -20.0, 25.0), radius, 8.0)
        assert ("mass_effect" in case.body.claims) == expected
    hind = a_case()
    press(hind, (10.0, 50.0, -35.0), 18.0, 0.7)
    assert "mass_effect" in hind.body.claims


def test_a_haemorrhagic_metastasis_is_a_haemorrhage():
    found = [forced("intracranial_metastasis", index) for index in range(8)]
    bled = [one for one in found if one.labels["intraparenchymal_hemorrhage"]]
    assert 0 < len(bled) < len(found)
    for one in bled:
        inside = one.masks["intraparenchymal_hemorrhage"]
        assert (inside & one.masks["intracranial_metastasis"]).sum() >= 0.9 * inside.sum()


def test_no_two_lumps_are_alike_and_the_same_chance_gives_the_same():
    first, again = (lump(np.random.default_rng(4), (0, 0, 0), 10.0) for _ in range(2))
    other = lump(np.random.default_rng(5), (0, 0, 0), 10.0)
    assert np.array_equal(first.waves, again.waves)
    assert not np.array_equal(first.waves, other.waves)
    assert abs(np.linalg.det(first.axes)) == pytest.approx(1, abs=0.01)

"""Sinuses, ears, orbits, bone and scalp: drawn, labelled, in place, of the right density; mimics mark nothing."""

from functools import cache

import numpy as np
import pytest

from molre.phantom import TISSUES, CohortConfig, make_study
from molre.phantom.case import Case
from molre.phantom.lesions import LOOKALIKES
from molre.phantom.lesions.orbit import FORMS as ORBITS
from molre.phantom.table import entries, mimics

CONFIG = CohortConfig(seed=5, matrix_px=96)
KEYS = ("paranasal_sinus_disease", "mastoid_or_middle_ear_effusion", "orbital_abnormality", "osteolytic_bone_lesion",
        "osteosclerotic_bone_lesion", "scalp_or_neck_soft_tissue_mass")  # fmt: skip
VARIANTS = ("accessory_suture", "parietal_thinning", "hyperostosis_frontalis", "skin_calcification", "venous_air")


@cache
def shown(key, severity=0.9, index=1):
    return make_study(CONFIG, index, force=(key,), severity=severity)


@pytest.mark.parametrize("key", KEYS)
def test_it_is_labelled_and_lies_outside_the_brain(key):
    study = shown(key)
    assert study.labels[key] == 1
    inside = np.isin(study.tissue, [TISSUES.index(name) for name in ("grey", "white", "csf")])
    assert (study.masks[key] & inside).sum() < 0.1 * study.masks[key].sum()


@pytest.mark.parametrize("key", ["mastoid_or_middle_ear_effusion", "osteolytic_bone_lesion"])
def test_severity_makes_it_larger(key):
    size = [
        sum(int(shown(key, severity, n).masks.get(key, np.zeros(1)).sum()) for n in range(1, 4))
        for severity in (0.1, 0.95)
    ]
    assert size[1] > size[0]


def test_sinus_and_mastoid_fluid_replaces_air():
    for key, low, high in (("paranasal_sinus_disease", -250, 90), ("mastoid_or_middle_ear_effusion", -350, 900)):
        ill = shown(key)
        normal = make_study(CONFIG, 1, force=(), age_years=ill.age_years)
        mask = ill.masks[key]
        assert low < np.median(ill.hu[mask]) < high
        assert np.median(normal.hu[mask]) < np.median(ill.hu[mask]) - 200


def test_lytic_holes_are_soft_and_sclerotic_bone_is_hard():
    soft, hard = shown("osteolytic_bone_lesion"), shown("osteosclerotic_bone_lesion")
    assert np.median(soft.hu[soft.masks["osteolytic_bone_lesion"]]) < 200
    assert np.median(hard.hu[hard.masks["osteosclerotic_bone_lesion"]]) > 300


@pytest.mark.parametrize("kind", sorted(ORBITS))
def test_every_form_of_orbit_can_be_drawn(kind, monkeypatch):
    monkeypatch.setattr(Case, "kind", lambda self: kind)
    study = make_study(CONFIG, 1, force=("orbital_abnormality",), severity=0.9)
    assert study.labels["orbital_abnormality"] == 1


def test_the_table_names_the_forms_that_are_drawn():
    assert set(entries()["orbital_abnormality"].kinds) == set(ORBITS)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_registered_and_have_a_line_in_the_table(name):
    assert name in LOOKALIKES
    assert mimics()[name].of

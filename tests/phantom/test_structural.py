"""Swelling, hydrocephalus, herniation and malformations show what their label says."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from molre.phantom import TISSUES, CohortConfig, make_study, study
from molre.phantom.table import entries

CONFIG = CohortConfig(studies=8, seed=5, matrix_px=112, slices_min=22, slices_max=22, tilted_fraction=0.0)
CSF = TISSUES.index("csf")


@cache
def shown(key="", severity=0.8, index=1, age_years=50.0):
    return make_study(CONFIG, index, force=(key,) if key else (), severity=severity, age_years=age_years)


def fluid(one):
    return int((one.tissue == CSF).sum())


@pytest.mark.parametrize("key", ["obstructive_hydrocephalus", "ventriculomegaly_or_communicating_hydrocephalus"])
def test_ventricles_widen_with_severity(key):
    sizes = [int(shown(key, severity).masks[key].sum()) for severity in (0.1, 0.5, 1.0)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_swelling_closes_fluid_spaces_and_is_darker_the_plainer_it_is():
    normal, faint, plain = shown(), shown("cerebral_edema", 0.1), shown("cerebral_edema", 1.0)
    assert fluid(plain) < fluid(faint) < fluid(normal)
    mask = plain.masks["cerebral_edema"]
    assert np.median(plain.hu[mask]) < np.median(faint.hu[faint.masks["cerebral_edema"]]) - 1


def test_tonsils_take_the_place_of_fluid():
    normal, ill = shown(), shown("tonsillar_or_cerebellar_herniation", 1.0)
    assert fluid(ill) < fluid(normal)
    assert ill.labels["tonsillar_or_cerebellar_herniation"] == 1


def test_a_hygroma_is_as_dark_as_fluid():
    one = shown("extra_axial_collection_or_hygroma")
    assert 0 <= np.median(one.hu[one.masks["extra_axial_collection_or_hygroma"]]) <= 18


@pytest.mark.parametrize("kind", sorted(entries()["congenital_malformation"].kinds))
def test_each_malformation_is_drawn_and_marked(kind, monkeypatch):
    table = dict(entries())
    table["congenital_malformation"] = replace(table["congenital_malformation"], kinds={kind: 1.0})
    monkeypatch.setattr(study, "entries", lambda: table)
    one = make_study(CONFIG, 2, force=("congenital_malformation",), severity=0.6)
    assert one.masks["congenital_malformation"].sum() > 20
    assert one.labels["tonsillar_or_cerebellar_herniation"] == int(kind == "chiari")

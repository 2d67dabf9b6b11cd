"""Shrinkage, small-vessel disease, old injuries, perivascular spaces and chalk."""

from functools import cache

import numpy as np
import pytest

from molre.phantom import CohortConfig, make_study
from molre.phantom.lesions.chronic import LEAST_ATROPHY, usual_atrophy
from molre.phantom.table import entries
from molre.phantom.tissue import T

CONFIG = CohortConfig(matrix_px=96, seed=12)
CHALK = ["basal_ganglia_calcification", "other_intracranial_calcification", "intracranial_atherosclerosis"]
CHRONIC = [key for key in entries() if key in (
    "cerebral_atrophy", "small_vessel_ischemic_disease", "encephalomalacia_gliosis", "cerebellar_atrophy",
    "enlarged_perivascular_spaces", "lacunar_infarct", *CHALK)]  # fmt: skip


@cache
def forced(*keys, index=1, severity=0.8, age_years=None):
    return make_study(CONFIG, index, force=keys, severity=severity, age_years=age_years)


def fluid(study):
    """Millilitres of fluid above the skull base."""
    volume = study.geometry.pixel_mm**2 * study.geometry.thickness_mm[:, None, None] / 1000
    return float(((study.tissue == T["csf"]) * volume)[len(study.hu) // 4 :].sum())


@pytest.mark.parametrize("key", CHRONIC)
def test_chronic_findings_are_seen_and_persist(key):
    assert forced(key, index=2, severity=0.4).labels[key] == 1
    assert entries()[key].persists


@pytest.mark.parametrize("key", CHALK)
def test_chalk_is_denser_than_blood(key):
    study = forced(key, index=3)
    assert np.percentile(study.hu[study.masks[key]], 75) > 90


@pytest.mark.parametrize("key", CHALK)
def test_severity_makes_more_and_denser_chalk(key):
    def load(severity):
        total = 0.0
        for index in (1, 2):
            study = forced(key, index=index, severity=severity)
            if key in study.masks:
                total += float(np.clip(study.hu[study.masks[key]], 0, None).sum())
        return total

    assert load(0.1) < load(0.5) < load(0.95)


def test_atrophy_grows_with_severity_and_begins_beyond_healthy_age():
    amounts = [
        fluid(forced("cerebral_atrophy", index=4, severity=severity, age_years=72.0)) for severity in (0.02, 0.98)
    ]
    healthy = fluid(forced(index=4, age_years=72.0))
    assert healthy < amounts[0] < amounts[1]
    assert usual_atrophy(96.0) + 0.1 < LEAST_ATROPHY


def test_atrophy_of_the_youngest_is_no_less_than_the_oldest_healthy_heads():
    assert fluid(forced("cerebral_atrophy", index=5, severity=0.05, age_years=40.0)) > fluid(
        forced(index=5, age_years=90.0)
    )


def test_small_vessel_disease_spreads_with_severity_in_white_matter_on_both_sides():
    sizes = []
    for severity in (0.05, 0.5, 0.95):
        study = forced("small_vessel_ischemic_disease", index=6, severity=severity)
        mask = study.masks["small_vessel_ischemic_disease"]
        sizes.append(mask.sum())
        middle = round(np.nonzero(study.tissue)[2].mean())
        left, right = mask[:, :, middle:].sum(), mask[:, :, :middle].sum()
        assert 0.3 < (left + 1) / (right + 1) < 3.3
        before = forced(index=6, age_years=study.age_years)
        assert 1.0 < before.hu[mask].mean() - study.hu[mask].mean() < 12
    assert sizes[0] < sizes[1] < sizes[2]


def test_cerebellar_atrophy_leaves_the_forebrain_alone():
    ill, healthy = forced("cerebellar_atrophy", index=7, age_years=60.0), forced(index=7, age_years=60.0)
    upper = slice(2 * len(ill.hu) // 3, None)
    assert np.array_equal(ill.tissue[upper], healthy.tissue[upper])
    assert (ill.tissue == T["csf"]).sum() > (healthy.tissue == T["csf"]).sum()


def test_old_injury_is_near_fluid():
    study = forced("encephalomalacia_gliosis", index=8, severity=0.9)
    assert 4 < np.median(study.hu[study.masks["encephalomalacia_gliosis"]]) < 24


def test_perivascular_spaces_hold_fluid_below_the_nuclei():
    study = forced("enlarged_perivascular_spaces", index=9, severity=0.95)
    mask = study.masks["enlarged_perivascular_spaces"]
    assert np.percentile(study.hu[mask], 25) < 18
    assert mask.sum() * study.geometry.pixel_mm**2 < 3000


def test_no_two_heads_show_chalk_in_the_same_voxels():
    first, second = (
        forced("basal_ganglia_calcification", index=i).masks["basal_ganglia_calcification"] for i in (2, 3)
    )
    assert first.shape != second.shape or not np.array_equal(first, second)

"""Subgroups against the rest."""

import json
from dataclasses import replace

import numpy as np
import pytest

from molre.evaluation.auc import auc
from molre.evaluation.subgroups import LEAST_PATIENTS, NOT_KNOWN, subgroups


def attributes(rows, **columns):
    plain = {"sex": "F", "age_band": "18 to 39", "manufacturer": "A", "slice_thickness_mm": 5.0, "kernel_class": "soft"}
    return {name: [value] * rows for name, value in plain.items()} | columns


def named(found):
    return {(one.dimension, one.value): one for one in found}


def worse_on(scores, rows):
    probabilities = scores.probabilities.copy()
    probabilities[rows] = np.random.default_rng(5).random(probabilities[rows].shape)
    return replace(scores, probabilities=probabilities)


def test_a_scanner_that_is_read_at_random_has_a_gap(cohort):
    scores = worse_on(cohort(240, lift=2.0), slice(0, 100))
    makers = ["A"] * 100 + ["B"] * 140
    found = named(subgroups(scores, attributes(240, manufacturer=makers), resamples=100))
    bad, good = found["manufacturer", "A"], found["manufacturer", "B"]
    assert bad.gap.high < -0.2
    assert bad.gap.value == pytest.approx(bad.auc.value - bad.rest.value) == pytest.approx(-good.gap.value)
    assert (bad.patients, bad.series) == (50, 100)
    assert bad.auc.value == pytest.approx(good.rest.value)
    json.dumps(bad.to_json(), allow_nan=False)


def test_both_sides_are_scored_on_the_same_findings(cohort):
    scores = cohort(200)
    scores.labels[:100] = -1
    scores.labels[:100, 0] = np.arange(100) % 2
    makers = ["A"] * 100 + ["B"] * 100
    found = named(subgroups(scores, attributes(200, manufacturer=makers), resamples=20))["manufacturer", "B"]
    assert found.findings == 1
    assert found.auc.value == pytest.approx(auc(scores.labels[100:, 0], scores.probabilities[100:, 0]))


def test_small_subgroups_are_listed_and_not_scored(cohort):
    scores = cohort(200)
    few = 2 * LEAST_PATIENTS - 2
    makers = ["A"] * few + ["B"] * (200 - few)
    found = named(subgroups(scores, attributes(200, manufacturer=makers), resamples=10))
    assert found["manufacturer", "A"].patients == LEAST_PATIENTS - 1
    assert found["manufacturer", "A"].auc.reason == f"fewer than {LEAST_PATIENTS} patients on one side"
    assert found["kernel", "soft"].gap.reason == "there is no rest to compare with"


def test_subgroups_without_common_findings_say_so(cohort):
    scores = cohort(100, prevalence=0.02)
    found = named(subgroups(scores, attributes(100, manufacturer=["A", "B"] * 50), resamples=0))
    assert "no finding has" in found["manufacturer", "A"].auc.reason


def test_thickness_falls_into_bands_and_null_into_its_own(cohort):
    thickness = [0.625, 1.9, 2.0, 3.0, 4.0, 5.0, None, 5.0]
    found = [
        one
        for one in subgroups(cohort(8), attributes(8, slice_thickness_mm=thickness), resamples=0)
        if one.dimension == "slice thickness"
    ]
    assert {one.value: one.series for one in found} == {
        "4 mm or more": 3,
        "under 2 mm": 2,
        "2 to 4 mm": 2,
        NOT_KNOWN: 1,
    }
    assert found[0].value == "4 mm or more"


def test_gaps_between_like_halves_cover_zero(cohort):
    missed = 0
    for seed in range(20):
        scores = cohort(120, seed=seed)
        found = named(subgroups(scores, attributes(120, manufacturer=["A"] * 60 + ["B"] * 60), resamples=100))
        gap = found["manufacturer", "A"].gap
        missed += not gap.low <= 0 <= gap.high
    assert missed <= 4

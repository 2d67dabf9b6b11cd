"""Thresholds by hand, and what the calls at them are worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molre.evaluation.operating import operating_point
from molre.evaluation.thresholds import SENSITIVE, SPECIFIC, YOUDEN, at_sensitivity, at_specificity, choose, youden
from molre.findings import KEYS


def test_operating_point_by_hand():
    labels = np.array([1, 1, 1, 0, 0, -1], np.int8)
    probabilities = np.array([0.9, 0.5, 0.1, 0.5, 0.2, 0.9], np.float32)
    point = operating_point(labels, probabilities, 0.5)
    assert point["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert point["specificity"]["value"] == pytest.approx(1 / 2)


def test_youden_by_hand_lies_between_scores():
    labels = np.array([0, 0, 1, 0, 1, 1], np.int8)
    probabilities = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9], np.float32)
    # 0.3 and 0.8 both reach 2/3 + 1 - 1; the higher has the fewer false alarms.
    assert youden(labels, probabilities) == pytest.approx(0.6)
    assert youden(np.zeros(6, np.int8), probabilities) is None


SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=40, max_size=80)


@settings(max_examples=80, deadline=None)
@given(SCORED, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_a_threshold_reaches_its_level_and_the_next_one_does_not(rows, level):
    labels = np.array([row[0] for row in rows], np.int8)
    probabilities = np.array([row[1] / 21 for row in rows], np.float32)
    sensitive = at_sensitivity(labels, probabilities, level)
    assert (sensitive is None) == ((labels == 1).sum() < 10)
    if sensitive is not None:
        found = probabilities[labels == 1]
        assert (found >= sensitive).mean() >= level - 1e-9
        assert (found > found[found >= sensitive].min()).mean() < level
    specific = at_specificity(labels, probabilities, level)
    assert (specific is None) == ((labels == 0).sum() < 10)
    if specific is not None:
        passed = probabilities[labels == 0]
        assert (passed < specific).mean() >= level - 1e-9
        below = probabilities[probabilities < specific]
        assert (passed < below.max()).mean() < level


def test_a_specificity_out_of_reach_has_no_threshold():
    labels = np.array([1] + [0] * 20, np.int8)
    assert at_specificity(labels, np.ones(21, np.float32)) is None
    assert at_specificity(labels, np.full(21, 0.5, np.float32)) == 0.75


def test_thresholds_only_for_findings_that_have_the_cases(cohort):
    scores = cohort()
    scores.labels[:, 7] = 0
    scores.labels[:9, 7] = 1
    chosen = choose(scores)
    assert set(chosen) == {YOUDEN, SENSITIVE, SPECIFIC}
    assert set(KEYS) - set(chosen[YOUDEN]) == {KEYS[3], KEYS[4]}
    assert {KEYS[3], KEYS[4], KEYS[7]} <= set(KEYS) - set(chosen[SENSITIVE])
    assert KEYS[7] in chosen[SPECIFIC]
    assert KEYS[4] in chosen[SPECIFIC]

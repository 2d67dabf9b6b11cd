"""Thresholds by hand, and what the calls at them are worth."""

import numpy as np
import pytest

from molre.evaluation.operating import operating_point
from molre.evaluation.thresholds import choose, youden
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


def test_thresholds_only_for_findings_that_have_both_classes(cohort):
    chosen = choose(cohort())
    assert KEYS[3] not in chosen
    assert KEYS[4] not in chosen
    assert len(chosen) == len(KEYS) - 2

"""Brier score and calibration error, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from molre.evaluation.reliability import brier, reliability


def test_calibration_error_by_hand():
    labels = np.array([0, 1, 1, 1], np.int8)
    probabilities = np.array([0.15, 0.15, 0.95, 1.0], np.float32)
    curve = reliability(labels, probabilities)
    assert curve.count.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.error == pytest.approx((0.35 * 2 + 0.025 * 2) / 4, abs=1e-6)


def test_brier_uses_known_labels_alone():
    labels = np.array([1, 0, 1, 0, -1], np.int8)
    probabilities = np.array([0.8, 0.3, 0.4, 0.6, 0.99], np.float32)
    assert brier(labels, probabilities) == pytest.approx(brier_score_loss(labels[:4], probabilities[:4]), abs=1e-7)
    assert brier(np.array([-1], np.int8), probabilities[:1]) is None


def test_bins_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    probabilities = generator.random(500).astype(np.float32)
    labels = (generator.random(500) < probabilities).astype(np.int8)
    curve = reliability(labels, probabilities)
    observed, predicted = calibration_curve(labels, probabilities, n_bins=10)
    np.testing.assert_allclose(curve.observed, observed, atol=1e-6)
    np.testing.assert_allclose(curve.predicted, predicted, atol=1e-6)

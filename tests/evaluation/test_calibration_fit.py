"""The fit of calibration curves: against scikit-learn, on models that are wrong in a known way, and its rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from molre.evaluation.auc import auc
from molre.evaluation.calibration import LEAST, fit, platt
from molre.evaluation.reliability import brier, reliability
from molre.findings import KEYS


def drawn(rows, *, scale=1.0, shift=0.0, seed=0):
    """Labels drawn from true logits, and logits that need this scale and shift to be true again."""
    generator = np.random.default_rng(seed)
    true = generator.normal(-1, 2, rows)
    labels = (generator.random(rows) < expit(true)).astype(np.int8)
    return labels, (true - shift) / scale


def table(rows=400):
    labels = np.full((rows, len(KEYS)), -1, np.int8)
    return labels, np.zeros((rows, len(KEYS)))


def test_a_known_distortion_is_undone():
    scale, shift = platt(*drawn(40_000, scale=0.4, shift=-2.0))
    assert scale == pytest.approx(0.4, abs=0.02)
    assert shift == pytest.approx(-2.0, abs=0.06)


def test_it_is_the_logistic_regression_of_scikit_learn():
    labels, logits = drawn(5000, scale=0.5, shift=1.0, seed=3)
    # On whole labels, and with so many rows that Platt's targets differ little from them.
    judge = LogisticRegression(C=1e9, tol=1e-8).fit(logits[:, None], labels)
    scale, shift = platt(labels, logits)
    assert scale == pytest.approx(judge.coef_[0, 0], rel=0.01)
    assert shift == pytest.approx(judge.intercept_[0], abs=0.01)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
def test_the_gradient_vanishes_or_the_scale_is_at_its_bound(seed, positives, negatives):
    labels = np.repeat(np.array([1, 0], np.int8), [positives, negatives])
    logits = np.random.default_rng(seed).normal(size=len(labels)) + labels
    scale, shift = platt(labels, logits)
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    gap = expit(scale * logits + shift) - targets
    assert abs(gap.mean()) < 1e-3
    assert abs((gap * logits).mean()) < 1e-3 or scale in (0.05, 20.0)


def test_a_perfect_separation_has_a_finite_curve():
    labels = np.repeat(np.array([1, 0], np.int8), 25)
    scale, shift = platt(labels, np.where(labels == 1, 1.0, -1.0))
    # Both classes reach Platt's targets, 26/27 and 1/27.
    assert expit(scale + shift) == pytest.approx(26 / 27, abs=1e-3)
    assert expit(shift - scale) == pytest.approx(1 / 27, abs=1e-3)


def test_enough_cases_have_their_own_curve_few_share_one_and_none_has_none():
    labels, logits = table()
    for at, shift in ((0, 2.0), (1, -2.0)):
        labels[:, at], logits[:, at] = drawn(400, shift=shift, seed=at)
    for at in range(2, 8):  # ten positives each: sixty together
        labels[:, at] = 0
        labels[:10, at] = 1
        logits[:, at] = np.random.default_rng(at).normal(size=400) + labels[:, at]
    found = fit(labels, logits)
    assert {key: curve.fit for key, curve in found.curves.items()} == dict.fromkeys(KEYS[:2], "own") | dict.fromkeys(
        KEYS[2:8], "shared"
    )
    assert found.curves[KEYS[0]].shift > 1 > -1 > found.curves[KEYS[1]].shift
    assert found.curves[KEYS[2]] == found.curves[KEYS[7]]


def test_too_few_cases_in_all_leave_the_plain_sigmoid():
    labels, logits = table()
    labels[: LEAST - 1, 5] = 1
    labels[LEAST:, 5] = 0
    assert fit(labels, logits).curves == {}


def test_unknown_labels_take_no_part():
    labels, logits = table()
    labels[:200, 0], logits[:200, 0] = drawn(200)
    logits[200:, 0] = 99
    assert fit(labels, logits).curves[KEYS[0]] == fit(labels[:200], logits[:200]).curves[KEYS[0]]


def test_probabilities_get_better_and_the_order_stays():
    labels, logits = table(2000)
    labels[:, 0], logits[:, 0] = drawn(2000, scale=0.3, shift=-1.5)
    logits = logits.astype(np.float32)
    plain = expit(logits[:, 0])
    calibrated = fit(labels, logits).probabilities(logits)[:, 0]
    assert brier(labels[:, 0], calibrated) < brier(labels[:, 0], plain)
    assert reliability(labels[:, 0], calibrated).error < 0.04 < reliability(labels[:, 0], plain).error
    assert auc(labels[:, 0], calibrated) == pytest.approx(auc(labels[:, 0], logits[:, 0]), abs=1e-6)


def test_a_backward_finding_keeps_its_order_near_its_prevalence():
    labels, logits = table()
    labels[:, 0], true = drawn(400)
    logits[:, 0] = -true
    found = fit(labels, logits)
    assert found.curves[KEYS[0]].scale == pytest.approx(0.05)
    assert found.probabilities(logits)[:, 0].mean() == pytest.approx((labels[:, 0] == 1).mean(), abs=0.03)

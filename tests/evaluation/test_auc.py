"""The area and its interval: against scikit-learn, by hand, and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from molre.evaluation.auc import auc, auc_interval, weighted_auc
from molre.evaluation.interval import wilson


def made(rows, *, seed, ties=False, prevalence=0.3):
    generator = np.random.default_rng(seed)
    labels = (generator.random(rows) < prevalence).astype(np.int8)
    scores = generator.normal(size=rows) + labels
    return labels, (np.round(scores) if ties else scores).astype(np.float32)


@pytest.mark.parametrize("ties", [False, True])
def test_area_is_that_of_scikit_learn(ties):
    for seed in range(20):
        labels, scores = made(200, seed=seed, ties=ties)
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_area_by_hand_with_a_tie():
    # positives 3 and 2, negatives 2 and 1: of four pairs three are won and one is a tie.
    labels = np.array([1, 1, 0, 0], np.int8)
    assert auc(labels, np.array([3, 2, 2, 1], np.float32)) == 3.5 / 4


def test_unknown_labels_take_no_part():
    labels, scores = made(100, seed=1)
    masked = np.concatenate([labels, np.full(50, -1, np.int8)])
    noisy = np.concatenate([scores, np.full(50, 99, np.float32)])
    assert auc(masked, noisy) == auc(labels, scores)


@pytest.mark.parametrize(
    ("values", "reason"),
    [([0, 0, -1], "no positives"), ([1, 1, -1], "no negatives"), ([-1, -1, -1], "no known labels")],
)
def test_undefined_is_null_with_its_reason_and_never_a_half(values, reason):
    interval = auc_interval(np.array(values, np.int8), np.arange(3, dtype=np.float32), np.arange(3))
    assert interval.to_json() == {"value": None, "low": None, "high": None, "reason": reason}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30))
def test_a_weight_is_as_many_copies_of_the_row(rows):
    labels = np.array([row[0] for row in rows], np.int8)
    scores = np.array([row[1] for row in rows], np.float32)
    times = np.array([row[2] for row in rows])
    copied = auc(np.repeat(labels, times), np.repeat(scores, times))
    weighted = weighted_auc(labels, scores, times[None].astype(np.float32))[0]
    assert np.isnan(weighted) if copied is None else weighted == pytest.approx(copied, abs=1e-12)


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    labels, scores = made(80, seed=3)
    first, again, other = (auc_interval(labels, scores, np.arange(80), seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_copies_of_a_patients_series_do_not_narrow_the_interval():
    labels, scores = made(60, seed=4)
    once = auc_interval(labels, scores, np.arange(60))
    times = np.repeat(np.arange(60), 5)
    copies = auc_interval(labels[times], scores[times], times)
    assert copies.value == pytest.approx(once.value)
    assert copies.high - copies.low > 0.9 * (once.high - once.low)


def test_one_positive_does_not_give_a_narrow_interval():
    labels = np.zeros(400, np.int8)
    labels[0] = 1
    scores = np.arange(400, 0, -1).astype(np.float32)
    interval = auc_interval(labels, scores, np.arange(400))
    assert interval.value == 1.0
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.2065, abs=1e-3)  # Wilson interval of 1 out of 1


def test_perfect_separation_still_has_an_interval():
    labels = np.repeat(np.array([1, 0], np.int8), 30)
    interval = auc_interval(labels, labels.astype(np.float32), np.arange(60))
    assert (interval.low, interval.high) == (pytest.approx(wilson(1.0, 30)[0]), 1.0)
    assert 0.85 < interval.low < 0.95


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Normal scores one standard deviation apart have the area Phi(1 / sqrt 2) = 0.7602.
    covered, trials = 0, 300
    for trial in range(trials):
        generator = np.random.default_rng(1000 + trial)
        labels = np.repeat(np.array([1, 0], np.int8), [30, 90])
        scores = (generator.normal(size=120) + labels).astype(np.float32)
        interval = auc_interval(labels, scores, np.arange(120), resamples=400, seed=trial)
        covered += interval.low <= 0.76025 <= interval.high
    assert 0.90 <= covered / trials <= 0.98


def test_intervals_of_few_positives_cover_too():
    covered, trials = 0, 300
    for trial in range(trials):
        generator = np.random.default_rng(5000 + trial)
        labels = np.repeat(np.array([1, 0], np.int8), [4, 100])
        scores = (generator.normal(size=104) + labels).astype(np.float32)
        interval = auc_interval(labels, scores, np.arange(104), resamples=200, seed=trial)
        covered += interval.low <= 0.76025 <= interval.high
    assert covered / trials >= 0.93

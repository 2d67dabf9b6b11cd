"""Means over seeds and patients, and what one adapter gains over another, on made-up predictions."""

import numpy as np
import pytest

from molre.benchmarking.gains import areas, gain, with_cases
from molre.evaluation.auc import auc
from molre.evaluation.comparison import compare
from molre.evaluation.interval import FEW
from molre.evaluation.scores import Scores
from molre.findings import KEYS

KNOWN = 6


def labels_of(rows, seed=0, share=0.4):
    labels = np.full((rows, len(KEYS)), -1, np.int8)
    labels[:, :KNOWN] = np.random.default_rng(seed).random((rows, KNOWN)) < share
    return labels


def scored(labels, patients=None, skill=1.0, seed=0):
    """Predictions of a model: noise, and as much of the truth as its skill."""
    logits = np.random.default_rng([1, seed]).normal(size=labels.shape) + skill * (labels == 1)
    rows = len(labels)
    return Scores(
        patients=patients or [f"p{at}" for at in range(rows)],
        studies=[f"s{at}" for at in range(rows)],
        series=[f"r{at}" for at in range(rows)],
        labels=labels,
        probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
    )


def test_values_are_the_mean_of_the_seeds_areas():
    labels = labels_of(80)
    runs = [scored(labels, seed=seed) for seed in range(3)]
    found = areas(runs, resamples=50)
    for at in range(KNOWN):
        alone = [auc(labels[:, at], one.probabilities[:, at]) for one in runs]
        assert found.values[at] == pytest.approx(np.mean(alone))
    assert np.isnan(found.values[KNOWN:]).all()
    assert with_cases(runs[0], 1) == list(range(KNOWN))


def test_runs_in_another_order_of_series_give_the_same():
    labels = labels_of(60)
    first, second = scored(labels, seed=1), scored(labels, seed=2)
    order = np.random.default_rng(3).permutation(60)
    moved = Scores(
        patients=[second.patients[at] for at in order],
        studies=[second.studies[at] for at in order],
        series=[second.series[at] for at in order],
        labels=second.labels[order],
        probabilities=second.probabilities[order],
    )
    one, other = (areas([first, each], resamples=20) for each in (second, moved))
    assert np.array_equal(one.draws, other.draws, equal_nan=True)


def test_a_model_gains_nothing_over_itself():
    labels = labels_of(60)
    mine = areas([scored(labels, seed=seed) for seed in range(3)], resamples=100)
    found = gain(mine, mine, range(KNOWN), range(KNOWN))
    assert (found.macro.value, found.macro.low, found.macro.high, found.p) == (0, 0, 0, 1)
    assert found.seed_wins == 0


def test_of_one_seed_the_interval_is_that_of_the_patients():
    labels = labels_of(300)
    first, second = scored(labels, skill=1.2, seed=1), scored(labels, skill=1.0, seed=2)
    mine = gain(areas([first], resamples=2000), areas([second], resamples=2000), range(KNOWN), range(KNOWN))
    theirs = compare(first, second, resamples=2000).macro
    assert mine.macro.value == pytest.approx(theirs.value)
    assert mine.macro.low == pytest.approx(theirs.low, abs=0.005)
    assert mine.macro.high == pytest.approx(theirs.high, abs=0.005)


def test_seeds_that_differ_widen_the_interval():
    labels = labels_of(300)
    alike = areas([scored(labels, skill=1.0, seed=1)] * 4, resamples=500)
    apart = areas([scored(labels, skill=skill, seed=1) for skill in (0.2, 0.7, 1.3, 1.8)], resamples=500)
    widths = [each.mean(range(KNOWN)).high - each.mean(range(KNOWN)).low for each in (alike, apart)]
    assert widths[1] > 2 * widths[0]


def test_a_true_gain_is_found_and_corrected_for_the_number_of_findings():
    labels = labels_of(400)
    strong = areas([scored(labels, skill=2.0, seed=seed) for seed in range(5)], resamples=400)
    weak = areas([scored(labels, skill=0.5, seed=10 + seed) for seed in range(5)], resamples=400)
    found = gain(strong, weak, range(KNOWN), range(KNOWN))
    assert found.macro.low > 0.1
    assert found.p < 0.01
    assert found.seed_wins == 5
    assert (found.p_holm[:KNOWN] >= found.p_findings[:KNOWN]).all()
    assert (found.p_fdr[:KNOWN] <= found.p_holm[:KNOWN]).all()
    assert np.isnan(found.p_holm[KNOWN:]).all()


def test_two_methods_that_differ_by_chance_alone_are_seldom_called_different():
    claims, trials = 0, 60
    for trial in range(trials):
        labels = labels_of(80, seed=100 + trial)
        one, other = (
            areas([scored(labels, seed=1000 * trial + 10 * which + s) for s in range(4)], resamples=100, seed=trial)
            for which in (0, 1)
        )
        claims += gain(one, other, range(KNOWN), []).p < 0.05
    assert claims <= 0.12 * trials  # the crossed bootstrap errs on the side of fewer; 5 % are aimed at


def test_patients_with_several_series_count_once():
    labels = labels_of(40, share=0.5)
    many = [f"p{at // 8}" for at in range(40)]
    assert with_cases(scored(labels), FEW) == list(range(KNOWN))
    assert with_cases(scored(labels, patients=many), FEW) == []

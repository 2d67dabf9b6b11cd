"""Figures of ranks against pair counts, exhaustive search and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from molre.evaluation.ranking import Ranking

ROWS = st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30)
"""Labels, scores with many ties, and weights."""


def parted(rows):
    labels, scores, times = (np.array(column) for column in zip(*rows, strict=True))
    ranking = Ranking.of(labels.astype(np.int8), scores.astype(np.float32))
    kept = np.repeat(labels, times), np.repeat(scores, times)
    return ranking.counted(times[None].astype(np.float32)), kept[1][kept[0] == 1], kept[1][kept[0] == 0]


def attainable(positive, negative):
    """Sensitivity and specificity of every threshold, one above all scores among them."""
    thresholds = np.unique(np.concatenate([positive, negative, [np.inf]]))
    return [(np.mean(positive >= at), np.mean(negative < at)) for at in thresholds]


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_area_is_the_share_of_pairs_won(rows):
    counted, positive, negative = parted(rows)
    (area,) = counted.auc()
    if not len(positive) or not len(negative):
        assert np.isnan(area)
        return
    won = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    assert area == pytest.approx(won, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from([0.05, 0.5, 0.9, 0.95, 1.0]))
def test_sensitivity_and_specificity_are_the_best_that_a_threshold_gives(rows, level):
    counted, positive, negative = parted(rows)
    (sensitivity,), (specificity,) = counted.sensitivity_at(level), counted.specificity_at(level)
    if not len(positive) or not len(negative):
        assert np.isnan(sensitivity)
        assert np.isnan(specificity)
        return
    points = attainable(positive, negative)
    assert sensitivity == pytest.approx(max(found for found, passed in points if passed >= level - 1e-9), abs=1e-6)
    assert specificity == pytest.approx(max(passed for found, passed in points if found >= level - 1e-9), abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_figures_are_those_of_scikit_learn(ties):
    for seed in range(20):
        generator = np.random.default_rng(seed)
        labels = (generator.random(150) < 0.2).astype(np.int8)
        scores = generator.normal(size=150) + labels
        scores = (np.round(scores) if ties else scores).astype(np.float32)
        counted = Ranking.of(labels, scores).counted(np.ones((1, 150), np.float32))
        assert counted.auc()[0] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert counted.average_precision()[0] == pytest.approx(average_precision_score(labels, scores), abs=1e-6)


def test_a_level_that_is_a_whole_number_of_cases_is_reached():
    # 19 of 20 negatives pass at 0.95, though 0.95 x 20 is not 19 in binary.
    labels = np.array([0] * 20 + [1], np.int8)
    scores = np.array([*range(20), 18.5], np.float32)
    assert Ranking.of(labels, scores).counted(np.ones((1, 21), np.float32)).sensitivity_at(0.95)[0] == 1.0

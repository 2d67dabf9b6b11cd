"""Means, groups, operating points and calibration against hand values."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from molre.errors import ConfigError
from molre.evaluation.metrics import (
    areas,
    average_precision,
    brier,
    group_areas,
    group_detection,
    mean_area,
    operating_point,
    proportion,
    reliability,
)
from molre.evaluation.scores import Scores, from_parquet, to_parquet
from molre.evaluation.thresholds import choose, youden
from molre.evaluation.usage import usage
from molre.findings import FINDINGS, GROUPS, KEYS, index


def cohort(rows=60, *, seed=0, prevalence=0.3):
    generator = np.random.default_rng(seed)
    labels = (generator.random((rows, len(KEYS))) < prevalence).astype(np.int8)
    labels[:, 3] = -1
    labels[:, 4] = 0
    logits = generator.normal(size=labels.shape) + labels
    names = [f"s{at}" for at in range(rows)]
    return Scores(
        patients=[f"p{at // 2}" for at in range(rows)],
        studies=names,
        series=names,
        labels=labels,
        probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
    )


def test_mean_leaves_out_findings_without_an_area():
    found = areas(cohort(), resamples=50)
    interval, defined = mean_area(found, [2, 3, 4, 5])
    assert defined == 2
    assert interval.value == pytest.approx((found.findings[2].value + found.findings[5].value) / 2)
    assert interval.low < interval.value < interval.high


def test_mean_of_nothing_is_undefined_with_a_reason():
    interval, defined = mean_area(areas(cohort(), resamples=0), [3, 4])
    assert (interval.value, defined) == (None, 0)
    assert "no finding has" in interval.reason


def test_min_positives_leaves_out_rare_findings():
    scores = cohort(prevalence=0.02)
    found = areas(scores, resamples=0)
    most = max(found.positives)
    _, defined = mean_area(found, list(range(len(KEYS))), min_positives=most)
    assert defined == found.positives.count(most)


def test_a_rare_finding_does_not_push_the_mean_off_its_interval():
    scores = cohort(200, prevalence=0.3)
    scores.labels[:, 5] = 0
    scores.labels[0, 5] = 1
    scores.probabilities[0, 5] = 0.0  # its area is 0, and a third of the resamples do not hold it
    interval, _ = mean_area(areas(scores, resamples=300), [5, 6])
    assert interval.low < interval.value < interval.high


def test_groups_count_what_stands_behind_them():
    scores = cohort()
    rows = {row["group"]: row for row in group_areas(scores, areas(scores, resamples=20))}
    assert set(rows) == set(GROUPS)
    assert rows["hemorrhage"]["findings_with_auc"] == rows["hemorrhage"]["findings"] - 2
    assert sum(row["positives"] for row in rows.values()) == int((scores.labels == 1).sum())
    assert sum(row["findings"] for row in rows.values()) == len(FINDINGS)


def test_group_is_unknown_only_where_all_its_findings_are():
    scores = cohort(4)
    members = [at for at, finding in enumerate(FINDINGS) if finding.group == "hemorrhage"]
    scores.labels[:, members] = -1
    scores.labels[1, members[0]] = 0
    scores.labels[2, members[1]] = 1
    labels, score = group_detection(scores, "hemorrhage")
    assert labels.tolist() == [-1, 0, 1, -1]
    assert score[0] == scores.probabilities[0, members].max()


def test_operating_point_by_hand():
    labels = np.array([1, 1, 1, 0, 0, -1], np.int8)
    probabilities = np.array([0.9, 0.5, 0.1, 0.5, 0.2, 0.9], np.float32)
    point = operating_point(labels, probabilities, 0.5)
    assert point["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert point["specificity"]["value"] == pytest.approx(1 / 2)


def test_wilson_interval_of_a_published_example():
    # 81 of 263: 0.2553 to 0.3662 (Newcombe, Stat Med 1998;17:857-872, table I, method 3).
    share = proportion(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)


def test_brier_and_average_precision_use_known_labels_alone():
    labels = np.array([1, 0, 1, 0, -1], np.int8)
    probabilities = np.array([0.8, 0.3, 0.4, 0.6, 0.99], np.float32)
    assert brier(labels, probabilities) == pytest.approx(brier_score_loss(labels[:4], probabilities[:4]), abs=1e-7)
    assert average_precision(labels, probabilities) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([0, -1], np.int8), probabilities[:2]) is None


def test_calibration_error_by_hand():
    labels = np.array([0, 1, 1, 1], np.int8)
    probabilities = np.array([0.15, 0.15, 0.95, 1.0], np.float32)
    curve = reliability(labels, probabilities)
    assert curve.count.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.error == pytest.approx((0.35 * 2 + 0.025 * 2) / 4, abs=1e-6)


def test_youden_by_hand_lies_between_scores():
    labels = np.array([0, 0, 1, 0, 1, 1], np.int8)
    probabilities = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9], np.float32)
    # 0.3 and 0.8 both reach 2/3 + 1 - 1; the higher has the fewer false alarms.
    assert youden(labels, probabilities) == pytest.approx(0.6)
    assert youden(np.zeros(6, np.int8), probabilities) is None


def test_thresholds_only_for_findings_that_have_both_classes():
    chosen = choose(cohort())
    assert KEYS[3] not in chosen
    assert KEYS[4] not in chosen
    assert len(chosen) == len(KEYS) - 2


def test_expert_use_by_hand():
    gates = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    use = usage(np.stack([gates, np.full_like(gates, np.nan)], axis=1))
    np.testing.assert_allclose(use.mean, [5 / 12, 5 / 12, 1 / 12, 1 / 12])
    np.testing.assert_allclose(use.dominant, [2 / 3, 1 / 3, 0, 0])
    assert use.entropy == pytest.approx(1 / 3)
    assert 0.8 < use.balance < 0.9
    assert use.effective == pytest.approx(math.exp(-sum(p * math.log(p) for p in use.mean)))
    assert use.routed == 3


def test_predictions_come_back_from_parquet():
    scores = cohort(5)
    again = from_parquet(to_parquet(scores))
    assert (again.patients, again.studies, again.series) == (scores.patients, scores.studies, scores.series)
    np.testing.assert_array_equal(again.labels, scores.labels)
    np.testing.assert_array_equal(again.probabilities, scores.probabilities)


def test_scores_refuse_what_is_no_probability_and_series_scored_twice():
    scores = cohort(3)
    broken = scores.probabilities.copy()
    broken[0, index("epidural_hematoma")] = np.nan
    fields = {name: getattr(scores, name) for name in ("patients", "studies", "series", "labels")}
    with pytest.raises(ConfigError, match="finite"):
        Scores(**fields, probabilities=broken)
    with pytest.raises(ConfigError, match="more than once"):
        Scores(**{**fields, "series": ["a", "a", "b"]}, probabilities=scores.probabilities)

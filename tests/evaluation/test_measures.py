"""Figures of findings and their means, against hand values and scikit-learn."""

import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from molre.evaluation.measures import COMMON, METRICS, group_detection, group_rows, macro_rows, measures
from molre.findings import FINDINGS, GROUPS, KEYS


def test_group_is_unknown_only_where_all_its_findings_are(cohort):
    scores = cohort(4)
    members = [at for at, finding in enumerate(FINDINGS) if finding.group == "hemorrhage"]
    scores.labels[:, members] = -1
    scores.labels[1, members[0]] = 0
    scores.labels[2, members[1]] = 1
    labels, score = group_detection(scores, "hemorrhage")
    assert labels.tolist() == [-1, 0, 1, -1]
    assert score[0] == scores.probabilities[0, members].max()


def test_a_mean_leaves_out_findings_without_an_area(cohort):
    found = measures(cohort(), resamples=50)
    interval, counted = found.mean("auc", [2, 3, 4, 5])
    assert counted == 2
    assert interval.value == pytest.approx((found.areas[2].value + found.areas[5].value) / 2)
    assert interval.low < interval.value < interval.high
    assert [row["key"] for row in found.left_out()] == [KEYS[3], KEYS[4]]
    assert [row["reason"] for row in found.left_out()] == ["no known labels", "no positives"]


def test_a_mean_of_nothing_is_undefined_with_a_reason(cohort):
    interval, counted = measures(cohort(), resamples=0).mean("auc", [3, 4])
    assert (interval.value, counted) == (None, 0)
    assert "no finding has" in interval.reason


def test_the_mean_of_common_findings_needs_positives_and_negatives(cohort):
    scores = cohort()
    scores.labels[:, 7] = 1
    scores.labels[: COMMON - 1, 7] = 0  # one negative too few
    scores.labels[:, 8] = 0
    scores.labels[:COMMON, 8] = 1
    found = measures(scores, resamples=0)
    assert found.counted([7, 8], COMMON) == [8]
    out = {row["key"]: row for row in found.left_out(COMMON)}
    assert out[KEYS[7]]["negatives"] == COMMON - 1
    assert KEYS[8] not in out


def test_a_rare_finding_does_not_push_the_mean_off_its_interval(cohort):
    scores = cohort(200)
    scores.labels[:, 5] = 0
    scores.labels[0, 5] = 1
    scores.probabilities[0, 5] = 0.0  # its area is 0, and a third of the resamples do not hold it
    interval, _ = measures(scores, resamples=300).mean("auc", [5, 6])
    assert interval.low < interval.value < interval.high


def test_means_weighted_by_prevalence_are_those_of_scikit_learn(cohort):
    scores = cohort(120, prevalence=0.2)
    scores.labels[::2, 10] = 0
    macro = macro_rows(measures(scores, resamples=0))
    kept = [at for at in range(len(KEYS)) if at not in (3, 4)]
    truth, predicted = scores.labels[:, kept], scores.probabilities[:, kept]
    for metric, judge in (("auc", roc_auc_score), ("average_precision", average_precision_score)):
        assert macro[metric]["value"] == pytest.approx(judge(truth, predicted, average="macro"), abs=1e-6)
        weighted = macro["prevalence_weighted"][metric]["value"]
        assert weighted == pytest.approx(judge(truth, predicted, average="weighted"), abs=1e-6)


def test_prevalence_is_among_the_known_labels(cohort):
    scores = cohort()
    scores.labels[:, 6] = -1
    scores.labels[:4, 6] = (1, 0, 0, 0)
    assert measures(scores, resamples=0).prevalence[6] == 0.25


def test_every_figure_of_a_finding_lies_in_its_interval(cohort):
    found = measures(cohort(100), resamples=200)
    for metric in METRICS:
        interval = found.interval(metric, 0)
        assert interval.value is not None
        if metric != "ece":
            assert interval.low <= interval.value <= interval.high, metric
    assert found.interval("auc", 4).reason == "no positives"


def test_groups_count_what_stands_behind_them(cohort):
    scores = cohort()
    rows = {row["group"]: row for row in group_rows(scores, measures(scores, resamples=20))}
    assert set(rows) == set(GROUPS)
    assert rows["hemorrhage"]["findings_with_auc"] == rows["hemorrhage"]["findings"] - 2
    assert sum(row["positives"] for row in rows.values()) == int((scores.labels == 1).sum())
    assert sum(row["findings"] for row in rows.values()) == len(FINDINGS)

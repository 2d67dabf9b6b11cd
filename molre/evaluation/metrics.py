"""Figures of a set of predictions: areas by finding, by group and overall, operating points, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8
from sklearn.metrics import average_precision_score

from molre.evaluation.auc import Interval, auc, auc_interval, joint_auc, percentile, wilson
from molre.evaluation.scores import Scores
from molre.findings import FINDINGS, GROUPS, UNKNOWN

ECE_BINS = 10
"""Equal-width bins of the calibration error, as in Guo et al., ICML 2017 (they use 15 on far larger test sets)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Areas:
    """AUCs of a set of predictions.

    Attributes:
        findings: one interval a finding, in the order of ``findings.csv``.
        joint: areas of every finding on common resamples, for means over findings.
        positives: known positives of each finding.
        negatives: known negatives of each finding.
    """

    findings: list[Interval]
    joint: Float64[np.ndarray, "findings resamples"]
    positives: list[int]
    negatives: list[int]


def areas(scores: Scores, *, resamples: int = 1000, seed: int = 0) -> Areas:
    """AUC of each finding with its interval, and the common resamples."""
    clusters = scores.clusters
    columns = range(len(FINDINGS))
    return Areas(
        findings=[
            auc_interval(
                scores.labels[:, at], scores.probabilities[:, at], clusters, resamples=resamples, seed=[seed, 1 + at]
            )
            for at in columns
        ],
        joint=joint_auc(scores.labels, scores.probabilities, clusters, resamples=resamples, seed=[seed, 0]),
        positives=[int((scores.labels[:, at] == 1).sum()) for at in columns],
        negatives=[int((scores.labels[:, at] == 0).sum()) for at in columns],
    )


def mean_area(found: Areas, members: list[int], *, min_positives: int = 1) -> tuple[Interval, int]:
    """Mean AUC over the findings among ``members`` that have one, and how many those are.

    Args:
        found: what :func:`areas` gave.
        members: positions of the findings to average.
        min_positives: findings with fewer known positives take no part.
    """
    defined = [
        at for at in members if found.findings[at].value is not None and found.positives[at] >= max(1, min_positives)
    ]
    if not defined:
        wanted = "both positives and negatives" if min_positives <= 1 else f"at least {min_positives} positives"
        return Interval(value=None, reason=f"no finding has {wanted}"), 0
    values = np.array([found.findings[at].value for at in defined], np.float64)
    joint = found.joint[defined]
    # A resample may hold no positive of a rare finding. Leaving the finding out there would pull the mean towards the
    # common findings and off its own interval; its own area keeps it centred.
    means = np.where(np.isfinite(joint), joint, values[:, None]).mean(axis=0)
    value = float(values.mean())
    return percentile(value, means), len(defined)


def group_members(group: str) -> list[int]:
    """Positions of the findings of a group."""
    return [at for at, finding in enumerate(FINDINGS) if finding.group == group]


def group_detection(scores: Scores, group: str) -> tuple[Int8[np.ndarray, "rows"], Float32[np.ndarray, "rows"]]:
    """The group as one question, "is anything of it there?": a label and a score a row.

    A row is positive if any finding of the group is; negative if at least one is known and none is positive; else
    unknown. Its score is the highest probability among the group's findings.
    """
    members = group_members(group)
    labels = scores.labels[:, members]
    answer = np.where((labels == 1).any(axis=1), 1, np.where((labels == 0).any(axis=1), 0, UNKNOWN)).astype(np.int8)
    return answer, scores.probabilities[:, members].max(axis=1)


def group_areas(scores: Scores, found: Areas) -> list[dict[str, Any]]:
    """AUC by group, a mean over its findings, with the counts that stand behind it."""
    rows = []
    for group in GROUPS:
        members = group_members(group)
        interval, defined = mean_area(found, members)
        labels, detection = group_detection(scores, group)
        rows.append(
            {
                "group": group,
                "auc": interval.to_json(),
                "findings": len(members),
                "findings_with_auc": defined,
                "positives": sum(found.positives[at] for at in members),
                "negatives": sum(found.negatives[at] for at in members),
                "positive_series": int((labels == 1).sum()),
                "any_finding_auc": auc(labels, detection),
            }
        )
    return rows


def proportion(successes: int, trials: int) -> Interval:
    """A proportion with its Wilson interval, undefined without trials."""
    if not trials:
        return Interval(value=None, reason="no cases")
    low, high = wilson(successes / trials, trials)
    return Interval(value=successes / trials, low=low, high=high)


def operating_point(
    labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"], threshold: float
) -> dict[str, Any]:
    """Sensitivity and specificity where ``probability >= threshold`` counts as positive."""
    flagged = probabilities >= np.float32(threshold)
    sick, well = labels == 1, labels == 0
    sensitivity = proportion(int((flagged & sick).sum()), int(sick.sum()))
    specificity = proportion(int((~flagged & well).sum()), int(well.sum()))
    return {"sensitivity": sensitivity.to_json(), "specificity": specificity.to_json()}


def average_precision(labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"]) -> float | None:
    """Mean precision over the ranks of the positives, or None without positives."""
    known = labels >= 0
    if not (labels == 1).any():
        return None
    return float(average_precision_score(labels[known], probabilities[known]))


def brier(labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"]) -> float | None:
    """Mean squared distance between probability and truth (Brier, Mon Weather Rev 1950;78:1-3), or None."""
    known = labels >= 0
    if not known.any():
        return None
    return float(np.mean((probabilities[known].astype(np.float64) - labels[known]) ** 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """How often findings are there among predictions of like probability.

    Attributes:
        predicted: mean probability in each bin; NaN in an empty bin.
        observed: share of positives in each bin; NaN in an empty bin.
        count: predictions in each bin.
    """

    predicted: Float64[np.ndarray, "bins"]
    observed: Float64[np.ndarray, "bins"]
    count: Float64[np.ndarray, "bins"]

    @property
    def error(self) -> float | None:
        """Expected calibration error: mean gap between predicted and observed, weighted by count."""
        if not self.count.sum():
            return None
        used: Bool[np.ndarray, "bins"] = self.count > 0
        gaps = np.abs(self.predicted - self.observed)[used]
        return float(np.average(gaps, weights=self.count[used]))


def reliability(
    labels: Int8[np.ndarray, "*shape"], probabilities: Float32[np.ndarray, "*shape"], bins: int = ECE_BINS
) -> Reliability:
    """Predicted against observed frequency over the known labels, in bins of equal width."""
    known = labels >= 0
    truth, predicted = labels[known].astype(np.float64), probabilities[known].astype(np.float64)
    place = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    empty = np.full(bins, np.nan)
    return Reliability(
        predicted=np.divide(np.bincount(place, predicted, bins), count, out=empty.copy(), where=count > 0),
        observed=np.divide(np.bincount(place, truth, bins), count, out=empty.copy(), where=count > 0),
        count=count,
    )

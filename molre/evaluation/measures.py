"""Every figure of every finding, and their means by group and over all.

A mean leaves out what is undefined, and says what it left out. A finding without a positive or without a negative has
no figure of ranks: the plain mean is over the findings that have both. A finding with a handful of either has a figure
that chance rules: the second mean is over the findings with ``COMMON`` of both. The third weighs each finding by its
prevalence among its known labels, so that it speaks of the findings that a reader meets; with every label known these
are the weights of scikit-learn's ``average="weighted"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from molre.evaluation.auc import auc, auc_interval
from molre.evaluation.bootstrap import Weights, resampled
from molre.evaluation.interval import Interval, percentile
from molre.evaluation.ranking import Ranking
from molre.evaluation.reliability import reliability
from molre.evaluation.scores import Scores
from molre.findings import FINDINGS, GROUPS, UNKNOWN

COMMON = 10
"""Positives, and negatives, from which a finding counts for the mean that rare findings do not sway."""

LEVELS = (0.90, 0.95)
"""Specificities at which sensitivity is given, and the reverse: the usual points of a second reader and of a triage
that must miss little. Chosen by this project."""

RANKED: tuple[str, ...] = (
    "auc",
    "average_precision",
    *(f"sensitivity_at_specificity_{level:.2f}" for level in LEVELS),
    *(f"specificity_at_sensitivity_{level:.2f}" for level in LEVELS),
)
"""Figures that need both positives and negatives, computed from the order of the scores."""

RESAMPLED = (*RANKED, "brier")
"""Figures that have bootstrap intervals."""

METRICS = (*RESAMPLED, "ece")
"""All figures; the calibration error has no interval, since resampling moves its bias (Reliability.error)."""


def enough(positives: int, negatives: int, least: int = COMMON) -> bool:
    """Whether a finding with so many known cases counts for a mean; one of either is the least there can be."""
    return min(positives, negatives) >= max(1, least)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """Figures of a set of predictions.

    Attributes:
        areas: AUC of each finding with an interval of its own, in the order of ``findings.csv``.
        values: by metric, the figure of each finding; NaN where it is undefined.
        draws: by metric, the same on common resamples, for means over findings; no column for the calibration error.
        positives: known positives of each finding.
        negatives: known negatives of each finding.
    """

    areas: list[Interval]
    values: Mapping[str, Float64[np.ndarray, "findings"]]
    draws: Mapping[str, Float64[np.ndarray, "findings resamples"]]
    positives: Int64[np.ndarray, "findings"]
    negatives: Int64[np.ndarray, "findings"]

    @property
    def prevalence(self) -> Float64[np.ndarray, "findings"]:
        """Share of positives among the known labels; 0 where none is known."""
        return self.positives / np.maximum(self.positives + self.negatives, 1)

    def interval(self, metric: str, at: int) -> Interval:
        """A figure of one finding with its interval, as a share of the resamples in which it is defined."""
        if metric == "auc":
            return self.areas[at]
        value = self.values[metric][at]
        if not np.isfinite(value):
            return Interval(value=None, reason=self.areas[at].reason)
        return percentile(float(value), self.draws[metric][at])

    def counted(self, members: Sequence[int], least: int) -> list[int]:
        """Those of the findings that have ``least`` known positives and as many known negatives."""
        return [at for at in members if enough(int(self.positives[at]), int(self.negatives[at]), least)]

    def mean(
        self, metric: str, members: Sequence[int], *, least: int = 1, by_prevalence: bool = False
    ) -> tuple[Interval, int]:
        """Mean of a figure over findings, and how many those are.

        Args:
            metric: one of ``METRICS``.
            members: positions of the findings.
            least: known positives, and negatives, that a finding needs to take part.
            by_prevalence: weigh findings by prevalence instead of evenly.
        """
        counted = self.counted(members, least)
        if not counted:
            wanted = "both positives and negatives" if least <= 1 else f"at least {least} positives and negatives"
            return Interval(value=None, reason=f"no finding has {wanted}"), 0
        weights = self.prevalence[counted] if by_prevalence else np.ones(len(counted))
        values = self.values[metric][counted]
        return mean_interval(values, self.draws[metric][counted], weights), len(counted)

    def left_out(self, least: int = 1) -> list[dict[str, Any]]:
        """The findings that take no part in a mean, with the counts that are the reason."""
        counted = set(self.counted(range(len(FINDINGS)), least))
        return [
            {
                "key": finding.key,
                "positives": int(self.positives[at]),
                "negatives": int(self.negatives[at]),
                "reason": self.areas[at].reason or f"fewer than {least} positives or negatives",
            }
            for at, finding in enumerate(FINDINGS)
            if at not in counted
        ]


def mean_interval(
    values: Float64[np.ndarray, "findings"],
    draws: Float64[np.ndarray, "findings resamples"],
    weights: Float64[np.ndarray, "findings"] | None = None,
) -> Interval:
    """Mean of figures with the percentile interval over their common resamples.

    A resample may hold no positive of a rare finding. Leaving the finding out there would pull the mean towards the
    common findings and off its own interval; its own figure keeps it centred.
    """
    mean = float(np.average(values, weights=weights))
    if not draws.shape[1]:
        return Interval(value=mean)
    filled = np.where(np.isfinite(draws), draws, values[:, None])
    return percentile(mean, np.average(filled, axis=0, weights=weights))


def measures(scores: Scores, *, resamples: int = 1000, seed: int = 0) -> Measures:
    """All figures of all findings, and the resamples behind their intervals.

    Args:
        scores: predictions with their labels.
        resamples: bootstrap resamples of patients; 0 gives the values alone.
        seed: the same seed gives the same figures.
    """
    clusters, count = scores.clusters, len(FINDINGS)
    statistics = _Statistics(scores)
    draws = resampled(statistics, clusters, resamples=resamples, seed=[seed, 0]).reshape(len(RESAMPLED), count, -1)
    values = statistics(np.ones((1, len(clusters)), np.float32)).reshape(len(RESAMPLED), count)
    errors = [reliability(scores.labels[:, at], scores.probabilities[:, at]).error for at in range(count)]
    return Measures(
        areas=[
            auc_interval(
                scores.labels[:, at], scores.probabilities[:, at], clusters, resamples=resamples, seed=[seed, 1 + at]
            )
            for at in range(count)
        ],
        values=dict(zip(RESAMPLED, values, strict=True)) | {"ece": np.array(errors, np.float64)},
        draws=dict(zip(RESAMPLED, draws, strict=True)) | {"ece": np.empty((count, 0))},
        positives=(scores.labels == 1).sum(axis=0),
        negatives=(scores.labels == 0).sum(axis=0),
    )


class _Statistics:
    """The resampled figures of every finding from the weights of the rows."""

    def __init__(self, scores: Scores) -> None:
        self._rankings = [Ranking.of(scores.labels[:, at], scores.probabilities[:, at]) for at in range(len(FINDINGS))]
        self._known = (scores.labels >= 0).astype(np.float32)
        self._squares = np.square(scores.probabilities - scores.labels) * self._known

    def __call__(self, weights: Weights) -> Float64[np.ndarray, "figures resamples"]:
        ranked = np.stack([_ranked(ranking, weights) for ranking in self._rankings], axis=1)
        known = weights @ self._known
        brier = np.divide(weights @ self._squares, known, out=np.full_like(known, np.nan), where=known > 0)
        return np.concatenate([*ranked, brier.T.astype(np.float64)])


def _ranked(ranking: Ranking, weights: Weights) -> Float64[np.ndarray, "metrics resamples"]:
    counted = ranking.counted(weights)
    return np.stack(
        [
            counted.auc(),
            counted.average_precision(),
            *(counted.sensitivity_at(level) for level in LEVELS),
            *(counted.specificity_at(level) for level in LEVELS),
        ]
    )


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


def group_rows(scores: Scores, found: Measures) -> list[dict[str, Any]]:
    """Figures by group, means over its findings, with the counts that stand behind them."""
    rows = []
    for group in GROUPS:
        members = group_members(group)
        labels, detection = group_detection(scores, group)
        rows.append(
            {"group": group}
            | {metric: found.mean(metric, members)[0].to_json() for metric in METRICS}
            | {
                "findings": len(members),
                "findings_with_auc": len(found.counted(members, 1)),
                "positives": int(found.positives[members].sum()),
                "negatives": int(found.negatives[members].sum()),
                "positive_series": int((labels == 1).sum()),
                "any_finding_auc": auc(labels, detection),
            }
        )
    return rows


def macro_rows(found: Measures) -> dict[str, Any]:
    """Means over all findings: of all that have an AUC, of the common ones, and weighted by prevalence."""
    everything = range(len(FINDINGS))

    def means(**rule: Any) -> dict[str, Any]:
        said = {metric: found.mean(metric, everything, **rule)[0].to_json() for metric in METRICS}
        return said | {"findings": len(found.counted(everything, rule.get("least", 1)))}

    return means() | {
        "left_out": found.left_out(),
        "common": {"min_positives": COMMON, "min_negatives": COMMON}
        | means(least=COMMON)
        | {"left_out": found.left_out(COMMON)},
        "prevalence_weighted": means(by_prevalence=True),
    }

"""Area under the ROC curve, and its bootstrap interval by resampling patients.

The area is the Mann-Whitney statistic: the chance that a positive scores above a negative, a tie counting half
(Hanley & McNeil, Radiology 1982;143:29-36). Where there is no positive or no negative it is undefined and stays so:
a figure such as 0.5 would pass for a result.

Intervals are percentile bootstrap intervals that draw whole patients, since series of one patient are not independent
(Field & Welsh, J R Stat Soc B 2007;69:369-390). Labels of -1 (unknown) take no part.

Few cases defeat the bootstrap: one positive drawn again and again does not vary, and a perfect separation gives an
interval of no width. There the interval is widened to a Wilson interval whose number of trials is the smaller class,
since the variance of the area is at most A(1-A)/min(m, n) (Birnbaum & Klose, Ann Math Stat 1957;28:933-945).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

LEVEL = 0.95
"""Coverage that every interval aims at."""

FEW = 10
"""Patients of the smaller class below which an interval is widened."""

_WILSON_Z = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""

_CELLS = 2**24
"""Weights held at once, so that a cohort of any size fits in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: the estimate; None where it is undefined.
        low: lower end; None where it is undefined.
        high: upper end; None where it is undefined.
        reason: why the value is undefined, in words.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, float | str | None]:
        """The form in which a report holds it; ``reason`` only where there is one."""
        figures: dict[str, float | str | None] = {"value": self.value, "low": self.low, "high": self.high}
        return figures | ({"reason": self.reason} if self.reason else {})


def why_undefined(labels: Int8[np.ndarray, "rows"]) -> str | None:
    """Why these labels have no AUC, or None where they have one."""
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if positives and negatives:
        return None
    if not positives and not negatives:
        return "no known labels"
    return "no positives" if not positives else "no negatives"


def auc(labels: Int8[np.ndarray, "rows"], scores: Float32[np.ndarray, "rows"]) -> float | None:
    """Area under the ROC curve over the known labels, or None where it is undefined."""
    if why_undefined(labels):
        return None
    return float(weighted_auc(labels, scores, np.ones((len(labels), 1), np.float32))[0])


def weighted_auc(
    labels: Int8[np.ndarray, "rows"],
    scores: Float32[np.ndarray, "rows"],
    weights: Float32[np.ndarray, "rows resamples"],
) -> Float64[np.ndarray, "resamples"]:
    """The area under many weightings of the same rows at once.

    Args:
        labels: 1, 0, or -1 for a row that takes no part.
        scores: higher means more likely positive.
        weights: how often each row occurs in each resample, whole numbers.

    Returns:
        One area a resample; NaN where a resample has no positive or no negative.
    """
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    negative = negative[np.argsort(scores[negative], kind="stable")]
    # Weight of the negatives below each position of their order: whole numbers, so exact in float32 up to 2^24.
    below = np.zeros((len(negative) + 1, weights.shape[1]), np.float32)
    np.cumsum(weights[negative], axis=0, out=below[1:])
    left = np.searchsorted(scores[negative], scores[positive], side="left")
    right = np.searchsorted(scores[negative], scores[positive], side="right")
    weight = weights[positive]
    wins = np.einsum("pr,pr->r", weight, below[left] + below[right], dtype=np.float64) / 2
    pairs = weight.sum(axis=0, dtype=np.float64) * below[-1].astype(np.float64)
    return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def patient_draws(
    strata: list[Int64[np.ndarray, "_"]], patients: int, resamples: int, generator: np.random.Generator
) -> Float32[np.ndarray, "patients resamples"]:
    """How often each patient is drawn in each resample, each stratum keeping its size.

    Args:
        strata: the patients' numbers, parted into strata.
        patients: how many patients there are in all; those in no stratum get 0.
        resamples: how many resamples to draw.
        generator: source of the draws.
    """
    counts = np.zeros((patients, resamples), np.float32)
    for members in strata:
        drawn = generator.integers(0, len(members), (len(members), resamples), dtype=np.int32).astype(np.int64)
        cells = (drawn * resamples + np.arange(resamples)).ravel()
        counts[members] = np.bincount(cells, minlength=len(members) * resamples).reshape(len(members), resamples)
    return counts


def blocks(rows: int, resamples: int) -> list[int]:
    """Resamples parted into sizes that fit in memory, the same for the same numbers."""
    size = max(1, min(resamples, _CELLS // max(1, rows)))
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def auc_interval(
    labels: Int8[np.ndarray, "rows"],
    scores: Float32[np.ndarray, "rows"],
    clusters: Int64[np.ndarray, "rows"],
    *,
    resamples: int = 1000,
    seed: int | list[int] = 0,
) -> Interval:
    """Area with its bootstrap interval for one finding.

    Patients with and without a positive are drawn apart, so that a rare finding keeps its positives in every
    resample. Patients whose label is unknown throughout take no part.

    Args:
        labels: 1, 0 or -1.
        scores: higher means more likely positive.
        clusters: number of the patient of each row, from 0.
        resamples: bootstrap resamples; 0 gives the value alone.
        seed: the same seed gives the same interval.
    """
    reason = why_undefined(labels)
    if reason:
        return Interval(value=None, reason=reason)
    known = labels >= 0
    labels, scores = labels[known], scores[known]
    clusters = np.unique(clusters[known], return_inverse=True)[1].astype(np.int64)
    patients = int(clusters.max()) + 1
    affected = np.zeros(patients, bool)
    affected[clusters[labels == 1]] = True
    cases = min(int(affected.sum()), len(np.unique(clusters[labels == 0])))
    strata = [members for members in (np.flatnonzero(affected), np.flatnonzero(~affected)) if len(members)]
    generator = np.random.default_rng(seed)
    areas = [
        weighted_auc(labels, scores, patient_draws(strata, patients, block, generator)[clusters])
        for block in blocks(len(labels), resamples)
    ]
    interval = percentile(auc(labels, scores), np.concatenate(areas) if areas else np.empty(0))
    return widened(interval, cases) if cases < FEW or interval.low == interval.high else interval


def joint_auc(
    labels: Int8[np.ndarray, "rows findings"],
    scores: Float32[np.ndarray, "rows findings"],
    clusters: Int64[np.ndarray, "rows"],
    *,
    resamples: int = 1000,
    seed: int | list[int] = 0,
) -> Float64[np.ndarray, "findings resamples"]:
    """Areas of every finding on the same resamples of patients, from which means over findings get their intervals.

    The findings share patients, so their errors go together: intervals of a mean need joint draws. No stratum can
    keep the positives of 75 findings at once; a resample without a positive of a finding gives NaN there.
    """
    patients = int(clusters.max()) + 1 if len(clusters) else 0
    generator = np.random.default_rng(seed)
    everyone = [np.arange(patients, dtype=np.int64)] if patients else []
    parts = [np.empty((labels.shape[1], 0))]
    for block in blocks(len(labels), resamples):
        weights = patient_draws(everyone, patients, block, generator)[clusters]
        parts.append(np.stack([weighted_auc(labels[:, at], scores[:, at], weights) for at in range(labels.shape[1])]))
    return np.concatenate(parts, axis=1)


def widened(interval: Interval, cases: int) -> Interval:
    """The interval, and the Wilson interval of the same value over that many cases, whichever reaches further."""
    if interval.value is None or interval.low is None or interval.high is None:
        return interval
    outer = wilson(interval.value, cases)
    return Interval(value=interval.value, low=min(interval.low, outer[0]), high=max(interval.high, outer[1]))


def wilson(share: float, trials: int) -> tuple[float, float]:
    """Wilson score interval of a proportion at 95 % (Wilson, J Am Stat Assoc 1927;22:209-212)."""
    z2 = _WILSON_Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _WILSON_Z / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return min(share, max(0.0, float(centre - half))), max(share, min(1.0, float(centre + half)))


def percentile(value: float | None, resampled: Float64[np.ndarray, "resamples"]) -> Interval:
    """The percentile interval of an estimate; resamples in which it is undefined (NaN) are left out."""
    defined = resampled[np.isfinite(resampled)]
    if value is None or not len(defined):
        return Interval(value=value)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=float(low), high=float(high))

"""Area under the ROC curve, and its bootstrap interval by resampling patients.

The area is the Mann-Whitney statistic: the chance that a positive scores above a negative, a tie counting half
(Hanley & McNeil, Radiology 1982;143:29-36). Where there is no positive or no negative it is undefined and stays so:
a figure such as 0.5 would pass for a result.

Intervals are percentile bootstrap intervals that draw whole patients (:mod:`molre.evaluation.bootstrap`). Labels of -1
(unknown) take no part.

Few cases defeat the bootstrap: one positive drawn again and again does not vary, and a perfect separation gives an
interval of no width. There the interval is widened to a Wilson interval whose number of trials is the smaller class,
since the variance of the area is at most A(1-A)/min(m, n) (Birnbaum & Klose, Ann Math Stat 1957;28:933-945).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from molre.evaluation.bootstrap import Weights, row_weights
from molre.evaluation.interval import FEW, Interval, percentile, widened
from molre.evaluation.ranking import Ranking


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
    return float(weighted_auc(labels, scores, np.ones((1, len(labels)), np.float32))[0])


def weighted_auc(
    labels: Int8[np.ndarray, "rows"], scores: Float32[np.ndarray, "rows"], weights: Weights
) -> Float64[np.ndarray, "resamples"]:
    """The area under many weightings of the same rows at once.

    Args:
        labels: 1, 0, or -1 for a row that takes no part.
        scores: higher means more likely positive.
        weights: how often each row occurs in each resample, whole numbers.

    Returns:
        One area a resample; NaN where a resample has no positive or no negative.
    """
    return Ranking.of(labels, scores).counted(weights).auc()


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
    affected = np.zeros(int(clusters.max()) + 1, bool)
    affected[clusters[labels == 1]] = True
    cases = min(int(affected.sum()), len(np.unique(clusters[labels == 0])))
    strata = [members for members in (np.flatnonzero(affected), np.flatnonzero(~affected)) if len(members)]
    ranking = Ranking.of(labels, scores)
    areas = [
        ranking.counted(weights).auc() for weights in row_weights(clusters, strata, resamples=resamples, seed=seed)
    ]
    interval = percentile(auc(labels, scores), np.concatenate([np.empty(0), *areas]))
    return widened(interval, cases) if cases < FEW or interval.low == interval.high else interval

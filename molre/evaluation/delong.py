"""Variance of areas under ROC curves without resampling, and of the difference of two on the same rows.

DeLong, DeLong & Clarke-Pearson (Biometrics 1988;44:837-845) take every row as independent. Where a patient has several
series or studies that does not hold, and the variance comes out too small. Obuchowski (Biometrics 1997;53:567-578)
sums DeLong's components over each patient first: that is what is computed here. With one row a patient both are the
same to the last digit. The components come from midranks in O(n log n) (Sun & Xu, IEEE Signal Process Lett
2014;21:1389-1393).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64
from scipy.stats import norm, rankdata

from molre.evaluation.interval import Interval, Z


@dataclass(frozen=True, kw_only=True, slots=True)
class JointAreas:
    """Areas of several models on the same rows.

    Attributes:
        areas: one a model.
        covariance: of their estimates.
    """

    areas: Float64[np.ndarray, "models"]
    covariance: Float64[np.ndarray, "models models"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedTest:
    """Test of whether two models have the same area.

    Attributes:
        difference: area of the first less that of the second, with its 95 % interval.
        z: difference over its standard error; None where the two rank all cases alike.
        p: two-sided probability of such a difference or a greater one if there is none; 1 where z is None.
    """

    difference: Interval
    z: float | None
    p: float


def placements(
    labels: Int8[np.ndarray, "rows"], scores: Float32[np.ndarray, "rows models"]
) -> tuple[Float64[np.ndarray, "positives models"], Float64[np.ndarray, "negatives models"]]:
    """DeLong's structural components: how much of the other class each row stands on the right side of.

    Args:
        labels: 1 or 0, with at least one of each.
        scores: higher means more likely positive.

    Returns:
        For each positive the share of negatives below it, and for each negative the share of positives above it, a
        tie counting half.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    among_all = rankdata(np.concatenate([positive, negative]), axis=0)
    cases = len(positive)
    above = (among_all[:cases] - rankdata(positive, axis=0)) / len(negative)
    under = 1 - (among_all[cases:] - rankdata(negative, axis=0)) / cases
    return above, under


def joint_areas(
    labels: Int8[np.ndarray, "rows"],
    scores: Float32[np.ndarray, "rows models"],
    clusters: Int64[np.ndarray, "rows"],
) -> JointAreas | None:
    """Areas of models on the same rows with their covariance, series of one patient taken together.

    Args:
        labels: 1, 0, or -1 for a row that takes no part.
        scores: higher means more likely positive.
        clusters: number of the patient of each row.

    Returns:
        None with fewer than two patients with a positive or fewer than two with a negative, where there is no variance.
    """
    known = labels >= 0
    labels, scores = labels[known], scores[known]
    clusters = np.unique(clusters[known], return_inverse=True)[1]
    patients = int(clusters.max()) + 1 if len(clusters) else 0
    sick = np.bincount(clusters[labels == 1], minlength=patients)
    well = np.bincount(clusters[labels == 0], minlength=patients)
    if min((sick > 0).sum(), (well > 0).sum()) < 2:
        return None
    above, under = placements(labels, scores)
    areas = above.mean(axis=0)
    positive = _summed(above, clusters[labels == 1], patients) - sick[:, None] * areas
    negative = _summed(under, clusters[labels == 0], patients) - well[:, None] * areas
    cross = _spread(positive, negative, patients) / (sick.sum() * well.sum())
    return JointAreas(
        areas=areas,
        covariance=_spread(positive, positive, int((sick > 0).sum())) / sick.sum() ** 2
        + _spread(negative, negative, int((well > 0).sum())) / well.sum() ** 2
        + cross
        + cross.T,
    )


def delong_interval(
    labels: Int8[np.ndarray, "rows"], scores: Float32[np.ndarray, "rows"], clusters: Int64[np.ndarray, "rows"]
) -> Interval:
    """Area of one model with its interval of normal theory, cut at 0 and 1.

    A perfect separation has a variance of 0 here and so an interval of no width, which says too much: read the
    bootstrap interval there, which is widened (:func:`molre.evaluation.auc.auc_interval`).
    """
    found = joint_areas(labels, scores[:, None], clusters)
    if found is None:
        return Interval(value=None, reason="fewer than two patients with positives or with negatives")
    area, half = float(found.areas[0]), Z * float(np.sqrt(max(found.covariance[0, 0], 0.0)))
    return Interval(value=area, low=max(0.0, area - half), high=min(1.0, area + half))


def delong_test(
    labels: Int8[np.ndarray, "rows"],
    first: Float32[np.ndarray, "rows"],
    second: Float32[np.ndarray, "rows"],
    clusters: Int64[np.ndarray, "rows"],
) -> PairedTest | None:
    """Test of the difference of two areas on the same rows; None where there is no variance to test it with."""
    found = joint_areas(labels, np.stack([first, second], axis=1), clusters)
    if found is None:
        return None
    contrast = np.array([1.0, -1.0])
    difference, variance = float(contrast @ found.areas), float(contrast @ found.covariance @ contrast)
    error = float(np.sqrt(max(variance, 0.0)))
    if error < _NOTHING:
        return PairedTest(difference=Interval(value=difference, low=difference, high=difference), z=None, p=1.0)
    interval = Interval(value=difference, low=difference - Z * error, high=difference + Z * error)
    return PairedTest(difference=interval, z=difference / error, p=float(2 * norm.sf(abs(difference) / error)))


_NOTHING = 1e-9
"""Standard error below which two models rank alike and the rest is rounding."""


def _summed(
    components: Float64[np.ndarray, "n models"], clusters: Int64[np.ndarray, "n"], patients: int
) -> Float64[np.ndarray, "patients models"]:
    sums = np.zeros((patients, components.shape[1]))
    np.add.at(sums, clusters, components)
    return sums


def _spread(
    left: Float64[np.ndarray, "patients models"], right: Float64[np.ndarray, "patients models"], counted: int
) -> Float64[np.ndarray, "models models"]:
    """Sum of products of two deviations by patient, with the factor of a sample of so many patients."""
    return left.T @ right * counted / (counted - 1)

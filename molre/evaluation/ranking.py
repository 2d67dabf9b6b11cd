"""The rows of one finding in the order of their scores, from which every figure of ranks is computed.

Many weightings of the rows are taken at once, for the bootstrap. Only what lies between two positives matters of the
negatives, so they are added up between neighbouring positives first, and a figure then costs as much as there are
positives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from molre.evaluation.bootstrap import Weights

_WHOLE = 1e-6
"""Slack with which a share of a whole number of cases counts as reached: 0.95 of 20 is 19, whatever the last bit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """Positives and negatives of a finding, and where each positive stands among the negatives.

    Attributes:
        positive: rows of the positives, scores rising.
        negative: rows of the negatives, scores rising.
        starts: position in ``negative`` at which each stretch between two positives starts.
        left: stretches that lie wholly below each positive.
        right: the same with the negatives that tie with it.
        tied: positives below each positive, those that tie with it left out.
    """

    positive: Int64[np.ndarray, "positives"]
    negative: Int64[np.ndarray, "negatives"]
    starts: Int64[np.ndarray, "stretches"]
    left: Int64[np.ndarray, "positives"]
    right: Int64[np.ndarray, "positives"]
    tied: Int64[np.ndarray, "positives"]

    @classmethod
    def of(cls, labels: Int8[np.ndarray, "rows"], scores: Float32[np.ndarray, "rows"]) -> Ranking:
        """The ranking of rows by score; rows of unknown label take no part."""
        positive, negative = _rising(labels == 1, scores), _rising(labels == 0, scores)
        below, upto = (np.searchsorted(scores[negative], scores[positive], side) for side in ("left", "right"))
        cuts = np.unique(np.concatenate([[0], below, upto]))
        return cls(
            positive=positive,
            negative=negative,
            starts=cuts[cuts < len(negative)].astype(np.int64),
            left=np.searchsorted(cuts, below),
            right=np.searchsorted(cuts, upto),
            tied=np.searchsorted(scores[positive], scores[positive], "left"),
        )

    def counted(self, weights: Weights) -> Counted:
        """The same with each row as often as its weight says.

        Args:
            weights: whole numbers; exact in float32 while a resample has fewer than 2^24 rows.
        """
        resamples = len(weights)
        below = np.zeros((resamples, len(self.starts) + 1), np.float32)
        if len(self.negative):
            stretches = np.add.reduceat(np.take(weights, self.negative, axis=1), self.starts, axis=1)
            np.cumsum(stretches, axis=1, out=below[:, 1:])
        cases = np.take(weights, self.positive, axis=1)
        upto = np.zeros((resamples, len(self.positive) + 1), np.float32)
        np.cumsum(cases, axis=1, out=upto[:, 1:])
        return Counted(ranking=self, cases=cases, upto=upto, below=below)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """A ranking under a block of weightings.

    Attributes:
        ranking: what was weighted.
        cases: weight of each positive.
        upto: weight of the positives before each position of their order.
        below: weight of the negatives before each stretch.
    """

    ranking: Ranking
    cases: Float32[np.ndarray, "resamples positives"]
    upto: Float32[np.ndarray, "resamples positions"]
    below: Float32[np.ndarray, "resamples edges"]

    def auc(self) -> Float64[np.ndarray, "resamples"]:
        """Area under the ROC curve, the Mann-Whitney statistic; NaN without positives or negatives."""
        beaten = np.take(self.below, self.ranking.left, axis=1) + np.take(self.below, self.ranking.right, axis=1)
        wins = np.einsum("rp,rp->r", self.cases, beaten, dtype=np.float64) / 2
        return _share(wins, self.upto[:, -1].astype(np.float64) * self.below[:, -1])

    def average_precision(self) -> Float64[np.ndarray, "resamples"]:
        """Mean over the positives of the precision at their score; NaN without positives."""
        found = self.upto[:, -1:] - np.take(self.upto, self.ranking.tied, axis=1)
        alarms = self.below[:, -1:] - np.take(self.below, self.ranking.left, axis=1)
        flagged = found + alarms
        precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
        summed = np.einsum("rp,rp->r", self.cases, precision, dtype=np.float64)
        return _share(summed, self.upto[:, -1].astype(np.float64))

    def sensitivity_at(self, specificity: float) -> Float64[np.ndarray, "resamples"]:
        """Greatest sensitivity at which the specificity is at least so high; NaN without positives or negatives.

        No point between two thresholds is made up: what is given can be had with a threshold.

        Args:
            specificity: in (0, 1].
        """
        negatives = self.below[:, -1].astype(np.float64)
        wanted = specificity * negatives - _WHOLE
        stretch = (self.below[:, 1:] < wanted[:, None]).sum(axis=1)
        first = np.searchsorted(self.ranking.left, stretch, "right")
        missed = np.take_along_axis(self.upto, first[:, None], axis=1)[:, 0]
        sensitivity = _share(self.upto[:, -1] - missed, self.upto[:, -1].astype(np.float64))
        return np.where(negatives > 0, sensitivity, np.nan)

    def specificity_at(self, sensitivity: float) -> Float64[np.ndarray, "resamples"]:
        """Greatest specificity at which the sensitivity is at least so high; NaN without positives or negatives.

        Args:
            sensitivity: in (0, 1].
        """
        if not len(self.ranking.positive):
            return np.full(len(self.below), np.nan)
        positives = self.upto[:, -1].astype(np.float64)
        spared = (1 - sensitivity) * positives + _WHOLE
        last = (self.upto[:, :-1] <= spared[:, None]).sum(axis=1) - 1
        passed = np.take_along_axis(self.below, self.ranking.left[last][:, None], axis=1)[:, 0]
        specificity = _share(passed, self.below[:, -1].astype(np.float64))
        return np.where(positives > 0, specificity, np.nan)


def _rising(chosen: np.ndarray, scores: np.ndarray) -> Int64[np.ndarray, "_"]:
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(scores[rows], kind="stable")].astype(np.int64)


def _share(part: np.ndarray, whole: np.ndarray) -> Float64[np.ndarray, "resamples"]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)

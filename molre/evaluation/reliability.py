"""Whether a probability means what it says: the Brier score, and predicted against observed frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8

ECE_BINS = 10
"""Equal-width bins of the calibration error, as in Guo et al., ICML 2017 (they use 15 on far larger test sets)."""


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
        """Expected calibration error: mean gap between predicted and observed, weighted by count.

        Defined so by Naeini, Cooper & Hauskrecht, AAAI 2015. It is biased upwards where bins hold few predictions, and
        0 for a model that gives every scan the prevalence: read it beside the Brier score.
        """
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

"""An estimate with its interval, and the intervals that are known without resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

LEVEL = 0.95
"""Coverage that every interval aims at."""

FEW = 10
"""Patients of the smaller class below which an interval is widened, and below which no test is made."""

Z = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""


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


def wilson(share: float, trials: int) -> tuple[float, float]:
    """Wilson score interval of a proportion at 95 % (Wilson, J Am Stat Assoc 1927;22:209-212)."""
    z2 = Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return min(share, max(0.0, float(centre - half))), max(share, min(1.0, float(centre + half)))


def proportion(successes: int, trials: int) -> Interval:
    """A proportion with its Wilson interval, undefined without trials."""
    if not trials:
        return Interval(value=None, reason="no cases")
    low, high = wilson(successes / trials, trials)
    return Interval(value=successes / trials, low=low, high=high)


def widened(interval: Interval, cases: int) -> Interval:
    """The interval, and the Wilson interval of the same value over that many cases, whichever reaches further."""
    if interval.value is None or interval.low is None or interval.high is None:
        return interval
    outer = wilson(interval.value, cases)
    return Interval(value=interval.value, low=min(interval.low, outer[0]), high=max(interval.high, outer[1]))


def percentile(value: float | None, resampled: Float64[np.ndarray, "resamples"]) -> Interval:
    """The percentile interval of an estimate; resamples in which it is undefined (NaN) are left out."""
    defined = resampled[np.isfinite(resampled)]
    if value is None or not len(defined):
        return Interval(value=value)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=float(low), high=float(high))


def figures(interval: Interval, sign: str = "") -> str:
    """An estimate with its interval, or a dash where it is undefined."""
    if interval.value is None:
        return "–"
    if interval.low is None or interval.high is None:
        return f"{interval.value:{sign}.3f}"
    return f"{interval.value:{sign}.3f} ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})"

"""How the benchmark's figures are written."""

from __future__ import annotations

from molre.evaluation.interval import Interval


def figures(interval: Interval, sign: str = "") -> str:
    """An estimate with its interval, or a dash where it is undefined."""
    if interval.value is None:
        return "–"
    if interval.low is None or interval.high is None:
        return f"{interval.value:{sign}.3f}"
    return f"{interval.value:{sign}.3f} ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})"


def p_value(p: float) -> str:
    """As a paper prints it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(share: float) -> str:
    """A share in whole percents."""
    return f"{share:.0%}"

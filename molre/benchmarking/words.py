"""How the benchmark's figures are written."""

from __future__ import annotations


def p_value(p: float) -> str:
    """As a paper prints it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(share: float) -> str:
    """A share in whole percents."""
    return f"{share:.0%}"


def counted_seeds(count: int) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{count} seed{'s' * (count != 1)}"

"""P values of many tests at once: with 75 findings, about four of them fall below 0.05 by chance alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.stats import false_discovery_control


def holm(p: Float64[np.ndarray, "tests"]) -> Float64[np.ndarray, "tests"]:
    """Adjusted p values that bound the chance of a single false claim (Holm, Scand J Stat 1979;6:65-70)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: Float64[np.ndarray, "tests"]) -> Float64[np.ndarray, "tests"]:
    """Adjusted p values that bound the expected share of false claims (J R Stat Soc B 1995;57:289-300)."""
    return np.asarray(false_discovery_control(p, method="bh")) if len(p) else p

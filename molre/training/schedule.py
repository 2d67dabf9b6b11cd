"""Learning rate as a function of the step alone, so that a resumed run needs no state for it."""

from __future__ import annotations

import math


def learning_rate(step: int, total: int, *, peak: float, warmup: float) -> float:
    """Linear rise over the warm-up, then half a cosine to zero.

    Args:
        step: optimiser steps already taken.
        total: optimiser steps of the whole run.
        peak: highest learning rate.
        warmup: fraction of all steps over which it rises.
    """
    rise = max(1, round(warmup * total))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))

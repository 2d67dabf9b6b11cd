"""The infarct of one study, as all that a stroke brings about has to agree on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, kw_only=True, slots=True)
class Infarct:
    """Where an infarct lies.

    Attributes:
        territory: a key of ``lesions.territory.TERRITORIES``.
        side: LEFT or RIGHT.
        middle: point about which it lies, x positive on either side.
        extent_mm: along the cortex, or across where it is round.
        waves: of the bending of its margin, 1/mm.
        phases: of the waves.
    """

    territory: str
    side: int
    middle: tuple[float, float, float]
    extent_mm: float
    waves: Float64[np.ndarray, "waves 3"]
    phases: Float64[np.ndarray, "waves"]

    @property
    def sign(self) -> int:
        """Sign of x on its side."""
        return -1 if self.side else 1

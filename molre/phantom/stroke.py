"""The infarct of one study, as all that a stroke brings about has to agree on it."""

from __future__ import annotations

from dataclasses import dataclass

from molre.phantom.ripple import Ripple


@dataclass(frozen=True, kw_only=True, slots=True)
class Infarct:
    """Where an infarct lies.

    Attributes:
        territory: a key of ``lesions.territory.TERRITORIES``.
        side: LEFT or RIGHT.
        middle: point about which it lies, x positive on either side.
        extent_mm: along the cortex, or across where it is round.
        ripple: bending of its margin.
    """

    territory: str
    side: int
    middle: tuple[float, float, float]
    extent_mm: float
    ripple: Ripple

    @property
    def sign(self) -> int:
        """Sign of x on its side."""
        return -1 if self.side else 1

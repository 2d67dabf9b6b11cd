"""Where a person has been operated on, if at all: one opening of the vault that all findings of the operation share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molre.phantom.shapes import Point

APPROACHES: dict[str, tuple[float, float, float]] = {
    "pterional": (-0.75, 0.05, 0.30),
    "frontal": (-1.0, 0.55, 0.20),
    "parietal": (0.35, 0.65, 0.20),
    "temporal": (0.05, 0.10, 0.18),
    "occipital": (1.0, 0.30, 0.12),
}
"""Angle to the back of the coronal plane and height above the horizon in radian, and share of the operations.

After the approaches of Greenberg, Handbook of Neurosurgery, 9th ed., 2020.
"""


@dataclass(kw_only=True, slots=True)
class Operation:
    """One opening of the vault.

    Attributes:
        towards: direction of its middle from the middle of the head.
        size_mm: half of its width.
        tall: its height relative to its width.
        turn_rad: by which it is turned about its middle.
        seed: of its plates, holes and edges.
        planned: whether a finding draws the opening; others that need one draw it if none does.
        settled: whether a finding lies beneath it, so that it can no longer be moved.
    """

    towards: Point
    size_mm: float
    tall: float
    turn_rad: float
    seed: int
    planned: bool = False
    settled: bool = False

    @property
    def sign(self) -> int:
        """Sign of x of its side."""
        return 1 if self.towards[0] > 0 else -1

    def move(self, approach: str, sign: int) -> None:
        """Choose another approach, before anything has been drawn beneath."""
        if not self.settled:
            azimuth, height, _ = APPROACHES[approach]
            self.towards = _direction(azimuth, height, sign)


def draw_operation(rng: np.random.Generator) -> Operation:
    """The operation that a person would have."""
    shares = np.array([share for _, _, share in APPROACHES.values()])
    azimuth, height, _ = list(APPROACHES.values())[rng.choice(len(shares), p=shares / shares.sum())]
    sign = 1 if rng.random() < 0.5 else -1
    return Operation(
        towards=_direction(azimuth + float(rng.normal(0, 0.12)), height + float(rng.normal(0, 0.08)), sign),
        size_mm=float(rng.uniform(24, 34)),
        tall=float(rng.uniform(0.75, 1.1)),
        turn_rad=float(rng.uniform(-0.5, 0.5)),
        seed=int(rng.integers(2**31)),
    )


def _direction(azimuth: float, height: float, sign: int) -> Point:
    level = float(np.cos(height))
    return sign * level * float(np.cos(azimuth)), level * float(np.sin(azimuth)), float(np.sin(height))

"""Gentle waves through the head, drawn anew for each lesion, so that no two margins are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from molre.phantom.shapes import Coordinates, Field, Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Ripple:
    """A sum of plane waves.

    Attributes:
        waves: wave vectors, 1/mm.
        phases: of the waves.
    """

    waves: Float64[np.ndarray, "waves 3"]
    phases: Float64[np.ndarray, "waves"]

    def __call__(self, at: Coordinates) -> Field:
        """Value at points, of about unit deviation."""
        total = np.zeros_like(at[0])
        for wave, phase in zip(self.waves, self.phases, strict=True):
            total += np.sin(sum(a * np.float32(w) for a, w in zip(at, wave, strict=True)) + np.float32(phase))
        return total * np.float32(np.sqrt(2 / len(self.phases)))


def draw_ripple(rng: np.random.Generator, shortest_mm: Number, longest_mm: Number, count: int = 5) -> Ripple:
    """Waves in random directions whose lengths lie between two."""
    waves = rng.normal(0, 1, (count, 3))
    waves *= (2 * np.pi / rng.uniform(shortest_mm, longest_mm, count) / np.linalg.norm(waves, axis=1))[:, None]
    return Ripple(waves=waves, phases=rng.uniform(0, 2 * np.pi, count))

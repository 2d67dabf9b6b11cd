"""One lesion about to be drawn: what the table says of it, how severe it is, and whom it befalls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from molre.phantom.body import LEFT, RIGHT, Body
from molre.phantom.head import Head
from molre.phantom.shapes import Number
from molre.phantom.table import Entry

Paint = Callable[[Head], None]
"""Paints the lesion over the normal tissue and marks its voxels under its key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What a lesion's figures are drawn from.

    Attributes:
        rng: source of chance; the same whenever the same lesion of the same patient is drawn.
        body: the head, to be changed before its tissue is laid out.
        entry: line of the table.
        severity: 0 barely visible to 1 obvious.
    """

    rng: np.random.Generator
    body: Body
    entry: Entry
    severity: float

    def size_mm(self) -> float:
        """A size of the table by severity: least at 0, typical at a half, largest at 1, give or take a tenth."""
        size = np.interp(self.severity, (0, 0.5, 1), self.entry.size_mm)
        return float(size * np.clip(self.rng.normal(1, 0.08), 0.85, 1.15))

    def hu(self) -> float:
        """A density of the table's range, whatever the severity."""
        return float(self.rng.uniform(*self.entry.hu))

    def place(self) -> str:
        """A place of the table, by its weight."""
        return self._by_weight(self.entry.places)

    def kind(self) -> str:
        """A form of the table, by its weight."""
        return self._by_weight(self.entry.kinds)

    def _by_weight(self, weights: Mapping[str, float]) -> str:
        shares = np.array(list(weights.values()))
        return list(weights)[self.rng.choice(len(shares), p=shares / shares.sum())]

    def side(self) -> tuple[int, int]:
        """A hemisphere: its position in per-side settings, and the sign of its x."""
        return (LEFT, 1) if self.rng.random() < 0.5 else (RIGHT, -1)

    def uniform(self, low: Number, high: Number) -> float:
        """Any value of a range."""
        return float(self.rng.uniform(low, high))

    def graded(self, faint: Number, plain: Number) -> float:
        """The value of a range that goes with the severity."""
        return float(faint + (plain - faint) * self.severity)

    def chance(self, probability: float) -> bool:
        """True so often."""
        return bool(self.rng.random() < probability)

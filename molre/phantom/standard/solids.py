"""Solids gathered into one distance on the grid of the standard head, each worked out only near itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from molre.phantom.shapes import Coordinates, Field, Number, Point, capsule, ellipsoid, union

Rod = Sequence[tuple[Number, Number, Number, Number]]
"""Points (x, y, z, radius) in mm."""


class Solids:
    """A union of solids.

    Attributes:
        at: coordinates of the grid, one open axis each.
        near_mm: distance from a solid's box within which it is worked out.
        blend_mm: over which seams between solids are rounded.
        field: distance to the surface of the union in mm, positive inside, -14 where no solid is near.
    """

    def __init__(self, at: Coordinates, near_mm: Number = 4.0, blend_mm: Number = 0.0) -> None:
        self.at = at
        self.near_mm = near_mm
        self.blend_mm = blend_mm
        self.field: Field = np.full(np.broadcast_shapes(*(a.shape for a in at)), -14, np.float32)

    def add(self, low: Point, high: Point, distance: Callable[[Coordinates], Field]) -> None:
        """Add what ``distance`` says within a box."""
        box, near = self._box(low, high)
        solid = distance(near)
        whole = union(self.field[box], solid, self.blend_mm) if self.blend_mm else np.maximum(self.field[box], solid)
        self.field[box] = whole

    def cut(self, low: Point, high: Point, distance: Callable[[Coordinates], Field]) -> None:
        """Take away what ``distance`` says within a box."""
        box, near = self._box(low, high)
        np.minimum(self.field[box], -distance(near), out=self.field[box])

    def ellipsoid(self, centre: Point, radii: Point, power: Number = 2.0, *, cut: bool = False) -> None:
        """Add or cut an ellipsoid, ``shapes.ellipsoid``."""
        low, high = ([c + s * r for c, r in zip(centre, radii, strict=True)] for s in (-1, 1))
        self._put(low, high, lambda at: ellipsoid(at, centre, radii, power), cut)

    def tube(self, points: Rod, *, cut: bool = False) -> None:
        """Add or cut a bent rod through (x, y, z, radius) points."""
        for a, b in pairwise(points):
            radius = max(a[3], b[3])
            low, high = ([f(p, q) + s * radius for p, q in zip(a[:3], b[:3], strict=True)] for f, s in _ENDS)
            self._put(low, high, lambda at, a=a, b=b: capsule(at, a[:3], b[:3], a[3], b[3]), cut)

    def plate(self, corner: Point, along: Point, across: Point, half_mm: Number) -> None:
        """Add a flat plate with a corner at ``corner``, two edges from there, and rounded rims."""
        ends = np.array([np.array(corner) + i * np.array(along) + j * np.array(across) for i in (0, 1) for j in (0, 1)])
        self._put(
            ends.min(0).tolist(), ends.max(0).tolist(), lambda at: _plate(at, corner, along, across, half_mm), cut=False
        )

    def _put(self, low: Sequence[Number], high: Sequence[Number], distance: Callable[..., Field], cut: bool) -> None:
        put = self.cut if cut else self.add
        put((low[0], low[1], low[2]), (high[0], high[1], high[2]), distance)

    def _box(self, low: Point, high: Point) -> tuple[tuple[slice, ...], Coordinates]:
        spans = []
        for axis, a, b in zip(self.at, low, high, strict=True):
            first, last = np.searchsorted(axis.reshape(-1), (a - self.near_mm, b + self.near_mm))
            spans.append(slice(int(first), int(last)))
        x, y, z = spans
        return (z, y, x), (self.at[0][:, :, x], self.at[1][:, y], self.at[2][z])


_ENDS = ((min, -1), (max, 1))


def _plate(at: Coordinates, corner: Point, along: Point, across: Point, half_mm: Number) -> Field:
    a, b = np.array(along, float), np.array(across, float)
    basis = np.linalg.pinv(np.stack([a, b], axis=1))
    offset = [axis - np.float32(c) for axis, c in zip(at, corner, strict=True)]
    s, t = (np.clip(sum(np.float32(w) * o for w, o in zip(row, offset, strict=True)), 0, 1) for row in basis)
    away = [o - np.float32(a[i]) * s - np.float32(b[i]) * t for i, o in enumerate(offset)]
    return (np.float32(half_mm) - np.sqrt(sum(d * d for d in away))).astype(np.float32)

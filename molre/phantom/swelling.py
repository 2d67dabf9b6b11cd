"""Soft tissue outside the skull that is lifted outwards by what lies beneath it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.lookup import lookup
from molre.phantom.shapes import Coordinates, Point
from molre.phantom.template import CENTRE_MM

EDGE = 0.08
"""Share of a swelling's height below which nothing is moved."""


PERIOSTEUM_MM = 0.8
"""What stays on the outer table when the scalp is lifted off it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Swelling:
    """A bulge: tissue outwards of ``base`` is moved along ``outwards`` by up to ``height_mm``.

    Attributes:
        centre: where it is highest, standard-head coordinates in mm.
        outwards: unit direction of the bulge.
        height_mm: greatest displacement.
        reach_mm: distance from the axis at which the displacement has fallen to 0.6 of it.
        run_mm: depth of tissue over which the displacement builds up; ``height_mm`` or less where something is
            inserted, more where tissue stretches.
        over_skull: whether the outer table is the base, and not the plane through ``centre`` square to ``outwards``.
        lobes: phases of the outline's bulges.
    """

    centre: Point
    outwards: Point
    height_mm: float
    reach_mm: float
    run_mm: float = 0.0
    over_skull: bool = False
    lobes: tuple[float, float] = (0.0, 0.0)

    def local_height_mm(self, at: Coordinates) -> Float32[np.ndarray, "*m"]:
        """Displacement in mm that is reached above each point."""
        offset = [a - np.float32(c) for a, c in zip(at, self.centre, strict=True)]
        along = sum(o * np.float32(d) for o, d in zip(offset, self.outwards, strict=True))
        first, second = _across(self.outwards)
        u, v = (sum(o * np.float32(d) for o, d in zip(offset, axis, strict=True)) for axis in (first, second))
        angle = np.arctan2(v, u)
        wide = 1 + np.float32(0.16) * np.sin(2 * angle + np.float32(self.lobes[0]))
        wide += np.float32(0.09) * np.sin(3 * angle + np.float32(self.lobes[1]))
        # On a curved skull the swelling follows the curve: what lies below the plane counts as farther away.
        below = np.maximum(-along, 0) if self.over_skull else np.float32(0)
        share = np.exp(-(u * u + v * v + below * below) / (2 * (np.float32(self.reach_mm) * wide) ** 2))
        share = (share - np.float32(EDGE)) / np.float32(1 - EDGE)
        return np.float32(self.height_mm) * np.maximum(share, 0)

    def above_base_mm(self, at: Coordinates, outer_mm: Float32[np.ndarray, "*m"] | float) -> Float32[np.ndarray, "*m"]:
        """Height in mm of each point over the base, given that over the outer table."""
        if self.over_skull:
            return np.asarray(outer_mm, np.float32)
        parts = [(a - np.float32(c)) * np.float32(d) for a, c, d in zip(at, self.centre, self.outwards, strict=True)]
        return parts[0] + parts[1] + parts[2]


def _across(outwards: Point) -> tuple[np.ndarray, np.ndarray]:
    first = np.cross(outwards, (0.0, 0.0, 1.0) if abs(outwards[2]) < 0.9 else (0.0, 1.0, 0.0))
    first /= np.linalg.norm(first)
    return first, np.cross(outwards, first)


def swell(
    still: Coordinates, swellings: list[Swelling], skull_mm: float, bone: Float32[np.ndarray, "both"]
) -> Coordinates:
    """Where the tissue outside the skull that now lies in each voxel was before it was lifted.

    Args:
        still: coordinates of all voxels.
        swellings: in the order in which they arose.
        skull_mm: mean thickness of the vault.
        bone: relative change of the thickness by hemisphere and direction.
    """
    if not swellings:
        return still
    x, y, z = (a.copy() for a in still)
    for one in swellings:
        index = _around(one, (x, y, z))
        at = (x[index], y[index], z[index])
        found = lookup(at)
        inner = found["skull"]
        above = one.above_base_mm(at, -inner - np.float32(skull_mm) * (1 + bone[found["direction"]]) - PERIOSTEUM_MM)
        height = one.local_height_mm(at)
        run = np.maximum(np.float32(one.run_mm), height)
        moved = height * np.clip(above / np.maximum(run, np.float32(1e-3)), 0, 1) * (inner < -1)
        there = np.flatnonzero(moved > 0.2)
        source = [a[there] - moved[there] * np.float32(d) for a, d in zip(at, one.outwards, strict=True)]
        if one.over_skull:
            source = _towards_skull([a[there] for a in at], moved[there])
        for mine, theirs in zip((x, y, z), source, strict=True):
            mine[index[there]] = theirs
    return x, y, z


def _towards_skull(at: list[np.ndarray], by_mm: np.ndarray) -> list[np.ndarray]:
    """Points moved towards the middle of the head."""
    offset = [a - np.float32(c) for a, c in zip(at, CENTRE_MM, strict=True)]
    shrink = by_mm / np.sqrt(sum(o * o for o in offset))
    return [a - o * shrink for a, o in zip(at, offset, strict=True)]


def _around(one: Swelling, at: Coordinates) -> Int64[np.ndarray, "m"]:
    """Positions of voxels that a swelling may move."""
    reach = 2.9 * one.reach_mm + one.height_mm
    near = np.abs(at[2] - np.float32(one.centre[2])) < reach
    near &= np.abs(at[1] - np.float32(one.centre[1])) < reach
    near &= np.abs(at[0] - np.float32(one.centre[0])) < reach
    return np.flatnonzero(near)

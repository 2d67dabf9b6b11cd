"""Places on the vault of the skull, and lines drawn over it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.head import Head
from molre.phantom.shapes import Number, Point
from molre.phantom.template import CENTRE_MM

RADIUS_MM = 76.0
"""Distance of the vault from the middle of the standard head, by which angles are told in mm."""

Path = list[tuple[float, float]]
"""Corners of a line on a chart, in mm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Voxels on a flat map of the vault about a direction (the azimuthal equidistant projection).

    Attributes:
        index: the voxels.
        u, v: mm from the middle of the map, level with the horizon and upwards.
        depth: of each voxel below the inner table in mm, negative in and outside of bone.
        layer: position in the bone, 0 at the inner and 1 at the outer surface.
    """

    index: Int64[np.ndarray, "m"]
    u: Float32[np.ndarray, "m"]
    v: Float32[np.ndarray, "m"]
    depth: Float32[np.ndarray, "m"]
    layer: Float32[np.ndarray, "m"]


def direction(azimuth: float, height: float) -> Point:
    """The unit vector at an azimuth from the patient's left towards the back, and a height above the horizon."""
    level = float(np.cos(height))
    return float(np.cos(azimuth)) * level, float(np.sin(azimuth)) * level, float(np.sin(height))


def scattered(rng: np.random.Generator, towards: Point, deviation: float, lowest: float = -0.05) -> Point:
    """A direction near another: ``deviation`` in radian, not below a height."""
    moved = np.asarray(towards) + rng.normal(0, deviation, 3)
    moved[2] = max(float(moved[2]), lowest)
    unit = moved / np.linalg.norm(moved)
    return float(unit[0]), float(unit[1]), float(unit[2])


def on_vault(towards: Point, radius_mm: float = RADIUS_MM) -> Point:
    """The point of the standard head in a direction."""
    x, y, z = (c + d * radius_mm for c, d in zip(CENTRE_MM, towards, strict=True))
    return x, y, z


def thickness_mm(head: Head, index: Int64[np.ndarray, "m"]) -> Float32[np.ndarray, "m"]:
    """Thickness of the vault below each voxel."""
    return np.float32(head.body.skull_mm) * (1 + head.body.bone[head.direction[index]])


def chart(head: Head, towards: Point, reach_mm: Number, low_mm: Number = -16.0, high_mm: Number = 2.0) -> Chart:
    """The part of the vault within a distance of a direction.

    Args:
        head: the head.
        towards: middle of the map.
        reach_mm: distance on the vault.
        low_mm: least depth below the inner table; bone lies at negative depths.
        high_mm: greatest depth.
    """
    index = np.flatnonzero((head.inner > low_mm) & (head.inner < high_mm))
    axis = np.asarray(towards, np.float32) / np.float32(np.linalg.norm(towards))
    offset = [a[index] - np.float32(c) for a, c in zip(head.still, CENTRE_MM, strict=True)]
    far = np.sqrt(sum(o * o for o in offset))
    cosine = sum(o * d for o, d in zip(offset, axis, strict=True)) / far
    near = np.flatnonzero(cosine > np.cos(min(reach_mm / RADIUS_MM, np.pi)))
    index, far, cosine = index[near], far[near], cosine[near]
    offset = [o[near] / far for o in offset]
    level = np.cross((0.0, 0.0, 1.0), axis)
    level = (level / np.linalg.norm(level)).astype(np.float32)
    up = np.cross(axis, level)
    angle = np.arccos(np.clip(cosine, -1, 1))
    stretch = np.float32(RADIUS_MM) * angle / np.maximum(np.sin(angle), np.float32(1e-3))
    u, v = (sum(o * d for o, d in zip(offset, way, strict=True)) * stretch for way in (level, up))
    depth = head.inner[index]
    return Chart(index=index, u=u, v=v, depth=depth, layer=-depth / thickness_mm(head, index))


def crack(
    rng: np.random.Generator, length_mm: float, heading: float, start: tuple[float, float] = (0.0, 0.0),
    turn: float = 0.16,
) -> Path:  # fmt: skip
    """A line of straight pieces of 5-9 mm that changes its heading a little at each corner."""
    at, path, run = start, [start], 0.0
    drift = float(rng.normal(0, 0.04))
    while run < length_mm:
        step = min(float(rng.uniform(5, 9)), length_mm - run + 0.5)
        heading += drift + float(rng.normal(0, turn))
        at = (at[0] + step * float(np.cos(heading)), at[1] + step * float(np.sin(heading)))
        path.append(at)
        run += step
    return path


def from_path(
    u: Float32[np.ndarray, "m"], v: Float32[np.ndarray, "m"], path: Path
) -> tuple[Float32[np.ndarray, "m"], Float32[np.ndarray, "m"]]:
    """Distance of points from a line in mm, and how far along the line the nearest point of it lies, from 0 to 1."""
    best = np.full(len(u), np.inf, np.float32)
    where = np.zeros(len(u), np.float32)
    for number, ((a, b), (c, d)) in enumerate(pairwise(path)):
        du, dv = np.float32(c - a), np.float32(d - b)
        share = np.clip(((u - np.float32(a)) * du + (v - np.float32(b)) * dv) / (du * du + dv * dv), 0, 1)
        away = np.hypot(u - np.float32(a) - share * du, v - np.float32(b) - share * dv)
        nearer = away < best
        best = np.where(nearer, away, best)
        where = np.where(nearer, (number + share) / np.float32(len(path) - 1), where)
    return best, where

"""Signed distances, in mm and positive inside, of the solids that the head is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

Field = Float32[np.ndarray, "..."]
Coordinates = tuple[Field, Field, Field]
Number = float | int
Point = tuple[Number, Number, Number]


def ellipsoid(at: Coordinates, centre: Point, radii: Point, power: Number = 2.0) -> Field:
    """Distance to the surface of an ellipsoid or, with a power above 2, of a rounder box.

    The first-order distance f / |grad f| (Taubin 1994, "Distance approximations for rasterizing implicit curves"),
    which is right at the surface and good enough within a centimetre of it.
    """
    scaled = [np.abs((a - c) / r) for a, c, r in zip(at, centre, radii, strict=True)]
    slope: Field
    radius: Field
    if power == 2.0:
        radius = np.sqrt(sum(s * s for s in scaled)) + np.float32(1e-4)
        slope = np.sqrt(sum((s / r) ** 2 for s, r in zip(scaled, radii, strict=True))) / radius
    else:
        radius = sum(s**power for s in scaled) ** (1 / power) + np.float32(1e-4)
        slopes = [(s / radius) ** (power - 1) / r for s, r in zip(scaled, radii, strict=True)]
        slope = np.sqrt(sum(s * s for s in slopes))
    return ((1 - radius) / np.maximum(slope, np.float32(1e-3))).astype(np.float32)


def capsule(at: Coordinates, start: Point, end: Point, radius: Number, end_radius: Number | None = None) -> Field:
    """Distance to the surface of a rod with round ends whose radius may change along it."""
    axis = np.subtract(end, start)
    length2 = float(axis @ axis)
    offset = [a - np.float32(s) for a, s in zip(at, start, strict=True)]
    along = sum(o * np.float32(c) for o, c in zip(offset, axis, strict=True)) / np.float32(length2)
    along = np.clip(along, 0, 1)
    distance2 = sum((o - along * np.float32(c)) ** 2 for o, c in zip(offset, axis, strict=True))
    last = radius if end_radius is None else end_radius
    return (radius + along * np.float32(last - radius) - np.sqrt(distance2)).astype(np.float32)


def tube(at: Coordinates, points: Sequence[tuple[Number, Number, Number, Number]]) -> Field:
    """Distance to the surface of a bent rod through (x, y, z, radius) points."""
    pieces = [capsule(at, a[:3], b[:3], a[3], b[3]) for a, b in pairwise(points)]
    return np.maximum.reduce(pieces)


def join(*solids: np.ndarray) -> Field:
    """Any of the solids."""
    return reduce(np.maximum, solids).astype(np.float32)


def meet(*solids: np.ndarray) -> Field:
    """What all of the solids share."""
    return reduce(np.minimum, solids).astype(np.float32)


def box(at: Coordinates, low: Point, high: Point) -> tuple[slice, slice, slice]:
    """The part of a sparse (z, y, x) grid between two corners."""
    x, y, z = (
        slice(*(int(i) for i in np.searchsorted(axis.reshape(-1), edges)))
        for axis, *edges in zip(at, low, high, strict=True)
    )
    return z, y, x


def cut(at: Coordinates, part: tuple[slice, slice, slice]) -> Coordinates:
    """The coordinates of a part of a sparse grid."""
    z, y, x = part
    return at[0][:, :, x], at[1][:, y], at[2][z]


def within(at: Coordinates, low: Point, high: Point, solid: Callable[[Coordinates], Field]) -> Field:
    """Distance to a solid, worked out between two corners of a sparse grid only; -30 mm elsewhere."""
    part = box(at, low, high)
    whole = np.full(np.broadcast_shapes(*(a.shape for a in at)), -30, np.float32)
    whole[part] = solid(cut(at, part))
    return whole


def union(first: Field, second: Field, blend_mm: Number) -> Field:
    """Either solid, their seam rounded over ``blend_mm`` (the polynomial smooth maximum)."""
    share = np.clip(np.float32(0.5) + (first - second) / np.float32(2 * blend_mm), 0, 1)
    return second + (first - second) * share + np.float32(blend_mm) * share * (1 - share)


def ramp(distance_mm: Field, width_mm: float = 1.0) -> Field:
    """0 outside, 1 inside, linear over ``width_mm`` across the surface: the share of a voxel that a solid fills."""
    return np.clip(distance_mm * np.float32(1 / width_mm) + np.float32(0.5), 0, 1)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Field:
    """Gaussian noise of unit deviation whose correlation length is ``scale`` samples."""
    white = rng.standard_normal(shape, np.float32)
    noise = ndimage.gaussian_filter(white, scale, mode="wrap")
    return noise / np.float32(noise.std())

"""How far the inner table lies from the middle of the brain in every direction."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from molre.phantom.template import CENTRE_MM, LOW_MM, STEP_MM, depth_grid

SIDE = 640
"""Samples a side of the map of directions, 0.3 mm of the vault each."""
RAYS = 128
"""Samples a side of the directions that are traced; the rest is interpolated."""

Points = Float32[np.ndarray, "3 n"]
Values = Float32[np.ndarray, "n"]


def polar(points: Points) -> tuple[Points, Values]:
    """Unit vectors from the middle of the brain to points of the head, and their distances from it, mm."""
    offset = points - np.array(CENTRE_MM, np.float32)[:, None]
    radius = np.sqrt(np.einsum("cn,cn->n", offset, offset)) + np.float32(1e-3)
    return offset / radius, radius


def vault_mm(unit: Points) -> Values:
    """Distance of the inner table from the middle of the brain along directions."""
    across = np.abs(unit).sum(0)
    half = np.float32((SIDE - 1) / 2)
    row, column = ((unit[axis] / across * half + (half + np.float32(0.5))).astype(np.int32) for axis in (2, 1))
    return np.take(_map(), row * SIDE + column)


@cache
def _map() -> Float32[np.ndarray, "directions"]:
    """The distances on the octahedral map of directions with x >= 0, unfolded to (z, y) with |x| + |y| + |z| = 1."""
    axis = np.linspace(-1, 1, RAYS, dtype=np.float32)
    z, y = np.meshgrid(axis, axis, indexing="ij")
    x = np.maximum(1 - np.abs(y) - np.abs(z), 0)
    unit = np.stack([x, y, z]) / np.sqrt(x * x + y * y + z * z)
    reach = _traced(unit.reshape(3, -1)).reshape(RAYS, RAYS)
    smooth = ndimage.gaussian_filter(ndimage.median_filter(reach, 5), 0.8)
    return np.asarray(ndimage.zoom(smooth, SIDE / RAYS, order=1, grid_mode=False), np.float32).reshape(-1)


def _traced(unit: Points) -> Values:
    """March outwards until the depth below the inner table falls to none."""
    depth = depth_grid("skull")
    steps = np.arange(15, 110, 0.8, dtype=np.float32)
    reach = np.full(unit.shape[1], steps[-1], np.float32)
    open_still, before = np.ones(unit.shape[1], bool), np.full(unit.shape[1], 9, np.float32)
    low = np.array((LOW_MM[2], LOW_MM[1], LOW_MM[0]), np.float32)[:, None]
    for radius in steps:
        point = unit * radius + np.array(CENTRE_MM, np.float32)[:, None]
        at = (np.stack([point[2], point[1], np.abs(point[0])]) - low) / np.float32(STEP_MM)
        now = ndimage.map_coordinates(depth, at, order=1, mode="nearest")
        ends = open_still & (now <= 0)
        reach[ends] = radius - 0.8 * (-now[ends] / np.maximum(before[ends] - now[ends], 1e-3))
        open_still &= ~ends
        before = now
    return reach

"""The standard cortex: the surface that folds are cut into, and the folds that all brains share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from molre.phantom.shapes import Coordinates, Field, ellipsoid, join, meet

FOLD_STEP_MM = 2.5
FOLD_LOW_MM = (0.0, -105.0, -60.0)
FOLD_SHAPE = (62, 80, 33)
"""(z, y, |x|) samples of the folds."""

# Way points (x, y, z) in head coordinates with the depth in mm and the sense in which the field changes across the
# fold. Places after Ono, Kubik and Abernathey 1990 (Atlas of the Cerebral Sulci) and Rademacher et al. 1992 (J Cogn
# Neurosci 4:352).
_NAMED: dict[str, tuple[float, float, tuple[tuple[float, float, float], ...]]] = {
    "central": (18, 1,
                ((4, 20, 76), (20, 14, 70), (33, 6, 61), (37, 12, 55), (44, 1, 46), (53, -8, 34), (60, -13, 18))),
    "precentral": (15, -1, ((22, -6, 68), (31, -10, 60), (42, -13, 50), (52, -21, 34), (58, -24, 14))),
    "postcentral": (15, -1, ((18, 32, 70), (34, 24, 60), (46, 16, 48), (55, 8, 36), (61, 4, 24))),
    "superior frontal": (15, 1, ((24, -12, 62), (23, -36, 52), (22, -56, 38), (20, -74, 20))),
    "inferior frontal": (14, -1, ((48, -24, 30), (46, -42, 24), (42, -58, 12))),
    "intraparietal": (20, 1, ((44, 24, 46), (34, 38, 52), (28, 54, 46), (27, 68, 30))),
    "superior temporal": (19, 1, ((50, -26, -24), (57, -4, -14), (60, 16, -2), (55, 34, 14), (46, 48, 28))),
    "inferior temporal": (12, -1, ((50, -8, -32), (57, 14, -20), (52, 40, -8))),
    "olfactory": (11, 1, ((11, -34, -22), (13, -66, -20))),
    "orbital": (10, -1, ((26, -30, -18), (27, -52, -20))),
    "cingulate": (13, 1,
                  ((6, -58, -4), (6, -60, 18), (6, -44, 36), (6, -20, 43), (6, 6, 46), (6, 20, 54), (7, 27, 68))),
    "parieto-occipital": (20, 1, ((7, 42, 10), (8, 54, 26), (10, 66, 42), (18, 68, 44))),
    "calcarine": (18, -1, ((8, 44, 8), (9, 62, 6), (8, 78, 2))),
    "collateral": (14, 1, ((26, 4, -27), (29, 28, -17), (28, 50, -13))),
    "lateral occipital": (12, 1, ((46, 48, 4), (38, 70, 6))),
}  # fmt: skip


def callosal_mm(at: Coordinates) -> Field:
    """Distance to the outer face of the corpus callosum's arch, positive beneath it."""
    return ellipsoid(at, (0, -11, 4), (400, 38.5, 24.5))


def tentorium_mm(at: Coordinates) -> Field:
    """Height above the tentorium: a tent whose ridge runs from the splenium down to the torcula."""
    x, y, _ = at
    ridge = 4 - np.float32(0.22) * (y - 26) - np.float32(0.0012) * (y - 26) ** 2
    slope = np.float32(0.52) * np.maximum(np.sqrt(x * x + 9) - 3, 0) * (1 - np.float32(0.0045) * x)
    return (at[2] - (ridge - slope)) * np.float32(0.88)


def tentorial_edge_mm(at: Coordinates) -> Field:
    """Distance behind the free edge of the tentorium, which runs round the midbrain to the clinoids."""
    x, y, _ = at
    notch = 24 - np.float32(0.052) * np.maximum(x, 0) ** 2 * np.where(x < 15, 1, 0) - np.where(x < 15, 0, 11.7)
    return (y - (notch + np.float32(0.4) * np.maximum(x - 15, 0))).astype(np.float32)


def sylvian_mm(at: Coordinates) -> Field:
    """Distance to the mid-surface of the Sylvian fissure and of the cleft over the insula, positive away from it."""
    x, y, z = at
    rise = z + 1 - np.float32(0.42) * (y + 16) - 2 * np.sin(y / np.float32(7)) - np.sin(x / np.float32(5))
    lateral = join(np.abs(rise) * np.float32(0.9), np.float32(36) - x, y - 26, -46 - y)
    island = x - 38.5 + np.float32(0.011) * (y + 14) ** 2 + np.float32(0.02) * (z - 4) ** 2
    cover = join(np.abs(island), y - 10, -38 - y, z - 18 - np.float32(0.1) * y, -9 - z + np.float32(0.2) * y)
    stem = join(
        np.abs(z + 13 + np.float32(0.35) * (x - 30) - np.float32(0.2) * (y + 26)),
        np.abs(y + 26) - 9, np.float32(20) - x, x - 42,
    )  # fmt: skip
    return meet(lateral, cover, stem)


def hull(at: Coordinates, cavity: Field) -> Field:
    """Depth beneath the surface that the folds are cut into: skull, falx, tentorium and lips of the Sylvian fissure.

    Deeper than some millimetres it is smoothed, so that its slope, along which folds run, does not jump.
    """
    x = at[0]
    falx = np.maximum(np.broadcast_to(x, cavity.shape), callosal_mm(at))
    tent = np.maximum(np.abs(tentorium_mm(at)), -tentorial_edge_mm(at))
    depth = meet(cavity, falx, tent, sylvian_mm(at))
    smooth = ndimage.gaussian_filter(depth, 3.0, mode="mirror")
    share = np.clip((depth - np.float32(1.5)) / 5, 0, 1)
    return depth + (smooth - depth) * share * share * (3 - 2 * share)


def sulci() -> Float32[np.ndarray, "3 z y x"]:
    """On the grid of the folds: a field that is zero on the named folds, its weight 0-1, and their depth in mm."""
    axes = [FOLD_LOW_MM[2 - i] + FOLD_STEP_MM * np.arange(n, dtype=np.float32) for i, n in enumerate(FOLD_SHAPE)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, y, z], -1)
    total = np.zeros(FOLD_SHAPE, np.float32)
    signed, deep = np.zeros_like(total), np.zeros_like(total)
    for depth_mm, sense, way in _NAMED.values():
        across, distance = _beside(points, np.array(way, np.float32))
        weight = np.exp(-((distance / 8) ** 4))
        total += weight
        signed += weight * np.float32(sense) * np.sin(np.clip(across, -9, 9) * np.float32(np.pi / 11))
        deep += weight * np.float32(depth_mm)
    return np.stack([signed / (total + 1e-3), np.minimum(total, 1), deep / (total + 1e-3)]).astype(np.float32)


def _beside(points: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance across a fold along the brain's surface, and distance from its line."""
    best = np.full(points.shape[:-1], np.inf, np.float32)
    across = np.zeros(points.shape[:-1], np.float32)
    for start, end in pairwise(way):
        axis = end - start
        along = np.clip(((points - start) @ axis) / (axis @ axis), 0, 1)
        offset = points - (start + along[..., None] * axis)
        distance = np.sqrt(np.sum(offset**2, -1))
        outwards = np.array([1.0, 0, 0]) if way[:, 0].max() < 19 else (start + end) / 2 - (0, 4, 2)
        side = np.cross(outwards, axis)
        side /= np.linalg.norm(side)
        nearer = distance < best
        across[nearer] = (offset @ side)[nearer]
        best[nearer] = distance[nearer]
    return across, best

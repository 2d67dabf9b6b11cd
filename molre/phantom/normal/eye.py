"""The normal content of the orbits."""

from __future__ import annotations

import numpy as np

from molre.phantom.head import Head
from molre.phantom.shapes import Coordinates, Field, ellipsoid, ramp, tube
from molre.phantom.standard.structures import S
from molre.phantom.tissue import T

GLOBE_MM = (33.0, -80.5, -42.0)
RADIUS_MM = 12.1
MUSCLES = (
    ((21, -80, -42, 0.9), (16.5, -66, -40, 2.1), (15.5, -56, -38, 1.9), (13.5, -42, -34, 0.9)),
    ((45, -79, -42, 0.9), (41, -68, -41, 1.9), (31, -55, -38, 1.9), (17, -42, -34, 0.9)),
    ((32, -80, -30.5, 0.9), (29, -68, -28, 2.0), (24, -56, -27, 2.0), (14, -42, -31, 0.9)),
    ((32, -79, -54, 0.9), (29, -68, -55, 2.0), (24, -56, -50, 2.0), (15, -42, -37, 0.9)),
    ((17, -84, -30, 1.0), (14.5, -70, -30, 1.3), (13.5, -48, -30, 0.9)),
)  # fmt: skip
"""Medial, lateral, superior and inferior rectus, superior oblique (Som and Curtin 2011, ch. 9)."""
NERVE = ((31.5, -69, -41.5, 1.9), (25, -57, -40, 1.9), (18, -46, -36, 1.9), (13.5, -39, -33, 1.7))


def fill_orbits(head: Head, index: np.ndarray) -> None:
    """Lay out globes, nerves, muscles and glands among voxels of orbit and lids."""
    x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
    box = (np.abs(x - 32) < 22) & (y < -36) & (y > -99) & (np.abs(z + 42) < 21)
    index = index[box]
    at = (x[box], y[box], z[box])
    deep = head.structure[index] == S["orbit_fat"]
    soft = np.maximum.reduce([tube(at, muscle) for muscle in MUSCLES])
    soft = np.maximum(soft, ellipsoid(at, (46, -80, -31), (3.2, 6.5, 4.2)))
    _put(head, index, np.where(deep, soft, -9), 48.0, "orbit_soft", "muscle")
    _put(head, index, np.where(deep, tube(at, NERVE), -9), 34.0, "orbit_soft", "muscle")
    globe = _globe(at)
    _put(head, index, globe, 45.0, "sclera", "eye")
    _put(head, index, globe - np.float32(1.3), 9.0, "vitreous", "eye")
    x0, y0, z0 = GLOBE_MM
    _put(head, index, ellipsoid(at, (x0, y0 - 8.0, z0), (4.6, 2.1, 4.6)), 85.0, "lens", "eye")


def _globe(at: Coordinates) -> Field:
    cornea = ellipsoid(at, (GLOBE_MM[0], GLOBE_MM[1] - 6.2, GLOBE_MM[2]), (6.6, 7.0, 6.6))
    return np.maximum(ellipsoid(at, GLOBE_MM, (RADIUS_MM,) * 3), cornea)


def _put(head: Head, index: np.ndarray, depth: Field, hu: float, structure: str, tissue: str) -> None:
    share = ramp(depth, 0.9)
    near = np.flatnonzero(share > 0)
    index, share = index[near], share[near]
    head.hu[index] += (np.float32(hu) - head.hu[index]) * share
    most = index[share > 0.5]
    head.structure[most], head.tissue[most] = S[structure], T[tissue]
    head.bone[most] = False

"""The standard ventricles. Places are those of the MNI152 standard brain, read from its average images."""

from __future__ import annotations

import numpy as np

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, join, meet, tube
from molre.phantom.standard.nuclei import caudate, hippocampus, thalamus

_HORN = (
    ((4.5, -21, 4, 1.4), (9, -34, 3, 2.6), (12.5, -43, 3, 1.8)),
    ((3.2, -15, 9, 2.2), (5.5, -25, 10, 3.6), (10.0, -37, 9, 4.2), (14.0, -46, 8, 2.0)),
    ((4.0, -16, 16, 3.0), (6.5, -27, 17, 3.8), (11.0, -37, 15, 3.8), (15.0, -45, 13, 1.6)),
)
"""Three rods, one above the other, make a horn taller than wide: (x, y, z, radius) in mm."""
_BODY = ((4.5, -16, 17, 3.4), (6.5, -2, 20.5, 3.6), (9.5, 8, 21, 3.6), (15, 18, 20, 4.4), (21, 25, 16, 5.6))
_LATERAL = ((9, -8, 21, 2.6), (13, 2, 22, 2.6), (17, 14, 21, 3.0))
_ATRIUM = ((21, 25, 15, 5.8), (24.5, 29, 9, 6.0), (25, 37, 6, 4.6), (23.5, 48, 5, 2.8), (21, 60, 4, 1.0))
_TEMPORAL = ((25.5, 28, 6, 4.6), (30.5, 22, -2, 2.4), (34, 12, -9, 1.5), (34.5, 2, -15, 1.1), (32, -6, -18, 1.4))


def lateral_ventricle(at: Coordinates) -> Field:
    """Frontal horn, body, atrium, occipital and temporal horn; caudate, thalamus and hippocampus bulge into it."""
    whole = join(*(tube(at, rod) for rod in (*_HORN, _BODY, _LATERAL, _ATRIUM, _TEMPORAL)))
    return meet(whole, -caudate(at), -thalamus(at), -hippocampus(at) + np.float32(0.8), at[0] - np.float32(0.7))


def fourth_ventricle(at: Coordinates) -> Field:
    """A tent over the pons with its peak in the cerebellum, and the lateral recesses."""
    tent = ellipsoid(at, (0, 28, -33), (8.5, 8.5, 12))
    floor = -ellipsoid(at, (0, 16, -33), (13, 10.5, 22))
    recess = capsule(at, (0, 30, -39), (11, 28, -41), 2.4, 1.2)
    vermis = -ellipsoid(at, (0, 37, -38), (3.2, 6, 7))
    return meet(join(tent, recess), floor, join(vermis, np.broadcast_to(at[2] + 34, vermis.shape)))


def ventricles(at: Coordinates) -> Field:
    """Distance into any of the ventricles."""
    third = meet(ellipsoid(at, (0, -3, 0), (1.9, 15, 12)), -ellipsoid(at, (0, -2, 3), (9, 3.2, 2.6)))
    recess = capsule(at, (0, -12, -9), (0, -14, -16), 1.3, 0.8)
    aqueduct = capsule(at, (0, 11, -6), (0, 21, -21), 0.8)
    monro = capsule(at, (0, -13, 8), (4, -16, 11), 1.3)
    return join(lateral_ventricle(at), third, recess, aqueduct, fourth_ventricle(at), monro)

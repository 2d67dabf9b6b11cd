"""The standard temporal bones: pyramid and mastoid, their cells, canals and labyrinth."""

from __future__ import annotations

import numpy as np

from molre.phantom.shapes import Coordinates, Field, capsule, tube
from molre.phantom.standard.solids import Solids

MASTOID = ((57, 27, -40, 8), (59, 29, -55, 11), (55, 27, -72, 7), (53, 25, -80, 4.5))
CANALS = (
    ((30, 0, -66, 2.9), (30, 2, -55, 2.8), (25, -2, -49, 2.7), (16, -7, -45, 2.7), (12, -12, -41, 2.6)),
    ((26, 19, -56, 4.0), (27, 17, -64, 4.5), (28, 14, -74, 4.0)),
    ((9, 20, -61, 1.8), (21, 17, -67, 2.2)),
    ((23.5, -13, -48, 2.6), (24.5, -12, -60, 2.8)),
    ((29.5, -8, -48, 1.1), (31, -7, -60, 1.1)),
    ((17, -33, -42, 1.5), (19, -41, -45, 1.6)),
    ((14.5, -39, -33, 2.2), (9, -29, -27, 2.2)),
    ((60, 37, -43, 3.8), (54, 35, -52, 4.0), (44, 28, -58, 4.0), (30, 21, -58, 4.0)),
    ((14, -6, -60, 2.2), (19, -2, -66, 2.6)),
)
"""Carotid, jugular and hypoglossal canals, oval, spinous and round foramen, optic canal, sigmoid
groove, petroclival fissure: (x, y, z, radius) in mm (Som and Curtin 2011, Head and Neck Imaging, ch. 11 and 19)."""
AUDITORY_MM = ((15, 5, -43, 3.4), (22, 8.5, -44, 2.7), (30, 10.5, -44.5, 2.0))
"""Internal auditory canal, part of the cavity."""
LABYRINTH = (
    ((31.5, 5.5, -48, 1.8), (33.5, 3.5, -49, 1.6)),
    ((36, 10, -47, 1.7), (37.5, 12, -46, 1.4)),
)


def _rings(at: Coordinates) -> Field:
    """The three semicircular canals."""
    x, y, z = at
    found: list[Field] = []
    for centre, axis in (
        ((39.5, 15, -42.5), (0.7, -0.7, 0)),
        ((40.5, 17, -46), (0.7, 0.7, 0)),
        ((41, 14.5, -47), (0, 0, 1)),
    ):
        off = [a - np.float32(c) for a, c in zip((x, y, z), centre, strict=True)]
        along = sum(o * np.float32(a) for o, a in zip(off, axis, strict=True))
        flat = np.sqrt(np.maximum(sum(o * o for o in off) - along * along, 0))
        found.append(np.float32(0.55) - np.hypot(along, flat - 3.3))
    return np.maximum.reduce(found)


def canals(at: Coordinates) -> Field:
    """Distance into the canals."""
    solid = Solids(at)
    for canal in CANALS:
        solid.tube(canal)
    return solid.field


def temporal_bone(bone: Solids) -> None:
    """Add pyramid, mastoid and the rest of the central base, and cut their canals."""
    bone.tube(((13, 0, -43, 5.5), (24, 6, -44, 7), (34, 11, -46, 9.5), (46, 18, -47, 11), (56, 25, -46, 12)))
    bone.add((44, 8, -84), (76, 46, -30), lambda at: _mastoid(at, 0.0))
    bone.tube(((48, 17, -50, 6), (57, 25, -57, 7)))
    bone.tube(((45, -13, -56, 2.2), (54, -12, -57, 3), (63, -8, -56, 3)))
    bone.tube(((44, 4, -60, 2.4), (54, 4.5, -61, 2.2), (62, 6, -60, 2.4)))
    bone.tube(((44, 15, -62, 3), (52, 17, -64, 4)))
    bone.tube(((40, 8, -62, 2.0), (38, 2, -76, 1.6), (36, -3, -92, 1.1)))
    bone.plate((0, -9, -44), (11, 1, 0), (0, 14, -18), 5.5)
    bone.tube(((14, 15, -65, 5), (19, 24, -67, 6), (19, 33, -66, 5)))
    bone.tube(((24, 20, -60, 5.5), (38, 24, -58, 5.5)))
    bone.ellipsoid((0, -25, -42), (17.5, 18, 12))
    bone.tube(((20, -22, -47, 5), (30, -14, -53, 4)))
    for canal in CANALS:
        bone.tube(canal, cut=True)
    for space in LABYRINTH:
        bone.tube(space, cut=True)
    bone.cut((35, 9, -52), (46, 21, -37), _rings)


def temporal_air(air: Solids) -> None:
    """Middle ear, antrum, external canal; the region of the mastoid cells."""
    air.tube(((42, 8, -52.5, 2.8), (43, 9.5, -48, 3.2), (44.5, 12, -44.5, 2.8), (50, 20, -43, 3.2)))
    air.tube(((46, 9, -54, 3.2), (56, 11, -55, 3.1), (66, 9.5, -56, 3.5), (76, 11, -57, 4.4), (83, 14, -57, 6)))


def mastoid_cells(at: Coordinates) -> Field:
    """Distance into the region that cells may fill."""
    antrum = capsule(at, (44, 17, -40), (54, 22, -40), 3.0, 5.0)
    return np.maximum.reduce([_mastoid(at, 1.5), capsule(at, (50, 20, -42), (58, 30, -38), 5.5, 6), antrum])


def _mastoid(at: Coordinates, less_mm: float) -> Field:
    """The process: flat from side to side, knobbly."""
    x, y, z = at
    bent = (
        57 + (x - 57) * np.float32(1.2) + 1.4 * np.sin(z / np.float32(6.5) + y / np.float32(8)),
        y + 1.6 * np.sin(z / np.float32(9)) + 1.2 * np.sin(x / np.float32(4)),
        z + 1.2 * np.sin(y / np.float32(5)),
    )
    return tube(bent, [(*point[:3], point[3] - less_mm) for point in MASTOID])

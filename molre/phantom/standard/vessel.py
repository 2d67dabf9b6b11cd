"""The standard dura, its sinuses, and the vessels at the base of the brain."""

from __future__ import annotations

import numpy as np

from molre.phantom.shapes import Coordinates, Field, capsule, join, meet, tube, within
from molre.phantom.standard.cortex import callosal_mm, tentorial_edge_mm, tentorium_mm

# Way points (x, y, z, radius) in mm; calibres after Krejza et al. 2006 (AJR 186:1177).
_ARTERIES = (
    ((10, 22, -70, 1.6), (6, 10, -58, 1.6), (0.5, 0, -46, 1.6)),
    ((0, -0.5, -46, 1.9), (0, -3.5, -36, 1.8), (0, -5.5, -24, 1.8)),
    ((1, -5.5, -24, 1.2), (9, -2, -21, 1.2), (17, 6, -18, 1.1), (18, 18, -12, 1.0), (14, 32, -4, 0.9)),
    ((13, -10, -38, 2.3), (10, -18, -33, 2.3), (9.5, -21, -28, 2.2), (12, -17, -22, 2.1)),
    ((12, -17, -22, 1.7), (20, -19, -19, 1.6), (29, -19, -15, 1.5), (36, -18, -10, 1.2), (40, -10, 0, 1.0)),
    ((36, -20, -9, 1.1), (40, -24, 0, 0.9), (42, -14, 10, 0.8)),
    ((12, -17, -22, 1.2), (5, -23, -20, 1.2), (1.8, -31, -18, 1.2), (1.8, -44, -8, 1.1), (1.8, -53, 4, 1.0)),
    ((1.8, -53, 4, 1.0), (1.8, -48, 24, 0.9), (1.8, -30, 34, 0.8)),
)
_VEINS = (
    ((2, -13, 9, 0.9), (2.2, 4, 14, 1.0), (1.0, 22, 9, 1.5), (0, 28, 5, 2.2)),
    ((16, -4, -20, 0.9), (17, 12, -12, 1.0), (6, 24, 2, 1.2), (0, 28, 5, 1.6)),
)


def falx_mm(at: Coordinates, cavity: Field) -> Field:
    """Depth into the falx: narrow in front, down to the splenium behind (Osborn's Brain, 2nd ed., 2018)."""
    x, y, _ = at
    reach = np.float32(24) + np.clip(y + 60, 0, 110) * np.float32(0.32)
    return meet(np.float32(0.55) - x, reach - cavity, -callosal_mm(at) - 3, tentorium_mm(at), cavity + 1)


def tentorium_sheet_mm(at: Coordinates, cavity: Field) -> Field:
    """Depth into the tentorium."""
    return meet(np.float32(0.6) - np.abs(tentorium_mm(at)), tentorial_edge_mm(at), cavity + 1)


def dura(at: Coordinates, cavity: Field) -> Field:
    """Depth into falx or tentorium."""
    return join(falx_mm(at, cavity), tentorium_sheet_mm(at, cavity))


def arteries(at: Coordinates) -> Field:
    """Vertebral, basilar, posterior cerebral, carotid, middle and anterior cerebral arteries."""
    return join(*(tube(at, way) for way in _ARTERIES))


_BASE = ((0, -64, -76), (54, 44, 48))
_BEHIND = ((0, -26, -32), (24, 92, 24))


def straight_sinus(at: Coordinates) -> Field:
    """The straight sinus, with the veins that feed it."""
    sinus = tube(at, ((0, 28, 5, 2.0), (0, 44, 0, 1.8), (0, 62, -8, 1.9), (0, 80, -18, 2.4)))
    return join(sinus, *(tube(at, way) for way in _VEINS))


def sinuses(at: Coordinates, cavity: Field) -> Field:
    """Superior sagittal, transverse and sigmoid sinuses and the torcula, against the inner table."""
    x, y, z = at
    wide = np.float32(3.2) + np.clip(y + 70, 0, 140) * np.float32(0.022)
    upper = meet(wide - cavity - np.float32(0.75) * x, cavity + np.float32(0.4), join(z - 6, y - 30), z + 18)
    transverse = meet(
        np.float32(4.6) - np.hypot(cavity - np.float32(1.2), np.abs(tentorium_mm(at) + 1)),
        y - 26, cavity + np.float32(0.6), x - 1,
    )  # fmt: skip
    sigmoid = tube(at, ((53, 36, -27, 4.0), (50, 27, -40, 4.2), (42, 23, -50, 4.2), (30, 16, -56, 4.4)))
    torcula = capsule(at, (0, 82, -19), (3, 81, -20), 4.5)
    return join(upper, transverse, meet(sigmoid, cavity + 2), meet(torcula, cavity + np.float32(0.6)))


def vessels(at: Coordinates, cavity: Field) -> Field:
    """Distance into any vessel that shows without contrast."""
    return join(within(at, *_BASE, arteries), within(at, *_BEHIND, straight_sinus), sinuses(at, cavity))

"""The standard upper neck and the muscles of chewing: first vertebrae, muscles, glands."""

from __future__ import annotations

import numpy as np

from molre.phantom.shapes import Coordinates, Field, ellipsoid, tube, union
from molre.phantom.standard.solids import Solids

MUSCLES = (
    ((24, -39, -60, 7.5), (36, -25, -65, 10), (48, -9, -65, 7.5)),
    ((26, -33, -74, 8), (36, -24, -90, 9.5), (43, -16, -108, 9)),
    ((12, -14, -62, 4.5), (14, -18, -74, 5), (14, -20, -90, 5)),
    ((8, 2, -62, 7), (10, 1, -66, 8), (10, 2, -80, 8), (10, 2, -112, 8)),
    ((46, 22, -70, 5), (46, 20, -84, 6.5), (46, 12, -112, 6.5)),
    ((12, -88, -88, 3), (40, -78, -84, 3)),
    ((28, -84, -66, 1.6), (16, -92, -84, 1.8)),
    ((42, -76, -68, 1.8), (34, -80, -88, 1.8)),
    ((12, -97, -40, 1.4), (32, -97, -30, 1.6), (50, -84, -34, 1.6)),
    ((50, -84, -34, 1.6), (54, -78, -44, 1.6), (46, -84, -56, 1.6), (24, -92, -58, 1.6)),
)  # fmt: skip
"""Pterygoids, palate, long muscles of the neck, digastric, muscles of the face: (x, y, z, radius) in mm."""
NAPE = (
    (10, 25, 7), (40, 27, 8), (65, 27, 6), (11, 41, 10), (33, 38, 9), (58, 40, 8), (24, 55, 10), (47, 54, 9),
    (70, 50, 8), (9, 68, 8), (27, 68, 7), (88, 50, 11), (104, 37, 7), (120, 34, 6), (78, 33, 6),
)  # fmt: skip
"""Recti, oblique, semispinal, longest, splenius, levator, trapezius, sternomastoid, digastric: degrees off the back,
mm from the middle of the canal, and radius in mm."""
GLANDS = (
    ((62, 4, -68, 7), (62, 4, -84, 12), (58, 4, -108, 11)),
    ((50, 5, -86, 5), (58, 3, -88, 9)),
    ((70, -14, -76, 4), (68, -8, -90, 5)),
)
"""Parotid with its deep lobe."""
VESSELS = (
    ((34, 3, -72, 3), (30, 0, -66, 2.9)),
    ((32, 4, -112, 3.5), (34, 3, -72, 3)),
    ((36, 11, -74, 4.5), (40, 12, -112, 6)),
)
"""Internal carotid artery and jugular vein below the skull."""


def vertebrae(bone: Solids) -> None:
    """Atlas with its arches and masses, and the upper axis with the dens."""
    bone.tube(((0, 7, -80, 3.2), (10, 9, -80, 3.6), (18, 17, -79, 5), (21, 25, -78, 7), (22, 33, -79, 5.5)))
    bone.tube(((21, 25, -79, 6), (32, 25, -81, 4), (39, 25, -82, 3.6)))
    bone.tube(((22, 33, -79, 4), (17, 44, -80, 3.2), (8, 51, -81, 3.2), (0, 53, -81, 3.8)))
    bone.ellipsoid((28, 27, -80), (2.8, 2.8, 8), cut=True)
    bone.tube(((0, 15.5, -71, 3.6), (0, 15, -78, 4.8), (0, 15, -90, 5.2), (0, 14, -98, 9), (0, 14, -118, 9.5)))
    bone.tube(((14, 22, -95, 7), (22, 26, -96, 6)))
    bone.tube(((22, 30, -97, 4), (12, 48, -102, 3.5), (0, 60, -104, 4)))


def mandible(bone: Solids) -> None:
    """Condyle, neck, coronoid process and ramus; the body lies below any head CT."""
    bone.ellipsoid((52, -4, -63.5), (9.8, 4.8, 5.2))
    bone.tube(((52, -5, -64, 4.4), (50, -9, -74, 3.8), (49, -14, -88, 4), (48, -18, -112, 4)))
    bone.tube(((50, -30, -67, 1.6), (49.5, -29, -78, 2.4), (48, -30, -112, 3)))
    bone.plate((49.5, -12, -82), (0, -16, 1), (-1.5, -4, -32), 1.8)


def _bent(at: Coordinates) -> Coordinates:
    """Places pushed about by some mm, against outlines as round as a rod's."""
    x, y, z = at
    return (
        x + 1.8 * np.sin(y / np.float32(6)) + 1.5 * np.sin(z / np.float32(7)),
        y + 2.6 * np.sin(x / np.float32(5) + 1) + 1.5 * np.sin(z / np.float32(9)),
        z + 1.5 * np.sin(x / np.float32(6)),
    )


def temporal_muscle(at: Coordinates, skin: Field, cavity: Field) -> Field:
    """Distance into the fan from the temporal line to the coronoid process, under its fascia and the fat."""
    x, y, z = _bent(at)
    fan = ellipsoid((np.zeros_like(x), y - np.float32(0.25) * z, z), (0, -14, -6), (9, 47, 44), 2.2)
    stem = tube((np.float32(0.7) * x, y, z), ((40, -43, -26, 17), (38, -38, -50, 14), (35, -30, -78, 7)))
    inner = x - np.float32(38) - np.float32(0.5) * np.maximum(-48 - z, 0) + np.float32(0.25) * (y + 40)
    outer = np.minimum(np.float32(5.5) - skin, 20)
    # Towards its line of origin it thins out on the bone.
    rise = np.where(z > -38, np.float32(0.28) * fan + np.float32(4.2) + cavity, np.float32(20))
    outer = np.maximum(outer, -rise)
    # Rounded where the fan, the fascia and the fat beside the jaw meet.
    return -union(union(-np.maximum(fan * np.float32(0.5), stem), -inner, 7), outer, 3)


def _nape(at: Coordinates, skin: Field) -> Field:
    """Distance into the muscles of the nape, layered about the canal, with seams of fat where two of them meet."""
    x, y, z = at
    back = y - np.float32(30)
    radius = np.hypot(x, back) + 1.5 * np.sin(z / np.float32(9) + x / np.float32(11))
    angle = np.rad2deg(np.arctan2(x, back)) + 3.0 * np.sin(radius / np.float32(7) + z / np.float32(13))
    near: Field = np.full(skin.shape, -14, np.float32)
    next_near = near.copy()
    for middle, out, size in NAPE:
        along = (angle - np.float32(middle)) * np.float32(0.8)
        away = np.float32(size + 6) - np.hypot(along, (radius - np.float32(out)) * np.float32(2.0))
        np.maximum(next_near, np.minimum(near, away), out=next_near)
        np.maximum(near, away, out=near)
    width = 0.05 + 0.5 * np.sin(angle / np.float32(13) + z / np.float32(5)) * np.sin(radius / np.float32(6))
    seam = np.float32(0.4) * (near - next_near) - width
    under = np.float32(0.6) * (-30 - np.float32(0.16) * np.maximum(70 - y, 0) - z)
    cover = np.float32(0.9) * (skin - 7 - np.float32(0.05) * np.maximum(y - 40, 0))
    return np.minimum.reduce([seam, near, np.broadcast_to(under, skin.shape), cover]).astype(np.float32)


def flesh(at: Coordinates, skin: Field, cavity: Field) -> tuple[Field, Field]:
    """Distances into muscles and vessels, and into the parotid glands."""
    first = _nape(at, skin)
    chewing = temporal_muscle(at, skin, cavity)
    masseter = np.minimum(ellipsoid(at, (62, -44, -90), (11, 21, 30), 2.4), skin - np.float32(6))
    second = np.minimum(chewing, masseter)
    first = np.maximum.reduce([first, chewing, masseter])
    for muscle in MUSCLES:
        solid = Solids(at, near_mm=7)
        solid.tube(muscle)
        np.maximum(second, np.minimum(first, solid.field), out=second)
        np.maximum(first, solid.field, out=first)
    muscles = np.where(second > -3, np.minimum(first, np.float32(0.5) * (first - second) - np.float32(0.5)), first)
    soft, glands = Solids(at), Solids(at)
    soft.ellipsoid((0, -22, -70), (20, 18, 17))
    soft.tube(((0, -93, -46, 5), (0, -100, -64, 8), (0, -106, -74, 9)))
    for vessel in VESSELS:
        soft.tube(vessel)
    for gland in GLANDS:
        glands.add((42, -26, -112), (80, 22, -58), lambda at, gland=gland: tube(_bent(at), gland))
    return np.minimum(np.maximum(muscles, soft.field), skin - np.float32(2.6)), np.minimum(glands.field, skin - 4)

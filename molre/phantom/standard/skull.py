"""The standard skull's cavity, the thickness of the vault, and the skin over both."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, tube, union
from molre.phantom.standard.base import base_height
from molre.phantom.standard.temporal import AUDITORY_MM

MIDDLE_MM = (0.0, 4.0, 2.0)
"""Where the radii are taken from."""
RADII_MM = (
    (80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9, 80.9),
    (81.9, 81.9, 82.4, 82.7, 82.7, 82.7, 82.5, 82.2, 82.1, 81.8, 81.4, 80.8, 80.4),
    (83.0, 83.0, 83.7, 83.5, 82.5, 81.2, 80.2, 80.0, 80.1, 80.5, 80.8, 80.8, 80.4),
    (84.2, 84.2, 84.7, 83.7, 81.9, 79.9, 78.2, 77.6, 78.0, 79.0, 80.2, 81.2, 81.2),
    (84.2, 84.2, 84.7, 83.5, 81.7, 79.9, 77.9, 76.7, 77.5, 79.0, 80.7, 82.5, 82.9),
    (84.2, 84.2, 84.2, 83.2, 81.5, 79.7, 77.2, 76.0, 77.5, 79.3, 81.5, 84.4, 85.4),
    (84.0, 84.0, 83.5, 81.9, 79.9, 77.7, 75.5, 74.7, 77.3, 80.0, 83.2, 87.0, 88.6),
    (84.2, 84.2, 82.9, 79.9, 76.9, 74.7, 72.7, 72.5, 75.8, 80.2, 85.6, 90.4, 91.8),
    (85.2, 85.2, 82.6, 78.5, 75.5, 72.7, 70.6, 70.5, 73.7, 80.4, 88.2, 93.4, 94.2),
    (87.4, 87.4, 83.2, 78.5, 74.9, 72.7, 70.5, 69.3, 71.2, 79.9, 90.2, 94.7, 95.0),
    (88.0, 88.0, 83.9, 78.7, 75.9, 73.7, 70.9, 69.5, 70.5, 76.5, 86.5, 92.5, 93.5),
    (84.8, 84.8, 83.5, 79.2, 76.5, 74.9, 72.5, 71.2, 71.5, 74.5, 82.5, 88.0, 89.5),
    (83.8, 83.8, 84.6, 82.5, 77.0, 74.7, 73.2, 72.0, 72.5, 74.5, 80.0, 84.0, 86.0),
    (84.0, 84.0, 85.5, 84.0, 78.0, 75.5, 73.7, 72.7, 73.0, 74.5, 78.0, 82.0, 84.0),
)
"""Radius of the inner table every 10 degrees from the vertex (rows) and every 15 degrees from the back (columns),
measured on an average of head CTs in standard space (Rorden et al. 2012, NeuroImage 61:957) and evened."""

CRESTS = (
    (
        (0, 49, -67, 2.0),
        (0, 62, -59, 2.2),
        (0, 70, -51, 2.5),
        (0, 76, -42, 2.7),
        (0, 82, -33, 3.0),
        (0, 87.5, -24, 4.0),
        (0, 92, -12, 2.0),
        (0, 93, 4, 1.0),
    ),
    ((0, -83, -28, 2.4), (0, -87.5, -16, 2.2), (0, -91, 2, 1.0)),
    ((0, -81, -31, 2.6), (0, -73, -29, 1.6)),
)
"""Internal occipital crest and protuberance, frontal crest, crista galli: (x, y, z, radius) in mm."""


def cavity(at: Coordinates) -> Field:
    """Distance to the inner table: the dome over the three fossae, and the spinal canal."""
    x, y, z = at
    height = base_height(x.reshape(-1), y.reshape(-1))[None]
    steep = np.hypot(*np.gradient(height[0], float(y.reshape(-1)[1] - y.reshape(-1)[0])))[None]
    floor = (z - height) / np.sqrt(1 + steep * steep).astype(np.float32)
    inside = union(np.maximum(-floor, -40), np.maximum(-_dome(at), -40), 2.5)
    canal = np.minimum(capsule(at, (0, 31, -60), (0, 30, -76), 15, 12.5), -54 - z)
    canal = np.maximum(canal, capsule(at, (0, 30, -76), (0, 32, -125), 12.5, 11))
    crest = np.maximum.reduce([tube(at, points) for points in CRESTS])
    hole = np.maximum(union(-inside, canal, 3), tube(at, AUDITORY_MM))
    return _true(np.minimum(hole, -crest), float(x.reshape(-1)[1] - x.reshape(-1)[0]))


def _dome(at: Coordinates) -> Field:
    """First-order distance to the surface given by ``RADII_MM``."""
    x, y, z = (a - np.float32(c) for a, c in zip(at, MIDDLE_MM, strict=True))
    table = np.array(RADII_MM)
    wide = np.concatenate([table[:, 3:0:-1], table, table[:, -2:-5:-1]], axis=1)
    wide = np.concatenate([wide, *[wide[-1:]] * 5])
    fine = ndimage.zoom(wide, (10, 10), order=3, mode="nearest", grid_mode=False).astype(np.float32)
    rows, columns = ((n - 1) / (m - 1) for n, m in zip(fine.shape, wide.shape, strict=True))
    out = np.hypot(x, y)
    polar = np.arctan2(out, z) * np.float32(180 / np.pi / 10 * rows)
    azimuth = (np.arctan2(np.abs(x), y) * np.float32(180 / np.pi / 15) + 3) * np.float32(columns)
    place = np.stack(np.broadcast_arrays(polar, azimuth))
    rise_polar, rise_azimuth = np.gradient(fine, np.deg2rad(10 / rows), np.deg2rad(15 / columns))
    radius, along, across = (
        ndimage.map_coordinates(np.asarray(f, np.float32), place, order=1, mode="nearest")
        for f in (fine, rise_polar, rise_azimuth)
    )
    sine = np.maximum(np.sin(polar * np.float32(np.pi / 180 * 10 / rows)), np.float32(0.15))
    slope2 = (along / radius) ** 2 + (across / (radius * sine)) ** 2
    return ((radius - np.hypot(out, z)) / np.sqrt(1 + slope2)).astype(np.float32)


def _true(distance: Field, step_mm: float) -> Field:
    """The distance bounded by the exact one on every second sample, since first-order distances grow too fast."""
    inside = distance[::2, ::2, ::2] > 0
    depth = ndimage.distance_transform_edt(inside, 2 * step_mm) - ndimage.distance_transform_edt(~inside, 2 * step_mm)
    depth = ndimage.zoom(depth.astype(np.float32), 2, order=1, grid_mode=False)
    fitted = np.pad(depth, [(0, max(0, n - m)) for n, m in zip(distance.shape, depth.shape, strict=True)], mode="edge")
    fitted = fitted[tuple(slice(n) for n in distance.shape)]
    exact = np.abs(fitted) + np.float32(1.5)
    return np.clip(distance, -exact, exact)


VAULT_MM = (
    (0.0, 0.05, 1.0, 6.0, 50.0), (0.0, 1.0, 0.35, 7.0, 32.0), (0.0, -1.0, 0.25, 6.9, 32.0),
    (0.55, -0.75, 0.45, 5.6, 25.0), (0.75, 0.25, 0.75, 5.5, 28.0), (0.6, 0.75, 0.4, 6.2, 25.0),
    (1.0, -0.08, -0.12, 2.9, 20.0), (0.93, -0.45, 0.0, 3.6, 17.0), (0.95, 0.35, -0.15, 5.0, 16.0),
    (0.45, 0.55, -0.75, 2.2, 22.0), (0.0, 0.9, -0.62, 5.0, 14.0), (0.62, -0.2, -0.75, 2.2, 25.0),
    (0.0, 0.25, -1.0, 2.5, 20.0), (0.35, -0.85, -0.3, 2.0, 16.0), (0.55, 0.85, -0.35, 4.6, 18.0),
)  # fmt: skip
"""Places by direction (x, y, z), the thickness there and how far it reaches in degrees (Lynnerup 2001,
Forensic Sci Int 117:45, for the vault; thin temporal squama, cerebellar and middle fossae by Gray's Anatomy)."""


MEAN_MM = 6.3
"""Mean thickness of the vault for which ``VAULT_MM`` holds."""


def thickness_mm(unit: Float32[np.ndarray, "3 n"]) -> Float32[np.ndarray, "n"]:
    """Thickness of the standard skull by direction from its middle, for a mean thickness of 6.3 mm."""
    total, weight = np.zeros(unit.shape[1], np.float32), np.full(unit.shape[1], 1e-6, np.float32)
    for *towards, thickness, reach_deg in VAULT_MM:
        axis = np.array(towards, np.float32) / np.float32(np.linalg.norm(towards))
        angle = np.rad2deg(np.arccos(np.clip(np.einsum("i,in->n", axis, unit), -1, 1)))
        share = np.exp(-((angle / reach_deg) ** 2)).astype(np.float32)
        total, weight = total + share * np.float32(thickness), weight + share
    # The outer occipital protuberance, over the inner one.
    bump = np.array([unit[0] / 0.10, (unit[2] + 0.27) / 0.11])
    return total / weight + np.float32(4.5) * np.exp(-(bump**2).sum(0)) * (unit[1] > 0)


def skin(at: Coordinates, cavity: Field) -> Field:
    """Distance to the skin: the scalp over the skull, the face with nose, eyelids and ears, the neck."""
    x, y, z = at
    nape = 4 * np.clip((y - 20) / 60, 0, 1) * np.clip((40 - z) / 50, 0.4, 1)
    beside = 3 * np.exp(-(((y + 14) / 32) ** 2) - ((z + 8) / 30) ** 2) * np.clip((x - 35) / 20, 0, 1)
    scalp = cavity + np.float32(14.0) + nape + beside
    face = ellipsoid(at, (0, -4, -86), (83, 88, 66), 2.5)
    brow = tube(at, ((0, -87, -24, 17), (30, -85, -24, 15), (46, -70, -24, 15)))
    temple = ellipsoid(at, (38, -28, -34), (40, 50, 52), 2.3)
    neck = capsule(at, (0, 24, -66), (0, 26, -135), 74, 66)
    lid = ellipsoid(at, (33, -79, -42), (17, 14.5, 15))
    nose = tube(at, ((0, -90, -32, 8), (0, -96, -58, 10), (0, -103, -72, 11.5)))
    wing = capsule(at, (11, -96, -74), (15, -90, -76), 8)
    whole = union(union(union(scalp, temple, 8), brow, 8), union(face, neck, 12), 12)
    whole = union(union(whole, lid, 3), union(nose, wing, 5), 8)
    return np.maximum(whole, _ear(at))


def _ear(at: Coordinates) -> Field:
    """The auricle: a bowl about the ear canal, its rim rolled forwards, standing off the head at the back."""
    x, y, z = at
    height = (z + 47) / np.float32(30)
    depth = y - 8 - 4 * height * height + np.float32(0.10) * (z + 47)
    surface = 80.5 + 13.5 * (1 - np.exp(-np.maximum(depth, 0) / 11)) - 3.2 * np.exp(-(((depth - 11) / 3.5) ** 2))
    outline = ellipsoid((np.zeros_like(x), depth, z), (0, 12, -47), (9, 14, 30))
    shell = np.minimum(np.float32(1.7) - np.float32(0.8) * np.abs(x - surface), outline)
    rim = np.float32(2.3) - np.hypot(np.abs(outline - 2.2) * 1.0, x - surface + np.float32(0.8))
    lobe = ellipsoid(at, (84, 8, -74), (3, 6, 9))
    whole = np.maximum(np.maximum(shell, np.where(depth > 8, rim, -9)), lobe)
    return np.minimum(whole, np.float32(97) - x).astype(np.float32)

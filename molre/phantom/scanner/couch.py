"""What lies under the head: the table's end or a head rest, and the foam between."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.geometry import Geometry
from molre.phantom.head import Head
from molre.phantom.tissue import AIR

FOAM_HU = -965.0
"""Foam pads, as beside the real head of `../shared/data` in every slice."""
SHELL_HU = (-250.0, 350.0)
"""Carbon fibre and plastic shells, 2 to 4 mm thick."""

Plane = Float32[np.ndarray, "rows columns"]
Line = Float32[np.ndarray, "_ _"]


def add_rest(
    hu: Float32[np.ndarray, "slices rows columns"], head: Head, geometry: Geometry, rest: str, rng: np.random.Generator
) -> None:
    """Lay the head on its rest, in place: the same section in all slices, as long as the head."""
    x, y = _millimetres(geometry)
    back, middle = _occiput(head, geometry)
    gap, wall, radius = rng.uniform(3, 12), rng.uniform(2, 4), rng.uniform(88, 105)
    foam, shell = {"cradle": _cradle, "plates": _plates, "couch": _couch}[rest](
        x - np.float32(middle), y - np.float32(back + gap), float(wall), float(radius), float(geometry.pixel_mm)
    )
    dense = np.float32(rng.uniform(*SHELL_HU))
    added = foam * np.float32(FOAM_HU - AIR) * (1 - shell) + shell * (dense - np.float32(AIR))
    for plane in hu:
        plane += added * np.clip((np.float32(-500) - plane) / 400, 0, 1)


def _millimetres(geometry: Geometry) -> tuple[Line, Line]:
    """Place of each pixel from the middle of the image, to the left and to the back."""
    line = ((np.arange(geometry.matrix_px) - (geometry.matrix_px - 1) / 2) * geometry.pixel_mm).astype(np.float32)
    return line[None, :], line[:, None]


def _occiput(head: Head, geometry: Geometry) -> tuple[float, float]:
    """Where the head ends at the back, and its middle from side to side, without anything that was drawn on it."""
    _, rows, columns = head.shape
    inside = np.zeros(rows * columns, bool)
    inside[head.where % (rows * columns)] = True
    inside = inside.reshape(rows, columns)
    row, column = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    centre = (rows - 1) / 2
    return (row[-1] - centre) * geometry.pixel_mm, ((column[0] + column[-1]) / 2 - centre) * geometry.pixel_mm


def _band(distance: Float32[np.ndarray, "..."], half_mm: float, pixel_mm: float) -> Float32[np.ndarray, "..."]:
    """Share of each pixel within a distance of a line."""
    return np.clip(
        (half_mm + pixel_mm / 2 - np.abs(distance)) / np.float32(pixel_mm), 0, min(1.0, 2 * half_mm / pixel_mm)
    )


def _cradle(x: Line, y: Line, wall: float, radius: float, pixel_mm: float) -> tuple[Plane, Plane]:
    """A deep trough about the back half of the head, lined with foam."""
    distance = np.hypot(x, y + np.float32(radius)) - np.float32(radius)
    lower = np.clip((y + np.float32(0.75 * radius)) / 6, 0, 1)
    return ((distance < 0) & (distance > -10)) * lower, _band(distance - wall, wall / 2, pixel_mm) * lower


def _plates(x: Line, y: Line, wall: float, radius: float, pixel_mm: float) -> tuple[Plane, Plane]:
    """A shallow shell behind, upright plates beside, a pad between each plate and the head."""
    shell = np.hypot(x, y + np.float32(1.5 * radius)) - np.float32(1.5 * radius)
    behind = _band(shell - wall, wall / 2, pixel_mm) * (np.abs(x) < 0.8 * radius)
    upright = (y > -1.45 * radius) & (y < -0.3 * radius)
    beside = _band(np.abs(x) - np.float32(radius + 1), 0.8, pixel_mm) * upright
    pad = np.hypot((np.abs(x) - np.float32(radius - 14)) / 12, (y + np.float32(0.45 * radius)) / 26) < 1
    return (pad | ((shell < 0) & (shell > -8))).astype(np.float32), np.maximum(behind, beside)


def _couch(x: Line, y: Line, wall: float, radius: float, pixel_mm: float) -> tuple[Plane, Plane]:
    """A nearly flat table top of two skins with a foam core, and a cushion under the head."""
    bent = y - np.float32(14) + x * x / np.float32(9 * radius)
    cushion = (np.hypot(x / np.float32(0.8 * radius), (y - 2) / 12) < 1) & (bent < 0)
    top, bottom = _band(bent, wall / 2, pixel_mm), _band(bent - np.float32(16), wall / 2, pixel_mm)
    core = (bent > 0) & (bent < 16)
    return (cushion | core).astype(np.float32), np.maximum(top, bottom)

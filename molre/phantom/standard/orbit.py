"""The standard orbits: a pyramid of fat with its walls; what lies in it is laid out in each head."""

from __future__ import annotations

import numpy as np

from molre.phantom.shapes import Coordinates, Field

RIM_MM, APEX_MM = -84.0, -37.0
"""Where along y the orbit is widest, and where it ends."""


def orbit(at: Coordinates) -> Field:
    """Distance to the walls of the orbit, open in front behind the eyelids (Som and Curtin 2011, ch. 9)."""
    x, y, z = at
    back = np.clip((y - np.float32(RIM_MM)) / np.float32(APEX_MM - RIM_MM), 0, 1)
    half_x, half_z = 18.5 - 14.5 * back**1.4, 19.0 - 14.5 * back**1.3
    across, up = x - (32.5 - 18.0 * back**1.2), z - (-41.5 + 7.5 * back)
    power = np.float32(2.6)
    radius = ((np.abs(across) / half_x) ** power + (np.abs(up) / half_z) ** power) ** (1 / power)
    walls = (1 - radius) * np.minimum(half_x, half_z) * np.float32(0.95)
    front = y + np.float32(97.0) - np.float32(0.42) * x
    return np.minimum(np.minimum(walls, front), np.float32(APEX_MM) - y).astype(np.float32)


def wall_mm(at: Coordinates) -> Field:
    """Thickness of the walls: paper-thin towards the ethmoid, thin to the maxilla, stout at the side and the rim."""
    x, y, z = at
    side = np.clip((x - 27) / 16, 0, 1) * np.clip((-z - 20) / 10, 0, 1)
    rim = np.clip((-y - 66 + np.float32(0.3) * (x - 15)) / 10, 0, 1) * np.clip((x - 20) / 10, 0, 1)
    return (0.75 + 1.5 * side + 2.2 * rim + 0.8 * np.clip((z + 34) / 10, 0, 1)).astype(np.float32)

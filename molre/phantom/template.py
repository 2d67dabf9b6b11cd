"""The standard head that every phantom is a bent copy of: distances and structures on a grid, built once a process.

Head coordinates are in mm: x to the patient's left, y to the back, z to the head; the origin lies in the third
ventricle, 16 mm behind the anterior commissure, so that y = -(y_MNI + 16) and z = z_MNI. Places are those of the MNI152
standard brain (Mazziotta et al. 2001, Phil Trans R Soc B 356:1293). Only the left half is stored; the right mirrors it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, UInt8, UInt16, UInt64
from scipy import ndimage

from molre.phantom.shapes import Coordinates, Field, smooth_noise
from molre.phantom.standard.brain import brain, cisterns, ventricles
from molre.phantom.standard.face import face
from molre.phantom.standard.skull import cavity as inner_table
from molre.phantom.standard.skull import muscle
from molre.phantom.standard.skull import skin as scalp

STEP_MM = 1.2
"""Finer than a pixel of the scan, coarse enough that the standard head fits the cache of a CPU."""
LOW_MM = (0.0, -122.0, -104.0)
SHAPE = (168, 196, 82)
"""(z, y, |x|) samples."""
POLAR, AZIMUTH = 240, 240
"""Directions from the middle of the brain at which cortical folds are told apart: 0.75 degrees, 1 mm of cortex."""
CENTRE_MM = (0.0, 4.0, 2.0)

DISTANCES = {"skin": (4.0, 8.0), "skull": (30.0, 4.0), "ventricle": (40.0, 4.0), "cistern": (30.0, 4.0)}
"""Offset in mm and steps per mm with which each distance is held in a byte."""
RECORD = np.dtype([(n, "u1") for n in (*DISTANCES, "structure", "noise")] + [("direction", "<u2")])


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The standard head.

    Attributes:
        packed: one 8-byte ``RECORD`` a sample, so that one look-up fetches all of them.
        directions: unit vectors (x, y, z) of each direction, for x >= 0.
    """

    packed: UInt64[np.ndarray, "n"]
    directions: Float32[np.ndarray, "3 directions"]


def _grid() -> Coordinates:
    axes = [LOW_MM[2 - i] + STEP_MM * np.arange(n, dtype=np.float32) for i, n in enumerate(SHAPE)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)


def _byte(name: str, distance: Field) -> UInt8[np.ndarray, "z y x"]:
    offset, scale = DISTANCES[name]
    return np.clip((distance + offset) * scale + 0.5, 0, 255).astype(np.uint8)


def _direction(at: Coordinates, bend: list[Field]) -> UInt16[np.ndarray, "z y x"]:
    dx, dy, dz = (a - c + b for a, c, b in zip(at, CENTRE_MM, bend, strict=True))
    polar = np.arctan2(np.hypot(dx, dy), dz) * np.float32(POLAR / np.pi)
    azimuth = np.arctan2(np.abs(dx), dy) * np.float32(AZIMUTH / np.pi)
    return (np.minimum(polar, POLAR - 1).astype(np.uint16) * np.uint16(AZIMUTH)
            + np.minimum(azimuth, AZIMUTH - 1).astype(np.uint16))  # fmt: skip


def _unit_vectors() -> Float32[np.ndarray, "3 directions"]:
    polar, azimuth = np.meshgrid(
        (np.arange(POLAR) + 0.5) * np.pi / POLAR, (np.arange(AZIMUTH) + 0.5) * np.pi / AZIMUTH, indexing="ij"
    )
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.sin(polar) * np.cos(azimuth), np.cos(polar)])
    return unit.reshape(3, -1).astype(np.float32)


@cache
def template() -> Template:
    """The standard head, the same in every process (about a second to build, then kept)."""
    at = _grid()
    rng = np.random.default_rng(20240)
    coarse = tuple(n // 2 for n in SHAPE)
    noise = ndimage.zoom(smooth_noise(rng, coarse, 1.6), 2, order=1)
    bend = [
        ndimage.zoom(smooth_noise(rng, tuple(n // 4 for n in SHAPE), 2.0), [n / (n // 4) for n in SHAPE], order=1) * 3
        for _ in range(3)
    ]
    cavity = inner_table(at)
    skin = scalp(at, cavity)
    structure = np.zeros(SHAPE, np.uint8)
    muscle(at, structure, cavity, skin)
    brain(at, structure, cavity)
    cells = smooth_noise(rng, SHAPE, 1.1)
    face(at, structure, cavity, cells)
    packed = np.zeros(SHAPE, RECORD)
    bent = (at[0] + bend[0] * np.float32(0.5), at[1] + bend[1] * np.float32(0.5), at[2] + bend[2] * np.float32(0.5))
    fields = {
        "skin": skin,
        "skull": cavity,
        "ventricle": ndimage.gaussian_filter(ventricles(at), 0.9),
        "cistern": cisterns(bent),
    }
    for name, distance in fields.items():
        packed[name] = _byte(name, np.broadcast_to(distance, SHAPE))
    packed["structure"] = structure
    packed["noise"] = np.clip(128 + noise * 42, 0, 255)
    packed["direction"] = _direction(at, bend)
    return Template(packed=packed.reshape(-1).view(np.uint64), directions=_unit_vectors())

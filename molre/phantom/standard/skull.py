"""The standard skull and what covers it: inner table, scalp, muscles."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, union
from molre.phantom.standard.structures import S


def cavity(at: Coordinates) -> Field:
    """Distance to the inner table: the dome, the middle and posterior fossae, the spinal canal."""
    x, y, z = at
    wide = 1 + np.float32(0.13) * np.tanh((y - 2) / 45) - np.float32(0.03) * np.cos(y / 30)
    egg = (x / wide, y, z)
    dome = ellipsoid(egg, (0, 0, 5), (68, 88, 76), 2.25)
    roof = z + 17 + 9 * np.exp(-((x / 11) ** 2)) - 5 * np.exp(-(((x - 30) / 14) ** 2) - ((y + 62) / 26) ** 2)
    back = np.clip((y + 38) / 10, 0, 1)
    dome = np.minimum(dome, roof + 9 * back)
    middle = ellipsoid(at, (41, -10, -20), (27, 35, 25), 2.2)
    posterior = ellipsoid(at, (0, 45, -32), (58, 42, 34), 2.2)
    canal = capsule(at, (0, 30, -50), (0, 31, -120), 16)
    ridge = np.maximum(capsule(at, (17, 2, -34), (60, 27, -41), 5, 11), capsule(at, (0, -9, -34), (0, 14, -66), 7, 5))
    cavity = union(union(dome, middle, 8), union(posterior, canal, 10), 8)
    return np.minimum(cavity, -ridge)


def skin(at: Coordinates, cavity: Field) -> Field:
    """Distance to the skin: the scalp over the skull, the face, the neck."""
    scalp = cavity + np.float32(13.0) + 3 * np.clip((-at[2] - 10) / 40, 0, 1)
    face = ellipsoid(at, (0, -50, -66), (63, 58, 66), 2.4)
    nose = capsule(at, (0, -104, -40), (0, -118, -70), 7, 12)
    neck = capsule(at, (0, 28, -70), (0, 30, -130), 66)
    temple = ellipsoid(at, (52, -36, -30), (28, 46, 46))
    return union(union(union(scalp, face, 14), union(neck, temple, 10), 14), nose, 8)


def muscle(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field, skin: Field) -> None:
    x, y, z = at
    temporal = (ellipsoid(at, (62, -34, -22), (14, 34, 40)) > 0) & (cavity < -4)
    nape = (z < -36) & (y > 34) & (cavity < -5) & (x < 52)
    under = (z < -52) & (y > -46) & (cavity < -3) & (x < 58)
    seam = np.abs(np.sin(x / np.float32(7) + np.sin(y / np.float32(9)) + z / np.float32(14))) > 0.22
    where = (temporal | nape | under) & (skin > 5) & (structure == 0) & seam
    structure[where] = S["muscle"]

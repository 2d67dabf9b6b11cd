"""The standard face, orbits, sinuses and temporal bones."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, tube
from molre.phantom.standard.structures import S


def face(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field, cells: Field) -> None:
    x, y, z = at
    outside = cavity < -1
    orbit = ellipsoid((x + np.float32(0.30) * (y + 76), y, z), (31, -74, -36), (19, 27, 17), 2.2)
    maxilla = ellipsoid(at, (29, -60, -66), (16, 19, 14), 2.4)
    nose = np.minimum(ellipsoid(at, (0, -62, -64), (15, 46, 24), 2.6), -orbit)
    ethmoid = ellipsoid(at, (0, -66, -38), (11, 24, 11), 3)
    sphenoid = ellipsoid(at, (0, -27, -40), (15, 15, 9), 2.6)
    frontal = np.minimum(ellipsoid(at, (10, -90, -20), (16, 8, 13), 2.3), np.minimum(-cavity - 2, x - np.float32(0.6)))
    solid = np.maximum.reduce([orbit + 2.2, maxilla + 1.6, nose + 1.0, ethmoid + 1.2, sphenoid + 2.5, frontal + 3.0])
    cheek = tube(at, ((50, -72, -50, 5.0), (60, -50, -52, 4.0), (66, -20, -48, 3.0), (62, 0, -46, 5.0)))
    rim = capsule(at, (48, -76, -20), (50, -72, -50), 4.5)
    structure[outside & (np.maximum.reduce([solid, cheek, rim]) > 0)] = S["face_bone"]
    structure[outside & (capsule(at, (18, -36, -62), (18, -34, -90), 6) > 0)] = S["face_bone"]
    structure[outside & (nose > 0)] = S["nasal"]
    turbinate = (
        (np.abs(x) < 1.0)
        | (np.abs(np.hypot(x - 9, z + 70 + 2 * np.sin(y / 9)) - 1) < 2.4)
        | (np.abs(x - 8 - np.sin(z)) < 1.2)
    )
    structure[outside & (nose > 0) & turbinate] = S["mucosa"]
    septa = (np.abs(cells) < 0.22) | (x < 1.1)
    structure[outside & (ethmoid > 0)] = S["ethmoid"]
    structure[outside & (ethmoid > 0) & septa] = S["face_bone"]
    structure[outside & (maxilla > 0)] = S["maxillary"]
    structure[outside & (sphenoid > 0)] = S["sphenoid"]
    structure[outside & (sphenoid > 0) & (x < 0.9)] = S["face_bone"]
    structure[frontal > 0] = S["frontal"]
    _orbit(at, structure, outside & (orbit > 0))
    _temporal_bone(at, structure, cavity, cells)


def _orbit(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], where: np.ndarray) -> None:
    structure[where] = S["orbit_fat"]
    globe = ellipsoid(at, (32, -84, -36), (12, 12, 12))
    nerve = tube(at, ((31, -73, -36, 2.0), (22, -55, -34, 2.0), (11, -42, -31, 2.0)))
    muscle = np.maximum.reduce(
        [
            capsule(at, (43, -80, -36), (20, -48, -34), 1.8),
            capsule(at, (21, -80, -36), (14, -48, -34), 1.8),
            capsule(at, (32, -80, -25), (18, -48, -30), 1.8),
            capsule(at, (32, -80, -47), (18, -48, -38), 1.8),
        ]
    )
    structure[where & (np.maximum(nerve, muscle) > 0)] = S["orbit_soft"]
    structure[globe > 0] = S["sclera"]
    structure[globe > 1.3] = S["vitreous"]
    structure[ellipsoid(at, (32, -92.5, -36), (4.5, 2.2, 4.5)) > 0] = S["lens"]


def _temporal_bone(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field, cells: Field) -> None:
    out = cavity < -0.5
    pyramid = np.maximum(
        capsule(at, (14, 3, -37), (60, 27, -44), 7, 13), capsule(at, (58, 28, -48), (56, 26, -66), 13, 8)
    )
    structure[out & (pyramid > 0)] = S["petrous"]
    mastoid = ellipsoid(at, (58, 28, -50), (10, 15, 15))
    ear = np.maximum(ellipsoid(at, (46, 14, -46), (4, 4, 6)), ellipsoid(at, (50, 20, -44), (4, 4, 4)))
    structure[out & (mastoid > 0) & (cells > -0.25)] = S["mastoid_air"]
    structure[out & (ear > 0)] = S["mastoid_air"]
    structure[capsule(at, (50, 14, -48), (84, 14, -49), 3.2) > 0] = S["ear_air"]

"""The standard brain: ventricles, cisterns, deep grey matter, stem, cerebellum, midline, vessels."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, tube, union
from molre.phantom.standard.structures import S


def _lateral_ventricle(at: Coordinates) -> Field:
    """Frontal horn, body, atrium, occipital and temporal horn; horns are taller than wide."""
    x, y, z = at
    body = (
        (3.0, -46, 1, 1.5),
        (9, -41, 5, 4.0),
        (7, -28, 10, 4.6),
        (7, -12, 16, 4.2),
        (10, 2, 20, 4.0),
        (16, 16, 19, 4.5),
    )
    arch = (*((p[0] + (6 if i == 0 else 0), *p[1:]) for i, p in enumerate(body)),)
    flat = (x * np.float32(1.1), y, z)
    front = tube(flat, arch)
    atrium = tube(at, ((16, 16, 19, 4.5), (25, 25, 10, 6.0), (25, 40, 5, 4.0), (22, 56, 3, 1.2)))
    temporal = tube(at, ((25, 25, 8, 4.0), (32, 16, -6, 1.5), (34, 2, -15, 0.8), (31, -8, -20, 0.8)))
    slit = np.maximum(np.maximum(front, atrium), temporal)
    caudate = ellipsoid(at, (14, -27, 8), (6, 12, 9))
    return np.minimum(np.minimum(slit, -caudate), x - np.float32(0.6))


def ventricles(at: Coordinates) -> Field:
    third = ellipsoid(at, (0, -4, -1), (1.6, 16, 11))
    aqueduct = capsule(at, (0, 10, -8), (0, 22, -22), 0.3)
    fourth = np.minimum(ellipsoid(at, (0, 30, -32), (8, 6, 9)), -ellipsoid(at, (0, 22, -32), (12, 6, 14)))
    monro = capsule(at, (1, -18, 6), (7, -18, 12), 0.8)
    return np.maximum.reduce([_lateral_ventricle(at), third, aqueduct, fourth, monro])


def _midbrain(at: Coordinates) -> Field:
    """Tectum and the two peduncles, with the notch between them in front."""
    x, y, z = at
    peduncle = ellipsoid((x, y - np.float32(0.35) * (x - 9), z), (8.5, 1, -14), (7, 9, 15))
    return union(ellipsoid(at, (0, 12, -13), (11, 9, 14)), peduncle, 3)


def cisterns(at: Coordinates) -> Field:
    x, y, z = at
    star = np.maximum(ellipsoid(at, (0, -15, -23), (9, 10, 6)), capsule(at, (4, -18, -22), (24, -20, -16), 2.2, 1.2))
    midbrain = _midbrain(at)
    around = np.minimum(
        np.float32(1.1) + np.clip((y - 4) / 16, 0, 1) - np.abs(midbrain + np.float32(0.9)), np.minimum(z + 25, -2 - z)
    )
    quadrigeminal = ellipsoid(at, (0, 24, -6), (11, 3.2, 6))
    peduncle = ellipsoid(at, (0, -4, -19), (4.5, 5, 6))
    pons = np.minimum(capsule(at, (0, -2, -26), (0, 12, -55), 2.5, 3), np.float32(16) - x)
    angle = capsule(at, (12, 6, -36), (24, 14, -38), 2.6, 1.5)
    magna = ellipsoid(at, (0, 56, -60), (9, 14, 5))
    tilt = z + 4 - np.float32(0.30) * (y + 14)
    wave = tilt + 2 * np.sin(y / np.float32(6.5)) + 1.5 * np.sin(x / np.float32(5))
    sheet = np.minimum(np.float32(1.3) + np.clip((-y - 5) / 25, 0, 1) - np.abs(wave), np.minimum(x - 33, 26 - y))
    sheet = np.minimum(sheet, y + 44)
    island = x - 36 - 2 * np.sin(y / np.float32(4)) * np.sin(z / np.float32(5)) + np.abs(y + 16) * np.float32(0.12)
    insula = np.minimum(
        np.float32(1.2) - np.abs(island), np.minimum(np.minimum(y + 38, 10 - y), np.minimum(z + 8, 16 - z))
    )
    return np.maximum.reduce([star, around, quadrigeminal, peduncle, pons, angle, magna, sheet, insula])


def brain(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field) -> None:
    x, y, z = at
    top = -8 - np.float32(0.007) * x * x - np.float32(0.004) * (y - 34) ** 2
    below = (z < top) & (y > 14 + np.float32(0.55) * np.maximum(x - 14, 0)) & (cavity > 0)
    structure[below] = S["cerebellum"]
    sheet = (np.abs(z - top) < 1.0) & (y > 16 + np.float32(0.55) * np.maximum(x - 14, 0)) & (x > 9)
    structure[sheet & (cavity > 0)] = S["tentorium"]
    stem = np.maximum.reduce([
        _midbrain(at), ellipsoid(at, (0, 11, -33), (16, 13, 15)),
        capsule(at, (0, 18, -44), (0, 30, -66), 9, 8), capsule(at, (0, 30, -66), (0, 31, -120), 7)])  # fmt: skip
    peduncle = capsule(at, (10, 16, -34), (20, 30, -36), 7)
    structure[np.maximum(stem, peduncle) > 0] = S["brainstem"]
    head = np.maximum(ellipsoid(at, (14, -27, 8), (5.5, 10, 8)), capsule(at, (15, -20, 16), (18, 4, 22), 3.5, 1.5))
    structure[head > 0] = S["caudate"]
    wedge = ellipsoid((x + np.float32(0.25) * np.abs(y + 16), y, z), (26.5, -15, 1), (7.5, 19, 10))
    structure[wedge > 0] = S["lentiform"]
    structure[ellipsoid((x - np.float32(0.3) * (y - 2), y, z), (10.5, 2, 6), (8.5, 15, 9)) > 0] = S["thalamus"]
    arch = np.abs(np.hypot((y - 2) / np.float32(1.35), z + 4) - 28)
    structure[(arch < 3.5) & (z > 2) & (x < 9)] = S["callosum"]
    _midline(at, structure, cavity)


def _midline(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field) -> None:
    x, y, z = at
    above = np.hypot((y - 2) / np.float32(1.35), z + 4) > 32.5
    fissure = (x < 10) & above & (cavity > 0) & ((y < -14) | (z > -9)) & (z > -24)
    structure[fissure & (structure == 0)] = S["midline"]
    sinus = (cavity > 0) & (cavity < 5 - x) & ((z > 30) | (y > 40)) & (z > -4) & (x < 5)
    transverse = (cavity > 0) & (cavity < 4.5) & (np.abs(z + 9 + np.float32(0.05) * x) < 4) & (y > 30) & (x < 56)
    structure[sinus | transverse] = S["venous_sinus"]
    structure[ellipsoid(at, (24, 26, 10), (2.6, 4, 3)) > 0] = S["choroid"]
    structure[ellipsoid(at, (0, 16, -2), (3, 4, 2.5)) > 0] = S["pineal"]
    vessel = tube(at, ((7, -14, -28, 1.6), (8, -20, -21, 1.6), (20, -21, -17, 1.4), (33, -20, -12, 1.1)))
    basilar = capsule(at, (0, -4.5, -24), (0, -1, -42), 1.5)
    structure[np.maximum(vessel, basilar) > 0] = S["artery"]
    structure[ellipsoid(at, (0, -15, -34), (6, 5, 4)) > 0] = S["sella"]

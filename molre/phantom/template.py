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

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, smooth_noise, tube, union

STEP_MM = 1.2
"""Finer than a pixel of the scan, coarse enough that the standard head fits the cache of a CPU."""
LOW_MM = (0.0, -122.0, -104.0)
SHAPE = (168, 196, 82)
"""(z, y, |x|) samples."""
POLAR, AZIMUTH = 240, 240
"""Directions from the middle of the brain at which cortical folds are told apart: 0.75 degrees, 1 mm of cortex."""
CENTRE_MM = (0.0, 4.0, 2.0)

STRUCTURES = (
    "none", "caudate", "lentiform", "thalamus", "brainstem", "cerebellum", "midline", "tentorium", "choroid", "pineal",
    "venous_sinus", "vitreous", "sclera", "lens", "orbit_soft", "orbit_fat", "face_bone", "maxillary", "ethmoid",
    "sphenoid", "frontal", "nasal", "mucosa", "mastoid_air", "petrous", "muscle", "ear_air", "artery", "sella",
    "callosum",
)  # fmt: skip
"""Structures told apart in the standard head; a voxel holds the position of its structure in this tuple."""
S = {name: np.uint8(position) for position, name in enumerate(STRUCTURES)}

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


def _cavity(at: Coordinates) -> Field:
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


def _skin(at: Coordinates, cavity: Field) -> Field:
    """Distance to the skin: the scalp over the skull, the face, the neck."""
    scalp = cavity + np.float32(13.0) + 3 * np.clip((-at[2] - 10) / 40, 0, 1)
    face = ellipsoid(at, (0, -50, -66), (63, 58, 66), 2.4)
    nose = capsule(at, (0, -104, -40), (0, -118, -70), 7, 12)
    neck = capsule(at, (0, 28, -70), (0, 30, -130), 66)
    temple = ellipsoid(at, (52, -36, -30), (28, 46, 46))
    return union(union(union(scalp, face, 14), union(neck, temple, 10), 14), nose, 8)


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


def _ventricles(at: Coordinates) -> Field:
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


def _cisterns(at: Coordinates) -> Field:
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


def _brain(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field) -> None:
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


def _face(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field, cells: Field) -> None:
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


def _muscle(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field, skin: Field) -> None:
    x, y, z = at
    temporal = (ellipsoid(at, (62, -34, -22), (14, 34, 40)) > 0) & (cavity < -4)
    nape = (z < -36) & (y > 34) & (cavity < -5) & (x < 52)
    under = (z < -52) & (y > -46) & (cavity < -3) & (x < 58)
    seam = np.abs(np.sin(x / np.float32(7) + np.sin(y / np.float32(9)) + z / np.float32(14))) > 0.22
    where = (temporal | nape | under) & (skin > 5) & (structure == 0) & seam
    structure[where] = S["muscle"]


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
    cavity = _cavity(at)
    skin = _skin(at, cavity)
    structure = np.zeros(SHAPE, np.uint8)
    _muscle(at, structure, cavity, skin)
    _brain(at, structure, cavity)
    cells = smooth_noise(rng, SHAPE, 1.1)
    _face(at, structure, cavity, cells)
    packed = np.zeros(SHAPE, RECORD)
    bent = (at[0] + bend[0] * np.float32(0.5), at[1] + bend[1] * np.float32(0.5), at[2] + bend[2] * np.float32(0.5))
    fields = {
        "skin": skin,
        "skull": cavity,
        "ventricle": ndimage.gaussian_filter(_ventricles(at), 0.9),
        "cistern": _cisterns(bent),
    }
    for name, distance in fields.items():
        packed[name] = _byte(name, np.broadcast_to(distance, SHAPE))
    packed["structure"] = structure
    packed["noise"] = np.clip(128 + noise * 42, 0, 255)
    packed["direction"] = _direction(at, bend)
    return Template(packed=packed.reshape(-1).view(np.uint64), directions=_unit_vectors())

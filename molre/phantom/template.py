"""The standard head that every phantom is a bent copy of: distances and structures on a grid, built once and kept.

Head coordinates are in mm: x to the patient's left, y to the back, z to the head; the origin lies in the third
ventricle, 16 mm behind the anterior commissure, so that y = -(y_MNI + 16) and z = z_MNI. Places are those of the MNI152
standard brain (Mazziotta et al. 2001, Phil Trans R Soc B 356:1293). Only the left half is stored; the right mirrors it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, UInt8, UInt16, UInt32
from scipy import ndimage

from molre.phantom.kept import kept
from molre.phantom.shapes import Coordinates, Field, smooth_noise, within
from molre.phantom.standard.brain import brain, cisterns
from molre.phantom.standard.cortex import hull, sulci
from molre.phantom.standard.face import face
from molre.phantom.standard.nuclei import nuclei
from molre.phantom.standard.skull import cavity as inner_table
from molre.phantom.standard.skull import skin as scalp
from molre.phantom.standard.ventricle import ventricles
from molre.phantom.standard.vessel import dura, vessels

STEP_MM = 1.0
LOW_MM = (0.0, -122.0, -104.0)
SHAPE = (202, 236, 99)
"""(z, y, |x|) samples."""
POLAR, AZIMUTH = 240, 240
"""Directions from the middle of the brain at which the thickness of the skull is told apart."""
CENTRE_MM = (0.0, 4.0, 2.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coding:
    """How a distance and its slope are held in four small whole numbers.

    Attributes:
        kind: type of each.
        middle_mm: distance that is held as 0.
        steps: per mm of distance.
        slope_steps: per unit of slope.
    """

    kind: str
    middle_mm: float
    steps: float
    slope_steps: float = 100.0


CODINGS = {
    "skin": Coding(kind="i1", middle_mm=11.5, steps=8.0),
    "skull": Coding(kind="i2", middle_mm=0.0, steps=128.0, slope_steps=8192.0),
    "ventricle": Coding(kind="i1", middle_mm=-7.5, steps=8.0),
    "cistern": Coding(kind="i1", middle_mm=-7.5, steps=8.0),
    "hull": Coding(kind="i2", middle_mm=0.0, steps=128.0, slope_steps=8192.0),
    "nucleus": Coding(kind="i1", middle_mm=0.0, steps=8.0),
    "vessel": Coding(kind="i1", middle_mm=0.0, steps=16.0),
    "dura": Coding(kind="i1", middle_mm=0.0, steps=16.0),
    "facial": Coding(kind="i1", middle_mm=4.0, steps=16.0),
    "hollow": Coding(kind="i1", middle_mm=4.0, steps=16.0),
    "flesh": Coding(kind="i1", middle_mm=4.0, steps=16.0),
}
NOISE_SIDE, NOISE_STEP_MM, NOISE_STEPS = 128, 1.25, 30
"""Samples a side, their distance, and steps per unit deviation of the noise; it repeats after 160 mm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The standard head.

    Attributes:
        distances: by name, the distance at every sample and its slope along (x, y, z), coded as ``CODINGS`` says.
        structure: position in ``structures.STRUCTURES`` at every sample.
        direction: of every sample from the middle of the head.
        near: whether a sample lies inside the skin or just outside of it.
        sulci: the folds that all brains share, ``cortex.sulci``.
        noise: smooth periodic noise, ``NOISE_SIDE`` samples a side, and its slope, coded in four bytes.
    """

    distances: dict[str, np.ndarray]
    structure: UInt8[np.ndarray, "n"]
    direction: UInt16[np.ndarray, "n"]
    near: UInt8[np.ndarray, "n"]
    sulci: Float32[np.ndarray, "3 z y x"]
    noise: UInt32[np.ndarray, "grains"]


def _grid() -> Coordinates:
    axes = [LOW_MM[2 - i] + STEP_MM * np.arange(n, dtype=np.float32) for i, n in enumerate(SHAPE)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)


def _coded(name: str, distance: Field) -> np.ndarray:
    """A distance and its slope as rows of four whole numbers, seen as one number for a quick look-up."""
    coding = CODINGS[name]
    limit = np.iinfo(coding.kind).max
    rows = np.empty((*SHAPE, 4), coding.kind)
    held = np.rint((distance - np.float32(coding.middle_mm)) * np.float32(coding.steps))
    rows[..., 0] = np.clip(held, -limit, limit)
    for axis in range(3):
        slope = np.gradient(distance, np.float32(STEP_MM), axis=2 - axis)
        rows[..., 1 + axis] = np.clip(np.rint(slope * np.float32(coding.slope_steps)), -limit, limit)
        # Where the distance is cut off there is no slope to follow.
        rows[..., 1 + axis][np.abs(held) >= limit] = 0
    return rows.reshape(-1, 4).view("u4" if coding.kind == "i1" else "u8").reshape(-1)


def _direction(at: Coordinates, bend: list[Field]) -> UInt16[np.ndarray, "z y x"]:
    dx, dy, dz = (a - c + b for a, c, b in zip(at, CENTRE_MM, bend, strict=True))
    polar = np.arctan2(np.hypot(dx, dy), dz) * np.float32(POLAR / np.pi)
    azimuth = np.arctan2(np.abs(dx), dy) * np.float32(AZIMUTH / np.pi)
    return (np.minimum(polar, POLAR - 1).astype(np.uint16) * np.uint16(AZIMUTH)
            + np.minimum(azimuth, AZIMUTH - 1).astype(np.uint16))  # fmt: skip


@cache
def directions() -> Float32[np.ndarray, "3 directions"]:
    """Unit vectors (x, y, z) of each direction, for x >= 0."""
    polar, azimuth = np.meshgrid(
        (np.arange(POLAR) + 0.5) * np.pi / POLAR, (np.arange(AZIMUTH) + 0.5) * np.pi / AZIMUTH, indexing="ij"
    )
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.sin(polar) * np.cos(azimuth), np.cos(polar)])
    return unit.reshape(3, -1).astype(np.float32)


def _bend(rng: np.random.Generator, size_mm: float) -> list[Field]:
    """Random displacements that take the ruler's edge off shapes made of ellipsoids and rods."""
    coarse = tuple(-(-n // 5) for n in SHAPE)
    fields = [ndimage.zoom(smooth_noise(rng, coarse, 2.0), 5, order=1) * np.float32(size_mm) for _ in range(3)]
    return [np.ascontiguousarray(f[: SHAPE[0], : SHAPE[1], : SHAPE[2]]) for f in fields]


def _bent(field: Field, bend: list[Field]) -> Field:
    """A field read at displaced points."""
    part = tuple(slice(*edges) for edges in ((8, 150), (50, 212), (0, 82)))
    x, y, z = bend
    at = [
        base + move[part] / STEP_MM for base, move in zip(np.indices(z[part].shape, np.float32), (z, y, x), strict=True)
    ]
    bent = field.copy()
    bent[part] = ndimage.map_coordinates(field[part], at, order=1, mode="nearest")
    return bent


def _build() -> dict[str, np.ndarray]:
    """Everything the template holds, as flat arrays."""
    at = _grid()
    rng = np.random.default_rng(20240)
    bend = _bend(rng, 1.5)
    cavity = inner_table(at)
    skin = scalp(at, cavity)
    structure = np.zeros(SHAPE, np.uint8)
    brain(at, structure, cavity)
    outside = face(at, structure, cavity, skin)
    fields = {
        "skin": skin,
        "skull": cavity,
        "ventricle": within(at, (0, -72, -60), (60, 84, 48), ventricles),
        "cistern": _bent(within(at, (0, -60, -90), (76, 84, 40), cisterns), bend),
        "hull": hull(at, cavity),
        "nucleus": within(at, (0, -60, -44), (52, 50, 44), nuclei),
        "vessel": vessels(at, cavity),
        "dura": dura(at, cavity),
        **outside,
    }
    held = {name: _coded(name, np.ascontiguousarray(np.broadcast_to(f, SHAPE))) for name, f in fields.items()}
    near = (np.broadcast_to(skin, SHAPE) > -1.2).astype(np.uint8).reshape(-1)
    direction = _direction(at, [2 * b for b in bend])
    return held | {
        "structure": structure.reshape(-1), "direction": direction.reshape(-1), "near": near, "sulci": sulci(),
        "noise": _noise(rng),
    }  # fmt: skip


def _noise(rng: np.random.Generator) -> UInt32[np.ndarray, "n"]:
    """Noise whose grains measure some 4 mm, with larger clouds beneath."""
    shape = (NOISE_SIDE,) * 3
    noise = np.float32(0.9) * smooth_noise(rng, shape, 2.6) + np.float32(0.45) * smooth_noise(rng, shape, 7.0)
    rows = np.empty((*shape, 4), np.int8)
    rows[..., 0] = np.clip(np.rint(noise * NOISE_STEPS), -127, 127)
    for axis in range(3):
        # Per sample, twice as finely as the value.
        slope = (np.roll(noise, -1, 2 - axis) - np.roll(noise, 1, 2 - axis)) * np.float32(NOISE_STEPS)
        rows[..., 1 + axis] = np.clip(np.rint(slope), -127, 127)
    return rows.reshape(-1, 4).view("u4").reshape(-1)


def depth_grid(name: str) -> Float32[np.ndarray, "z y x"]:
    """A distance in mm at every sample of the grid."""
    coding, held = CODINGS[name], template().distances[name]
    value = held.view(coding.kind).reshape(*SHAPE, 4)[..., 0]
    return value * np.float32(1 / coding.steps) + np.float32(coding.middle_mm)


@cache
def template() -> Template:
    """The standard head, the same in every process: built by the first one (seconds), then read from its cache."""
    held = kept("head", _build)
    return Template(
        distances={name: held[name] for name in CODINGS},
        structure=held["structure"],
        direction=held["direction"],
        near=held["near"],
        sulci=held["sulci"],
        noise=held["noise"],
    )

"""Sutures and grooves of the vault: lines on it given by directions from its middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from molre.phantom.shapes import Point

Line = Float32[np.ndarray, "n"]
Unit = tuple[Line, Line, Line]
BREGMA, LAMBDA = (0.0, -0.36, 0.93), (0.0, 0.80, 0.60)
PTERION, ASTERION = (0.83, -0.55, -0.10), (0.78, 0.55, -0.30)
SQUAMA, SQUAMA_DEG = (0.955, 0.02, -0.30), 31.0
"""Middle and angular radius of the arch of the squamosal suture."""
ARTERY = (
    ((0.72, -0.36, -0.59), (0.88, -0.47, -0.05)),
    ((0.88, -0.47, -0.05), (0.60, -0.40, 0.69)),
    ((0.88, -0.47, -0.05), (0.80, -0.10, 0.59)),
    ((0.86, -0.25, -0.45), (0.90, 0.25, 0.36)),
)
"""Grooves of the branches of the middle meningeal artery, from its foramen by the pterion upwards (Gray's Anatomy)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arc:
    """Part of a great circle, with the normal of its plane and the pole from which its length is told."""

    start: np.ndarray
    end: np.ndarray
    normal: np.ndarray


def arc(start: Point, end: Point) -> Arc:
    """The arc between two directions."""
    a, b = (np.array(p, float) / np.linalg.norm(p) for p in (start, end))
    normal = np.cross(a, b)
    return Arc(start=a, end=b, normal=normal / np.linalg.norm(normal))


def off_arc(unit: Unit, one: Arc) -> tuple[Line, Line]:
    """Sine of the angle off an arc (signed), and how far past its ends, 0 within (sine too)."""
    off = _dot(unit, one.normal)
    before = _dot(unit, np.cross(one.start, one.normal))
    after = _dot(unit, np.cross(one.normal, one.end))
    return off, np.maximum(np.maximum(before, after), 0)


def _dot(unit: Unit, axis: np.ndarray) -> Line:
    return sum(u * np.float32(a) for u, a in zip(unit, axis, strict=True))  # type: ignore[return-value]


CORONAL, LAMBDOID = arc(BREGMA, PTERION), arc(LAMBDA, ASTERION)
GROOVES = tuple(arc(*ends) for ends in ARTERY)


def suture_mm(x: Line, y: Line, z: Line) -> Line:
    """Distance to the nearest suture on a vault 85 mm from its middle, for x >= 0, mm."""
    unit = (x, y, z)
    near = []
    for one in (CORONAL, LAMBDOID):
        off, past = off_arc(unit, one)
        near.append(np.hypot(off, past))
    past = np.maximum(np.maximum(np.float32(BREGMA[1]) - y, y - np.float32(LAMBDA[1])), 0) + (z < 0)
    near.append(np.hypot(x, past))
    middle = np.array(SQUAMA) / np.linalg.norm(SQUAMA)
    angle = np.arccos(np.clip(_dot(unit, middle), -1, 1)) - np.float32(np.deg2rad(SQUAMA_DEG))
    near.append(np.hypot(angle, np.maximum(np.float32(-0.22) - z, 0)))
    return np.float32(85) * np.minimum.reduce(near)

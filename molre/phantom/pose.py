"""How a head lies in the scanner, and how it differs in shape from the standard head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from molre.phantom.body import Body


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """How the head lies in the scanner: standard head = rotation @ patient / scale, then a gentle bend."""

    rotation: Float64[np.ndarray, "3 3"]
    scale: Float64[np.ndarray, "3"]
    waves: Float64[np.ndarray, "waves 3"]
    phases: Float64[np.ndarray, "waves"]
    amplitudes: Float64[np.ndarray, "waves 3"]


def _rotation(yaw: float, roll: float, pitch: float) -> Float64[np.ndarray, "3 3"]:
    cy, sy, cr, sr, cp, sp = (f(a) for a in (yaw, roll, pitch) for f in (np.cos, np.sin))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return about_z @ about_y @ about_x


def draw_pose(rng: np.random.Generator, body: Body, tilt_deg: float) -> Pose:
    """A random way of lying: slices run along the orbitomeatal line, some 8 degrees steeper than the head's axes.

    Where the gantry stays upright, the chin decides, and slices run less alike.
    """
    pitch = np.deg2rad(float(rng.normal(7, 4 if tilt_deg else 5.5)) - tilt_deg)
    yaw, roll = np.deg2rad(rng.normal(0, 3.0, 2))
    return Pose(
        rotation=_rotation(float(yaw), float(roll), -float(pitch)),
        scale=np.asarray(body.scale, np.float64),
        waves=body.waves,
        phases=body.phases,
        amplitudes=body.amplitudes_mm,
    )


def _turn(matrix: Float64[np.ndarray, "a b"], points: Float64[np.ndarray, "b ..."]) -> Float64[np.ndarray, "a ..."]:
    return np.stack([sum(c * p for c, p in zip(row, points, strict=True)) for row in matrix])


def to_head(pose: Pose, patient_mm: Float64[np.ndarray, "3 *shape"]) -> Float64[np.ndarray, "3 *shape"]:
    """Standard-head coordinates of points of the patient, before any lesion displaces tissue."""
    turned = _turn(pose.rotation, patient_mm)
    head = turned / pose.scale.reshape(3, *[1] * (turned.ndim - 1))
    bend = np.sin(_turn(pose.waves, head) + pose.phases.reshape(-1, *[1] * (turned.ndim - 1)))
    return head + _turn(pose.amplitudes.T, bend)

"""Where the scanner's voxels lie in the patient, and which point of the standard head each of them shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from molre.phantom.body import Body
from molre.phantom.config import CohortConfig
from molre.phantom.template import DISTANCES, LOW_MM, RECORD, SHAPE, STEP_MM, template

FINE = 3
"""Fine slices averaged into an acquired one."""
NODES = 25
"""Points a side of the coarse mesh on which the head's bending is worked out."""
SEPTUM_MM = (0.0, -24.0, 10.0)
"""The septum pellucidum between the foramina of Monro, where midline shift is measured (Bullock et al. 2006)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """The slices of one scan, from feet to head, in patient coordinates (LPS, mm).

    Attributes:
        tilt_deg: gantry tilt; positive lowers the back of the slice.
        positions_mm: centre of the first voxel (row 0, column 0) of every slice.
        row_mm: step to the next column, along the patient's left.
        column_mm: step to the next row.
        thickness_mm: nominal thickness of every slice.
        matrix_px: rows and columns.
        pixel_mm: spacing in plane.
    """

    tilt_deg: float
    positions_mm: Float64[np.ndarray, "slices 3"]
    thickness_mm: Float64[np.ndarray, "slices"]
    matrix_px: int
    pixel_mm: float

    @property
    def row_cosine(self) -> tuple[float, float, float]:
        """Direction in which columns count up."""
        return 1.0, 0.0, 0.0

    @property
    def column_cosine(self) -> tuple[float, float, float]:
        """Direction in which rows count up."""
        tilt = np.deg2rad(self.tilt_deg)
        return 0.0, float(np.cos(tilt)), float(-np.sin(tilt))

    @property
    def normal(self) -> Float64[np.ndarray, "3"]:
        """Direction from feet to head, square to the slices."""
        return np.cross(self.row_cosine, self.column_cosine)


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


def draw_scan(rng: np.random.Generator, config: CohortConfig, body: Body) -> tuple[Geometry, Pose]:
    """A random scan of a head: tilt, slices from the skull base to the vertex, and how the head lies."""
    tilted = rng.random() < config.tilted_fraction
    tilt = round(float(rng.uniform(-config.tilt_max_deg, config.tilt_max_deg)), 1) if tilted else 0.0
    # Slices run along the orbitomeatal line, some 8 degrees steeper than the standard head's axes.
    pitch = np.deg2rad(float(rng.normal(7, 4)) - tilt)
    yaw, roll = np.deg2rad(rng.normal(0, 3.0, 2))
    waves = rng.normal(0, 1, (5, 3)) / 45
    pose = Pose(
        rotation=_rotation(float(yaw), float(roll), -float(pitch)), scale=np.asarray(body.scale, np.float64),
        waves=waves, phases=rng.uniform(0, 2 * np.pi, 5), amplitudes=rng.normal(0, 0.8, (5, 3)) * (0.7, 1.0, 0.8),
    )  # fmt: skip
    return _slices(rng, config, body, pose, tilt), pose


def _slices(rng: np.random.Generator, config: CohortConfig, body: Body, pose: Pose, tilt: float) -> Geometry:
    cosine = float(np.cos(np.deg2rad(tilt)))
    top, bottom = 96 * body.scale[2], -float(rng.uniform(58, 72)) * body.scale[2]
    count = int(np.clip(round((top - bottom) / rng.uniform(4.6, 5.9)), config.slices_min, config.slices_max))
    steps = np.full(count, (top - bottom) / count)
    if rng.random() < config.uneven_fraction:
        steps *= np.where(np.arange(count) < count // 3, 0.75, 1.125)
    height = bottom + np.cumsum(steps) - steps / 2
    pixel = config.field_mm / config.matrix_px
    half = pixel * (config.matrix_px - 1) / 2
    offset = rng.normal((0, 4), 3)
    tilt_rad = np.deg2rad(tilt)
    positions = np.zeros((count, 3))
    positions[:, 0] = offset[0] - half
    positions[:, 1] = offset[1] - half * np.cos(tilt_rad)
    # The table moves along z, so that slices a step apart along their normal are step / cos(tilt) apart on the table.
    positions[:, 2] = height / cosine + half * np.sin(tilt_rad)
    return Geometry(tilt_deg=tilt, positions_mm=positions, thickness_mm=steps,
                    matrix_px=config.matrix_px, pixel_mm=pixel)  # fmt: skip


def _mesh(geometry: Geometry, jitter: bool = True) -> Float64[np.ndarray, "3 fine nodes nodes"]:
    """Patient coordinates of the mesh of every fine slice; fine slices are offset in plane too, to smooth edges."""
    extent = geometry.pixel_mm * (geometry.matrix_px - 1)
    nodes = np.linspace(0, extent, NODES)
    count = len(geometry.positions_mm)
    steps = (np.arange(FINE) - (FINE - 1) / 2) / FINE
    shift = steps * geometry.pixel_mm if jitter else steps * 0
    point = geometry.positions_mm[:, None] + geometry.normal * (
        steps[None, :, None] * geometry.thickness_mm[:, None, None]
    )
    point = point + np.outer(shift, geometry.row_cosine) + np.outer(shift[::-1], geometry.column_cosine)
    point = point.reshape(count * FINE, 1, 1, 3)
    plane = nodes[None, :, None] * np.asarray(geometry.row_cosine) + nodes[:, None, None] * np.asarray(
        geometry.column_cosine
    )
    return np.moveaxis(point + plane[None], -1, 0)


def _turn(matrix: Float64[np.ndarray, "a b"], points: Float64[np.ndarray, "b ..."]) -> Float64[np.ndarray, "a ..."]:
    return np.stack([sum(c * p for c, p in zip(row, points, strict=True)) for row in matrix])


def to_head(pose: Pose, patient_mm: Float64[np.ndarray, "3 *shape"]) -> Float64[np.ndarray, "3 *shape"]:
    """Standard-head coordinates of points of the patient, before any lesion displaces tissue."""
    turned = _turn(pose.rotation, patient_mm)
    head = turned / pose.scale.reshape(3, *[1] * (turned.ndim - 1))
    bend = np.sin(_turn(pose.waves, head) + pose.phases.reshape(-1, *[1] * (turned.ndim - 1)))
    return head + _turn(pose.amplitudes.T, bend)


def _smoothstep(t: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def displace(head: Float64[np.ndarray, "3 *shape"], body: Body) -> Float64[np.ndarray, "3 *shape"]:
    """The tissue that lies at each point once masses have pushed it: where it was in the undisturbed head.

    A swelling ball moves tissue as a source of incompressible flow does, r'^3 = r^3 - share R^3; the midline moves
    most at the septum and not at the skull, as in subfalcine herniation (Fisher 1995, Neurology 45:83).
    """
    if not body.pushes and body.shift_mm == 0:
        return head
    depth = lookup(head)["skull"] / DISTANCES["skull"][1] - DISTANCES["skull"][0]
    free = _smoothstep((depth + 1) / 16.0)
    source = head.copy()
    for push in body.pushes:
        offset = head - np.reshape(push.centre, (3, *[1] * (head.ndim - 1)))
        r3 = np.sum(offset**2, 0) ** 1.5 + 1e-3
        shrink = (1 - np.minimum(push.share * push.radius_mm**3 / r3, push.share)) ** (1 / 3) - 1
        source += offset * shrink * free
    if body.shift_mm:
        source[0] -= body.shift_mm * shift_share(head) * _smoothstep((depth + 2) / 24.0)
    return source


def shift_share(head: Float64[np.ndarray, "3 *shape"]) -> Float64[np.ndarray, "*shape"]:
    """Share of the midline shift at each point: one at the septum, falling to the base, the vertex and the poles."""
    x, y, z = head
    return np.exp(-((x / 62) ** 2) - ((y + 24) / 72) ** 2 - ((z - 10) / 42) ** 2)


def _flat_index(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    index = np.zeros(np.shape(x), np.int32)
    for axis, low, count in ((z, LOW_MM[2], SHAPE[0]), (y, LOW_MM[1], SHAPE[1]), (np.abs(x), LOW_MM[0], SHAPE[2])):
        position = (axis * np.float32(1 / STEP_MM) + np.float32(0.5 - low / STEP_MM)).astype(np.int32)
        np.clip(position, 0, count - 1, out=position)
        index *= count
        index += position
    return index


def lookup(head: np.ndarray) -> np.ndarray:
    """Records of the standard head at points (3, ...), nearest sample."""
    packed = np.take(template().packed, _flat_index(*head))
    return packed.view(RECORD).reshape(head.shape[1:])


def _refine(mesh: Float32[np.ndarray, "fine a b"], matrix_px: int) -> Float32[np.ndarray, "fine rows columns"]:
    """Interpolate the mesh to pixels; by sums and not matrix products, whose rounding depends on the thread count."""
    position = np.linspace(0, NODES - 1, matrix_px)
    low = np.minimum(position.astype(int), NODES - 2)
    share = (position - low).astype(np.float32)
    rows = mesh[:, low] + (mesh[:, low + 1] - mesh[:, low]) * share[:, None]
    first = rows[:, :, low]
    return first + (rows[:, :, low + 1] - first) * share


def tissue_coordinates(geometry: Geometry, pose: Pose, body: Body) -> list[Float32[np.ndarray, "fine rows columns"]]:
    """Coordinates x, y, z in the standard head of the tissue at every voxel of every fine slice."""
    source = displace(to_head(pose, _mesh(geometry)), body).astype(np.float32)
    return [_refine(component, geometry.matrix_px) for component in source]

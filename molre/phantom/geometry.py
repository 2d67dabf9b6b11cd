"""Where the scanner's voxels lie in the patient."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

from molre.phantom.body import Body
from molre.phantom.config import CohortConfig
from molre.phantom.protocol import Protocol

FINE_MM = 1.2
"""Fine slices need not be closer than this or a pixel: the standard head is known no better."""
HEAD_MM = 244.0
"""Field that holds the standard head with some air around it; for large heads a scanner is set to a larger field."""
NODES = 25
"""Points a side of the coarse mesh on which the head's bending is worked out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """The slices of one scan, from feet to head, in patient coordinates (LPS, mm).

    Attributes:
        tilt_deg: gantry tilt; positive lowers the back of the slice.
        positions_mm: centre of the first voxel (row 0, column 0) of every slice.
        row_mm: step to the next column, along the patient's left.
        column_mm: step to the next row.
        thickness_mm: nominal thickness of every slice.
        step_mm: how far along the normal each slice stands for the patient; half of it lies on either side.
        matrix_px: rows and columns.
        pixel_mm: spacing in plane.
        fine: fine slices in each step, of which acquired ones are averages.
    """

    tilt_deg: float
    positions_mm: Float64[np.ndarray, "slices 3"]
    thickness_mm: Float64[np.ndarray, "slices"]
    step_mm: Float64[np.ndarray, "slices"]
    matrix_px: int
    pixel_mm: float
    fine: int

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

    def outside(self) -> Bool[np.ndarray, "rows columns"]:
        """Pixels outside of the circle that fits into the image, which some scanners do not reconstruct."""
        line = np.arange(self.matrix_px) - (self.matrix_px - 1) / 2
        return np.hypot(line[:, None], line) > self.matrix_px / 2


def draw_geometry(rng: np.random.Generator, protocol: Protocol, config: CohortConfig, body: Body) -> Geometry:
    """The slices of a protocol, from the skull base to the vertex."""
    top, bottom = 96 * body.scale[2], -float(rng.uniform(58, 72)) * body.scale[2]
    thickness, steps = _steps(rng, protocol, config, top - bottom)
    height = bottom + np.cumsum(steps) - steps / 2
    field = max(protocol.field_mm, math.ceil(HEAD_MM * body.scale[1]))
    pixel = round(field / config.matrix_px, 6)
    half = pixel * (config.matrix_px - 1) / 2
    offset = np.clip(rng.normal((0, 2), 3), (-6, -4), (6, 8))
    tilt_rad = np.deg2rad(protocol.tilt_deg)
    positions = np.zeros((len(steps), 3))
    positions[:, 0] = offset[0] - half
    positions[:, 1] = offset[1] - half * np.cos(tilt_rad)
    # The table moves along z, so that slices a step apart along their normal are step / cos(tilt) apart on the table.
    positions[:, 2] = height / np.cos(tilt_rad) + half * np.sin(tilt_rad)
    return Geometry(tilt_deg=protocol.tilt_deg, positions_mm=np.round(positions, 4), thickness_mm=thickness,
                    step_mm=steps, matrix_px=config.matrix_px, pixel_mm=pixel,
                    fine=int(np.clip(np.ceil(steps.max() / max(FINE_MM, pixel)), 1, 8)))  # fmt: skip


Millimetres = Float64[np.ndarray, "slices"]


def _steps(
    rng: np.random.Generator, protocol: Protocol, config: CohortConfig, length_mm: float
) -> tuple[Millimetres, Millimetres]:
    """Thickness of every slice and its share of the scanned length."""
    below_mm = rng.uniform(0.3, 0.42) * length_mm if protocol.base_mm < protocol.thickness_mm else 0.0
    below = round(below_mm / (protocol.base_mm * protocol.increment))
    above = round((length_mm - below_mm) / (protocol.thickness_mm * protocol.increment))
    thickness = np.repeat([protocol.base_mm, protocol.thickness_mm], [below, above])
    count = int(np.clip(len(thickness), config.slices_min, config.slices_max))
    if count != len(thickness):
        thickness = np.full(count, protocol.thickness_mm * len(thickness) / count)
    return np.round(thickness, 3), np.round(thickness, 3) * protocol.increment


def _fine_steps(fine: int) -> Float64[np.ndarray, "fine"]:
    """Places of the fine slices within a step, as shares of it."""
    return (np.arange(fine) - (fine - 1) / 2) / fine


def fine_shifts(fine: int) -> tuple[Float64[np.ndarray, "fine"], Float64[np.ndarray, "fine"]]:
    """By what share of a pixel each fine slice lies to the right and down, so that together they smooth edges.

    A golden-ratio order spreads the places over the pixel's area.
    """
    steps = _fine_steps(fine)
    return steps, steps[np.argsort((np.arange(fine) * 0.618034) % 1)]


def thin_geometry(geometry: Geometry) -> Geometry:
    """The fine slices as slices of their own, in their places without the shifts in plane."""
    steps = _fine_steps(geometry.fine)[None, :, None] * geometry.step_mm[:, None, None]
    positions = geometry.positions_mm[:, None] + steps * geometry.normal
    step = np.repeat(geometry.step_mm / geometry.fine, geometry.fine)
    return replace(
        geometry, positions_mm=np.round(positions.reshape(-1, 3), 4), thickness_mm=step, step_mm=step, fine=1
    )


def mesh(geometry: Geometry) -> Float64[np.ndarray, "3 fine nodes nodes"]:
    """Patient coordinates of the mesh of every fine slice; fine slices are offset in plane too, to smooth edges."""
    extent = geometry.pixel_mm * (geometry.matrix_px - 1)
    nodes = np.linspace(0, extent, NODES)
    count = len(geometry.positions_mm)
    steps = _fine_steps(geometry.fine)
    point = geometry.positions_mm[:, None] + geometry.normal * (steps[None, :, None] * geometry.step_mm[:, None, None])
    right, down = fine_shifts(geometry.fine)
    shift = np.outer(right, geometry.row_cosine) + np.outer(down, geometry.column_cosine)
    point = point + shift * geometry.pixel_mm
    point = point.reshape(count * geometry.fine, 1, 1, 3)
    plane = nodes[None, :, None] * np.asarray(geometry.row_cosine) + nodes[:, None, None] * np.asarray(
        geometry.column_cosine
    )
    return np.moveaxis(point + plane[None], -1, 0)


def refine(mesh: Float32[np.ndarray, "fine a b"], matrix_px: int) -> Float32[np.ndarray, "fine rows columns"]:
    """Interpolate the mesh to pixels; by sums and not matrix products, whose rounding depends on the thread count."""
    position = np.linspace(0, NODES - 1, matrix_px)
    low = np.minimum(position.astype(int), NODES - 2)
    share = (position - low).astype(np.float32)
    rows = mesh[:, low] + (mesh[:, low + 1] - mesh[:, low]) * share[:, None]
    first = rows[:, :, low]
    return first + (rows[:, :, low + 1] - first) * share

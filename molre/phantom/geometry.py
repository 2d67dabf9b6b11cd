"""Where the scanner's voxels lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from molre.phantom.body import Body
from molre.phantom.config import CohortConfig

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
        matrix_px: rows and columns.
        pixel_mm: spacing in plane.
        fine: fine slices averaged into an acquired one.
    """

    tilt_deg: float
    positions_mm: Float64[np.ndarray, "slices 3"]
    thickness_mm: Float64[np.ndarray, "slices"]
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


def draw_geometry(rng: np.random.Generator, config: CohortConfig, body: Body) -> Geometry:
    """Random slices from the skull base to the vertex, tilted or not."""
    tilted = rng.random() < config.tilted_fraction
    tilt = round(float(rng.uniform(-config.tilt_max_deg, config.tilt_max_deg)), 1) if tilted else 0.0
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
                    matrix_px=config.matrix_px, pixel_mm=pixel, fine=3)  # fmt: skip


def mesh(geometry: Geometry) -> Float64[np.ndarray, "3 fine nodes nodes"]:
    """Patient coordinates of the mesh of every fine slice; fine slices are offset in plane too, to smooth edges."""
    extent = geometry.pixel_mm * (geometry.matrix_px - 1)
    nodes = np.linspace(0, extent, NODES)
    count = len(geometry.positions_mm)
    steps = (np.arange(geometry.fine) - (geometry.fine - 1) / 2) / geometry.fine
    shift = steps * geometry.pixel_mm
    point = geometry.positions_mm[:, None] + geometry.normal * (
        steps[None, :, None] * geometry.thickness_mm[:, None, None]
    )
    point = point + np.outer(shift, geometry.row_cosine) + np.outer(shift[::-1], geometry.column_cosine)
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

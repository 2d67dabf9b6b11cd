"""A head CT as HU voxels with their place in the patient, and its resampling to a named grid.

Convention, held everywhere in molre: arrays are (z, y, x); x grows to the patient's left, y to the back, z to the
head, so that a slice shown as an image looks as a radiologist expects it. The affine maps voxel indices (x, y, z) to
RAS millimetres as in NIfTI, so its x and y columns are negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int16
from scipy.sparse import csr_array

from molre.errors import ConfigError, Rejection
from molre.headbox import head_box
from molre.resampling import line_weights

AIR_HU = -1024
"""HU given to voxels outside the scanned field: the lowest value of the 12-bit CT range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """HU voxels on a regular grid.

    Attributes:
        hu: (slices, rows, columns), slices from feet to head.
        affine: voxel (x, y, z) to RAS mm.
    """

    hu: Int16[np.ndarray, "z y x"]
    affine: Float64[np.ndarray, "4 4"]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (z, y, x)."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """Slices of one acquisition as they were read: parallel, at their true positions, in any order.

    Attributes:
        hu: (slices, rows, columns).
        origins_mm: centre of each slice's first pixel, DICOM patient coordinates (x to the left, y to the back, z to
            the head). A gantry tilt, uneven steps and lateral shifts are all in here.
        row_direction: unit vector along a row, the way the column index grows (first half of Image Orientation).
        column_direction: unit vector along a column, the way the row index grows (second half).
        pixel_mm: distance between rows and between columns, in the order of Pixel Spacing.
    """

    hu: Int16[np.ndarray, "n rows cols"] | Float32[np.ndarray, "n rows cols"]
    origins_mm: Float64[np.ndarray, "n 3"]
    row_direction: Float64[np.ndarray, "3"]
    column_direction: Float64[np.ndarray, "3"]
    pixel_mm: tuple[float, float]

    @classmethod
    def of_array(
        cls,
        hu: Int16[np.ndarray, "n rows cols"] | Float32[np.ndarray, "n rows cols"],
        affine: Float64[np.ndarray, "4 4"],
    ) -> Stack:
        """Slices of a regular array, such as a NIfTI file's transposed to (k, j, i).

        Args:
            hu: (k, j, i).
            affine: voxel (i, j, k) to RAS mm; a shear along k (uncorrected tilt) is taken at its word.
        """
        lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
        steps_mm = np.linalg.norm(lps[:, :3], axis=0)
        return cls(
            hu=hu,
            origins_mm=lps[:, 3] + np.arange(hu.shape[0])[:, None] * lps[:, 2],
            row_direction=lps[:, 0] / steps_mm[0],
            column_direction=lps[:, 1] / steps_mm[1],
            pixel_mm=(float(steps_mm[1]), float(steps_mm[0])),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The shape and spacing that every volume of a store shares.

    Attributes:
        name: what ``--grid`` takes.
        shape: (slices, rows, columns).
        spacing_mm: along (z, y, x).
    """

    name: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Field of view along (z, y, x)."""
        z, y, x = (n * step for n, step in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x


GRIDS: dict[str, Grid] = {
    grid.name: grid
    for grid in (
        # The demo's: coarse enough for two CPU cores, wide enough for an adult head.
        Grid(name="demo", shape=(24, 112, 112), spacing_mm=(6.0, 2.0, 2.0)),
        # 5 mm is the usual thickness of a reported head CT; 224 rows feed a ViT at 224 px without resizing.
        Grid(name="head-5mm", shape=(32, 224, 224), spacing_mm=(5.0, 1.0, 1.0)),
        # Half a millimetre in plane keeps what a 512-matrix scan of a 250 mm field shows.
        Grid(name="head-2.5mm", shape=(64, 448, 448), spacing_mm=(2.5, 0.5, 0.5)),
    )
}


def grid_named(name: str) -> Grid:
    """The grid of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in GRIDS:
        raise ConfigError(f"unknown grid {name!r}: choose from {', '.join(GRIDS)}")
    return GRIDS[name]


TOP_MARGIN_MM = 5.0
"""Air kept above the vertex where a scan is longer than the grid, so that the scalp's top is whole."""

WHOLE = 0.9
"""Share of a grid's slice that must have been scanned for its values to be those of tissue and not of air beside it."""

MAX_OBLIQUE_DEG = 46.0
"""Largest angle between slice normal and body axis: past 45° slices are coronal or sagittal; one degree of slack."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planes:
    """A stack turned to the convention: slices from feet to head, rows to the back, columns to the left.

    Attributes:
        hu: view on the stack's voxels, (slices, rows, columns).
        axes: unit vectors of (x, y, z), the last being the slice normal, in DICOM patient coordinates.
        first_mm: centre of each slice's first pixel along those axes.
        pixel_mm: distance between rows and between columns.
    """

    hu: Int16[np.ndarray, "n rows cols"] | Float32[np.ndarray, "n rows cols"]
    axes: Float64[np.ndarray, "3 3"]
    first_mm: Float64[np.ndarray, "n 3"]
    pixel_mm: tuple[float, float]

    def lines_mm(self, index: int) -> tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " cols"]]:
        """Positions of a slice's rows and columns along the axes."""
        x, y, _ = self.first_mm[index]
        _, rows, columns = self.hu.shape
        return y + self.pixel_mm[0] * np.arange(rows), x + self.pixel_mm[1] * np.arange(columns)


def turned(stack: Stack) -> Planes:
    """The stack's slices in the order and orientation of the convention; no voxel is copied or changed.

    Raises:
        Rejection: GEO_NOT_AXIAL, the slices are nearer to coronal or sagittal than to axial; GEO_TOO_FEW_SLICES, fewer
            than two; GEO_DUP_POSITION, two at one place.
    """
    if len(stack.hu) < 2:
        raise Rejection("GEO_TOO_FEW_SLICES", "a volume needs more than one slice")
    normal = np.cross(stack.row_direction, stack.column_direction)
    normal /= np.linalg.norm(normal)
    if abs(normal[2]) < np.cos(np.radians(MAX_OBLIQUE_DEG)):
        raise Rejection("GEO_NOT_AXIAL", "the slices are not axial")
    hu, directions, pixel_mm = stack.hu, [stack.row_direction, stack.column_direction], stack.pixel_mm
    if abs(directions[1][0]) > abs(directions[0][0]):
        hu, directions, pixel_mm = hu.swapaxes(1, 2), directions[::-1], pixel_mm[::-1]
    origins_mm = stack.origins_mm.astype(np.float64)
    for axis, (direction, count, step_mm) in enumerate(zip(directions, hu.shape[:0:-1], pixel_mm[::-1], strict=True)):
        if direction[axis] < 0:
            hu = np.flip(hu, 2 - axis)
            origins_mm = origins_mm + direction * step_mm * (count - 1)
            directions[axis] = -direction
    axes = np.stack([*directions, np.cross(directions[0], directions[1])])
    first_mm = origins_mm @ axes.T
    order = np.argsort(first_mm[:, 2], kind="stable")
    if np.any(order != np.arange(len(order))):
        hu, first_mm = hu[order], first_mm[order]
    if np.any(np.diff(first_mm[:, 2]) <= 0):
        raise Rejection("GEO_DUP_POSITION", "two slices lie at one position")
    return Planes(hu=hu, axes=axes, first_mm=first_mm, pixel_mm=pixel_mm)


def resample(stack: Stack, grid: Grid) -> Volume:
    """The stack on a grid whose slices are parallel to the acquired ones.

    Slices are taken at their true positions: the shear of a tilted gantry is undone, and uneven steps are kept at
    their distances. The grid is centred on the head in plane. Along z it ends a little above the vertex if the scan is
    longer than the grid, and is centred on the scan otherwise. Voxels outside the scanned field are ``AIR_HU``.

    Raises:
        Rejection: as `turned` does; GEO_TOO_FEW_SLICES also where no slice of the grid lies within the scan.
    """
    planes = turned(stack)
    centres_mm = _placed(planes, grid)
    targets = [
        centre + step * (np.arange(n) - (n - 1) / 2)
        for centre, step, n in zip(centres_mm, grid.spacing_mm, grid.shape, strict=True)
    ]
    hu = _filled(planes, grid, targets)
    return Volume(hu=hu, affine=_affine(planes.axes, targets, grid))


def _placed(planes: Planes, grid: Grid) -> tuple[float, float, float]:
    """Where the grid's centre goes, along (z, y, x)."""
    extent_mm = grid.extent_mm[0]
    heights_mm = planes.first_mm[:, 2]
    bottom_mm = float(heights_mm[0] - (heights_mm[1] - heights_mm[0]) / 2)
    top_mm = float(heights_mm[-1] + (heights_mm[-1] - heights_mm[-2]) / 2)
    box = head_box(planes.hu, planes.first_mm, planes.pixel_mm, extent_mm)
    if top_mm - bottom_mm <= extent_mm:
        return (bottom_mm + top_mm) / 2, *box.centre_mm
    # Above the vertex is air: stop there, but never so low that the grid's other end leaves the scan.
    end_mm = max(min(box.top_mm + TOP_MARGIN_MM, top_mm), bottom_mm + extent_mm)
    return end_mm - extent_mm / 2, *box.centre_mm


def _filled(planes: Planes, grid: Grid, targets: list[Float64[np.ndarray, " _"]]) -> Int16[np.ndarray, "z y x"]:
    """Voxels of the grid: one slice after another, so that memory does not grow with their number.

    The products are sparse and run on one thread, which leaves the other cores to the other studies.
    """
    depth, rows, columns = grid.shape
    along = line_weights(planes.first_mm[:, 2], targets[0], grid.spacing_mm[0]).tocsc()
    if along.sum(axis=1).max(initial=0.0) < WHOLE:
        raise Rejection("GEO_TOO_FEW_SLICES", "the scan is so thin that no slice of the grid lies within it")
    # Above air, so that a weight that is missing at the rim of the field counts as air.
    above_air = np.zeros((depth, columns, rows), np.float32)
    across: list[csr_array] = []
    offset = np.full(2, np.nan)
    for index in range(planes.hu.shape[0]):
        used = slice(along.indptr[index], along.indptr[index + 1])
        if used.start == used.stop:
            continue
        if not np.array_equal(offset, planes.first_mm[index, :2]):
            lines = planes.lines_mm(index)
            across = [line_weights(lines[i], targets[i + 1], grid.spacing_mm[i + 1]) for i in range(2)]
            offset = planes.first_mm[index, :2]
        plane = np.subtract(planes.hu[index], AIR_HU, dtype=np.float32)
        # Padding below air, and what is not a number, would bleed into its neighbours.
        np.fmax(plane, 0, out=plane)
        plane = across[1] @ np.ascontiguousarray((across[0] @ plane).T)
        for z, weight in zip(along.indices[used], along.data[used], strict=True):
            above_air[z] += weight * plane
    return _as_int16(above_air)


def _as_int16(above_air: Float32[np.ndarray, "z x y"]) -> Int16[np.ndarray, "z y x"]:
    above_air += AIR_HU
    np.clip(np.rint(above_air, out=above_air), AIR_HU, np.iinfo(np.int16).max, out=above_air)
    return np.ascontiguousarray(above_air.astype(np.int16).swapaxes(1, 2))


def _affine(
    axes: Float64[np.ndarray, "3 3"], targets: list[Float64[np.ndarray, " _"]], grid: Grid
) -> Float64[np.ndarray, "4 4"]:
    """Voxel (x, y, z) to RAS mm, from the axes in DICOM's LPS."""
    affine = np.eye(4)
    affine[:3, :3] = axes.T * np.array(grid.spacing_mm[::-1])
    affine[:3, 3] = axes.T @ np.array([line[0] for line in targets[::-1]])
    affine[:2] *= -1
    return affine

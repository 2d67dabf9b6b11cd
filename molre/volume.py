"""A head CT as HU voxels with their place in the patient, and its resampling to a named grid.

Convention, held everywhere in molre: arrays are (z, y, x); x grows to the patient's left, y to the back, z to the
head, so that a slice shown as an image looks as a radiologist expects it. The affine maps voxel indices (x, y, z) to
RAS millimetres as in NIfTI, so its x and y columns are negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16

from molre.errors import ConfigError

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

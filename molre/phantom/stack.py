"""A phantom study as molre's volume, without files between."""

from __future__ import annotations

import numpy as np

from molre.phantom.headers import decimal
from molre.phantom.study import PhantomStudy
from molre.volume import Grid, Stack, Volume, resample


def stack_of(study: PhantomStudy) -> Stack:
    """The soft axial series as it is read from its files, where numbers are text with some digits."""
    geometry = study.geometry
    cosines = [geometry.row_cosine, geometry.column_cosine]
    directions = np.array([[float(decimal(c, 9)) for c in cosine] for cosine in cosines])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pixel_mm = float(decimal(geometry.pixel_mm))
    return Stack(
        hu=study.hu,
        origins_mm=np.array([[float(decimal(p)) for p in position] for position in geometry.positions_mm]),
        row_direction=directions[0],
        column_direction=directions[1],
        pixel_mm=(pixel_mm, pixel_mm),
    )


def volume_of(study: PhantomStudy, grid: Grid) -> Volume:
    """What ``read_study`` and ``resample`` make of the study's files: the same voxels at the same place.

    Args:
        study: which.
        grid: of the volume.
    """
    return resample(stack_of(study), grid)

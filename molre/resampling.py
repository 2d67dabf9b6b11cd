"""Weights that carry samples along one line to evenly spaced positions along it.

A separable resampling of a scan is three of these: rows, columns, and the line along the slice normal. The samples may
be unevenly spaced, which is what slice positions often are.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array

POINTS_PER_SAMPLE = 4
"""Points at which the average over a target voxel is taken, for each source sample that it spans."""

MAX_POINTS = 64
"""Bound on those points, so that a very fine source costs no more than this."""


def line_weights(
    source_mm: Float64[np.ndarray, " n"], target_mm: Float64[np.ndarray, " m"], target_step_mm: float
) -> csr_array:
    """Linear interpolation between true positions, averaged over the part of a target voxel that the source resolves.

    The width averaged over is sqrt(target² - source²) mm where the target is coarser than the local source step, and 0
    (plain linear interpolation) where it is finer: a source sample is itself an average over its own step, and the
    widths of successive averages add as variances do. The first and last sample hold for half a step beyond their
    centres; further out the weights are 0.

    Args:
        source_mm: positions of the samples, strictly increasing, at least two.
        target_mm: centres of the target voxels.
        target_step_mm: distance between those.

    Returns:
        Sparse weights (m, n), of float32; a row sums to 1 inside the sampled range.
    """
    steps = np.diff(source_mm)
    if len(source_mm) < 2 or not np.all(steps > 0):
        raise ValueError("source positions must be at least two and strictly increasing")
    local_step = steps[_interval(source_mm, target_mm)]
    width = np.sqrt(np.maximum(target_step_mm**2 - local_step**2, 0.0))
    count = _point_count(width, local_step)
    offsets = (np.arange(count) + 0.5) / count - 0.5
    points = target_mm[:, None] + width[:, None] * offsets[None, :]
    below = _interval(source_mm, points)
    upper = np.clip((points - source_mm[below]) / steps[below], 0.0, 1.0)
    inside = (points >= source_mm[0] - steps[0] / 2) & (points <= source_mm[-1] + steps[-1] / 2)
    share = inside / count
    rows = np.broadcast_to(np.arange(len(target_mm))[:, None], points.shape)
    values = np.concatenate([(share * (1 - upper)).ravel(), (share * upper).ravel()])
    places = (np.concatenate([rows.ravel()] * 2), np.concatenate([below.ravel(), below.ravel() + 1]))
    weights = csr_array((values.astype(np.float32), places), shape=(len(target_mm), len(source_mm)))
    weights.eliminate_zeros()
    return weights


def _interval(source_mm: Float64[np.ndarray, " n"], at_mm: np.ndarray) -> np.ndarray:
    """Index of the interval between samples that each position falls in, the outermost for positions outside."""
    return np.clip(np.searchsorted(source_mm, at_mm, side="right") - 1, 0, len(source_mm) - 2)


def _point_count(width: Float64[np.ndarray, " m"], local_step: Float64[np.ndarray, " m"]) -> int:
    """Points a target voxel is averaged at: one where nothing is averaged."""
    spanned = float(np.max(width / local_step, initial=0.0))
    return int(np.clip(np.ceil(spanned * POINTS_PER_SAMPLE), 1, MAX_POINTS))

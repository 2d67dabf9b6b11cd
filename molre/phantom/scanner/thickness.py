"""Acquired slices as weighted means of fine ones: partial volume, by the slice sensitivity profile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64, Int

from molre.phantom.geometry import Geometry
from molre.phantom.head import Head
from molre.phantom.tissue import AIR

SLAB = 12
"""Slices worked on at a time, which bounds the memory at 512 pixels and thin slices."""

SOFT_EDGE = {False: 0.1, True: 0.3}
"""Half-width of the profile's flanks in thicknesses, without and with a spiral: reconstructing a spiral widens the foot
of the profile and keeps its width at half height (Kalender and Polacin 1991, Med Phys 18:910)."""


def thick(head: Head, geometry: Geometry, spiral: bool) -> Float32[np.ndarray, "slices rows columns"]:
    """Means of the fine slices under each acquired slice's profile."""
    index, weight = _weights(geometry, SOFT_EDGE[spiral])
    count, (rows, columns) = len(index), head.shape[1:]
    hu = np.zeros((count, rows, columns), np.float32)
    for first, stop in slabs(count):
        low = int(index[first].min())
        fine = fine_slices(head, low, int(index[stop - 1].max()) + 1)
        for offset in range(index.shape[1]):
            hu[first:stop] += weight[first:stop, offset, None, None] * fine[index[first:stop, offset] - low]
    return hu


def slabs(count: int) -> Iterator[tuple[int, int]]:
    """First slice, and that after the last, of each slab."""
    for first in range(0, count, SLAB):
        yield first, min(first + SLAB, count)


def fine_slices(head: Head, first: int, stop: int) -> Float32[np.ndarray, "fine rows columns"]:
    """Painted HU of some fine slices, air around the head."""
    _, rows, columns = head.shape
    low, high = np.searchsorted(head.where, (first * rows * columns, stop * rows * columns))
    fine = np.full((stop - first) * rows * columns, AIR, np.float32)
    fine[head.where[low:high] - first * rows * columns] = head.hu[low:high]
    return fine.reshape(-1, rows, columns)


def profile(distance: Float64[np.ndarray, "..."], soft_edge: float) -> Float64[np.ndarray, "..."]:
    """Sensitivity at a distance from the slice's middle, in thicknesses: flat, with straight flanks about one half."""
    return np.clip((0.5 + soft_edge - np.abs(distance)) / (2 * soft_edge), 0, 1)


def _weights(
    geometry: Geometry, soft_edge: float
) -> tuple[Int[np.ndarray, "slices near"], Float32[np.ndarray, "slices near"]]:
    """Which fine slices each acquired slice is made of, those of its neighbours included, and how much of each."""
    fine, step = geometry.fine, geometry.step_mm
    middle = np.cumsum(step) - step / 2
    places = ((np.arange(fine) - (fine - 1) / 2) / fine * step[:, None] + middle[:, None]).ravel()
    near = np.arange(-fine, 2 * fine) + fine * np.arange(len(step))[:, None]
    index = np.clip(near, 0, len(places) - 1)
    weight = profile((places[index] - middle[:, None]) / geometry.thickness_mm[:, None], soft_edge)
    weight *= np.repeat(step / fine, fine)[index] * (index == near)
    used = weight.max(0) > 0
    weight /= weight.sum(1, keepdims=True)
    return index[:, used], weight[:, used].astype(np.float32)

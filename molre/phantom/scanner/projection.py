"""Rays through slices at low resolution, for what depends on whole rays: hardening of the beam, and lost photons."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float32
from scipy import fft
from scipy.sparse import csr_array

SIDE = 64
"""Pixels a side: under 4 mm, as fine as dark bands between bones need."""
VIEWS = 60
BINS = 93
"""The diagonal of the square."""

Planes = Float32[np.ndarray, "side side slices"]
Rays = Float32[np.ndarray, "views bins slices"]


@cache
def _projector() -> tuple[csr_array, csr_array]:
    """The matrix from pixels to rays, in pixels, and its transpose; sparse products run on one thread."""
    middle = (SIDE - 1) / 2
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1) - middle
    angle = np.pi * (np.arange(VIEWS) + 0.5) / VIEWS
    place = np.outer(np.cos(angle), x) + np.outer(np.sin(angle), y) + (BINS - 1) / 2
    low = np.floor(place).astype(np.int32)
    share = (place - low).astype(np.float32)
    ray = (np.arange(VIEWS)[:, None] * BINS + low).ravel()
    pixel = np.tile(np.arange(SIDE * SIDE), VIEWS)
    weight, rows = np.concatenate([1 - share.ravel(), share.ravel()]), np.concatenate([ray, ray + 1])
    forth = csr_array((weight, (rows, np.concatenate([pixel, pixel]))), shape=(VIEWS * BINS, SIDE * SIDE))
    return forth, csr_array(forth.T)


def forward(planes: Planes) -> Rays:
    """Sums along rays, in pixels."""
    return (_projector()[0] @ planes.reshape(SIDE * SIDE, -1)).reshape(VIEWS, BINS, -1)


def smear(rays: Rays) -> Planes:
    """Mean over the views of the rays through each pixel."""
    return (_projector()[1] @ rays.reshape(VIEWS * BINS, -1)).reshape(SIDE, SIDE, -1) * np.float32(1 / VIEWS)


def reconstruct(rays: Rays) -> Planes:
    """Filtered back-projection (Kak and Slaney 1988, Principles of Computerized Tomographic Imaging, ch. 3)."""
    size = 2 * BINS
    ramp = np.abs(np.fft.rfftfreq(size)) * np.cos(np.pi * np.fft.rfftfreq(size)) ** 2
    spectrum = fft.rfft(rays, size, axis=1, workers=1) * ramp.astype(np.float32)[None, :, None]
    return smear(fft.irfft(spectrum, size, axis=1, workers=1)[:, :BINS].astype(np.float32)) * np.float32(np.pi)


def shrink(hu: Float32[np.ndarray, "slices rows columns"]) -> Planes:
    """Means over the pixels' areas."""
    edges = np.linspace(0, hu.shape[1], SIDE + 1).astype(int)[:-1]
    count = np.diff([*edges, hu.shape[1]]).astype(np.float32)
    small = np.add.reduceat(np.add.reduceat(hu, edges, axis=1), edges, axis=2)
    return np.ascontiguousarray(np.moveaxis(small / (count[:, None] * count), 0, -1))


def grow(planes: Planes, matrix_px: int) -> Float32[np.ndarray, "slices rows columns"]:
    """Linear interpolation back to the pixels of slices."""
    place = np.clip((np.arange(matrix_px) + 0.5) * SIDE / matrix_px - 0.5, 0, SIDE - 1)
    low = np.minimum(place.astype(int), SIDE - 2)
    share = (place - low).astype(np.float32)[:, None]
    planes = np.moveaxis(planes, -1, 0)
    rows = planes[:, low] + (planes[:, low + 1] - planes[:, low]) * share
    first = rows[:, :, low]
    return first + (rows[:, :, low + 1] - first) * share[:, 0]

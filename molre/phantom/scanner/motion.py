"""A head that moves while a slice is scanned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float64

OVERSCAN = 0.04
"""Share of the first views that is scanned again at the end and blended, so that the two ends meet gently."""

WAY_MM = 1.6
"""Typical way of the head during a slice, of those with motion, along each axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """How the head moves during each slice.

    Attributes:
        shift_mm: from the first view of a slice to its last, along columns and rows; nearly always 0.
        start: angle of the first view.
        jerk: power of time that the way goes by: 1 steady, more the later and the more sudden.
    """

    shift_mm: Float64[np.ndarray, "slices 2"]
    start: Float64[np.ndarray, "slices"]
    jerk: Float64[np.ndarray, "slices"]


def draw_motion(rng: np.random.Generator, slices: int, fraction: float) -> Motion:
    """In a share of the studies, some neighbouring slices with movement."""
    shift = np.zeros((slices, 2))
    moves = rng.random() < fraction
    first, count = rng.integers(0, slices), rng.integers(2, 6)
    way, start, jerk = rng.normal(0, WAY_MM, (slices, 2)), rng.uniform(0, np.pi, slices), rng.uniform(1, 6, slices)
    if moves:
        shift[first : first + count] = way[first : first + count]
    return Motion(shift_mm=shift, start=start, jerk=jerk)


def blur_moving(
    spectrum: Complex64[np.ndarray, "slab rows half"], motion: Motion, first: int, matrix_px: int, pixel_mm: float
) -> None:
    """Give each view the place that the head had then, in place.

    By the Fourier slice theorem a view is a line through the spectrum at its angle, and a shift turns its phase (Kak
    and Slaney 1988, ch. 3); where the last view meets the first, edges double and streak.
    """
    rows = np.fft.fftfreq(matrix_px, pixel_mm)[:, None]
    half = np.fft.rfftfreq(matrix_px, pixel_mm)
    angle = np.arctan2(rows, half)
    for place in range(len(spectrum)):
        right, down = motion.shift_mm[first + place]
        if right or down:
            time = (angle - motion.start[first + place]) % np.pi / np.pi
            way = -2j * np.pi * (half * right + rows * down)
            again = np.clip(1 - time / OVERSCAN, 0, 1)
            turn = (1 - again) * np.exp(way * time ** motion.jerk[first + place]) + again * np.exp(way)
            spectrum[place] *= turn.astype(np.complex64)

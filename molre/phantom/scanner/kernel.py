"""What a kernel does to an image and to its noise, by spatial frequency.

The response is a Hann window, ``cos(pi f / 2 cutoff) ** 2``, raised in between for kernels that enhance edges. The
noise of filtered back-projection has the power ``f * response ** 2``: the ramp of the filter, which leaves nothing at
frequency zero, under the square of the response (Riederer et al. 1978, Phys Med Biol 23:446; Hanson 1979, Med Phys
6:441).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64

from molre.phantom.protocol import Kernel

NATIVE_MM = 0.49
"""Pixels of the real head; what its own do to the noise is part of the response that was fitted to it."""

FOLDS = 3
"""Frequencies are folded back from so many times the sampling frequency at most."""


def response(kernel: Kernel, frequency_per_mm: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Modulation transfer at a spatial frequency; 1 at 0."""
    share = np.minimum(frequency_per_mm / kernel.cutoff_per_mm, 1)
    return np.cos(np.pi / 2 * share) ** 2 * (1 + kernel.boost * 4 * share * (1 - share))


def noise_power(kernel: Kernel, frequency_per_mm: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Shape of the noise power spectrum, to be multiplied with the level in HU² mm³."""
    return frequency_per_mm * response(kernel, frequency_per_mm) ** 2


@lru_cache(maxsize=32)
def image_filter(kernel: Kernel, matrix_px: int, pixel_mm: float) -> Float32[np.ndarray, "rows half"]:
    """Response for each coefficient of `scipy.fft.rfft2` of a slice."""
    rows, half = np.fft.fftfreq(matrix_px, pixel_mm), np.fft.rfftfreq(matrix_px, pixel_mm)
    return response(kernel, np.hypot(rows[:, None], half)).astype(np.float32)


@lru_cache(maxsize=32)
def noise_filter(kernel: Kernel, matrix_px: int, pixel_mm: float) -> Float32[np.ndarray, "rows columns"]:
    """What turns white coefficients of `scipy.fft.fft2` into those of noise at a level of 1 HU² mm³.

    A pixel that is larger than scanners' is the mean over its area, as of theirs, which dampens what is finer than it
    and folds the rest back.
    """
    frequency = np.fft.fftfreq(matrix_px, pixel_mm)
    power = np.zeros((matrix_px, matrix_px))
    most = min(FOLDS, int(kernel.cutoff_per_mm * pixel_mm + 0.5))
    for down in range(-most, most + 1):
        for right in range(-most, most + 1):
            v, u = (frequency + fold / pixel_mm for fold in (down, right))
            box = np.outer(_mean(v, pixel_mm), _mean(u, pixel_mm)) ** 2
            power += box * noise_power(kernel, np.hypot(v[:, None], u))
    return (matrix_px / pixel_mm * np.sqrt(power)).astype(np.float32)


def _mean(frequency_per_mm: Float64[np.ndarray, "n"], pixel_mm: float) -> Float64[np.ndarray, "n"]:
    """What is left of a wave in the mean over a pixel's side, relative to scanners' pixels."""
    if pixel_mm <= NATIVE_MM:
        return np.ones_like(frequency_per_mm)
    # No kernel lets through frequencies at which the mean over a scanner's pixel comes near nothing.
    own = np.maximum(np.sinc(np.minimum(np.abs(frequency_per_mm), 1.8) * NATIVE_MM), 0.1)
    return np.sinc(frequency_per_mm * pixel_mm) / own

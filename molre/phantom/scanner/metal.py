"""Streaks from metal: rays through it seem too bright, and are noisy for want of photons."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

from molre.phantom.head import Head
from molre.phantom.scanner.projection import BINS, SIDE, VIEWS, Rays
from molre.phantom.tissue import T

GRID_PX = 192
"""Most pixels a side: streaks are no finer than a millimetre."""

FINER = 2
"""Views for each one of the coarse projection."""

FINE_BINS = 4
"""Rays interpolated for each one."""

PER_MM = 0.1
"""Attenuation of what is painted with 3,000 HU; titanium has twice as much, and platinum many times (Hubbell and
Seltzer 1995, NISTIR 5632), but their smallest pieces are thinner than a pixel."""

HARDENING = 0.9
"""By what share of the square of its attenuation in metal a ray seems too bright."""

DENSE_HU = 6000.0
"""What metal exceeds the painted 3,000 HU by: images end at 3,071 HU, and its rim blooms."""

STARVED = 0.005
"""Standard deviation of a ray's attenuation where nothing weakens it, as far as it is the metal's doing."""


def metal_of(head: Head) -> Float32[np.ndarray, "slices rows columns"] | None:
    """Attenuation per mm of the metal in each acquired voxel; none where a head holds no metal."""
    index = np.flatnonzero(head.tissue == T["metal"])
    if not len(index):
        return None
    slices, rows, columns = head.shape
    z, plane = np.divmod(head.where[index], rows * columns)
    weight = np.maximum(head.hu[index], 0) * np.float32(PER_MM / 3000 / head.fine)
    count = slices // head.fine
    total = np.bincount((z // head.fine) * (rows * columns) + plane, weight, minlength=count * rows * columns)
    return total.reshape(count, rows, columns).astype(np.float32)


def add_streaks(
    hu: Float32[np.ndarray, "slices rows columns"],
    metal: Float32[np.ndarray, "slices rows columns"],
    rays: Rays,
    pixel_mm: float,
    water_per_mm: float,
    rng: np.random.Generator,
) -> None:
    """Add to the slices that hold metal what is wrong with their rays, filtered and back-projected.

    De Man et al. 1999, IEEE Trans Nucl Sci 46:691, name beam hardening and noise first among the causes of streaks.

    Args:
        hu: slices before the kernel, changed in place.
        metal: attenuation per mm in each voxel.
        rays: attenuation of the slices without the metal, at low resolution.
        pixel_mm: side of a pixel.
        water_per_mm: attenuation of water.
        rng: of the lost photons.
    """
    numbers = np.flatnonzero(metal.any((1, 2)))
    if not len(numbers):
        return
    small, factor = _shrunk(metal[numbers])
    side_mm = pixel_mm * factor
    wrong = np.stack([_wrong(one, rays[:, :, n], side_mm, rng) for one, n in zip(small, numbers, strict=True)])
    streaks = _back(wrong, small.shape[1]) * np.float32(1000 / water_per_mm / side_mm)
    hu[numbers] += metal[numbers] * np.float32(DENSE_HU / PER_MM)
    for number, streak in zip(numbers, streaks, strict=True):
        hu[number] += np.kron(streak, np.ones((factor, factor), np.float32))[: hu.shape[1], : hu.shape[2]]


def _shrunk(metal: Float32[np.ndarray, "n rows columns"]) -> tuple[Float32[np.ndarray, "n a a"], int]:
    """Means over blocks, and the blocks' side."""
    count, rows, _ = metal.shape
    factor = -(-rows // GRID_PX)
    if factor == 1:
        return metal, 1
    size = -(-rows // factor)
    padded = np.pad(metal, [(0, 0), *[(0, size * factor - rows)] * 2])
    return padded.reshape(count, size, factor, size, factor).mean((2, 4)), factor


def _angles() -> Float64[np.ndarray, "views"]:
    count = VIEWS * FINER
    return np.pi * (np.arange(count) + 0.5) / count


def _wrong(
    metal: Float32[np.ndarray, "a a"], rays: Float32[np.ndarray, "views bins"], side_mm: float, rng: np.random.Generator
) -> Float32[np.ndarray, "more finer"]:
    """Error of each ray's attenuation."""
    size = len(metal)
    bins = int(1.5 * size)
    y, x = np.nonzero(metal)
    angle = _angles()[:, None]
    place = np.cos(angle) * (x - (size - 1) / 2) + np.sin(angle) * (y - (size - 1) / 2) + (bins - 1) / 2
    low = np.floor(place).astype(np.int64)
    index = (low + bins * np.arange(len(angle))[:, None]).ravel()
    share, amount = (place - low).ravel(), np.tile(metal[y, x] * side_mm, len(angle))
    path = np.bincount(index, amount * (1 - share), minlength=bins * len(angle))
    path += np.bincount(index + 1, amount * share, minlength=len(path))[: len(path)]
    path = path.reshape(len(angle), bins)
    coarse = np.clip(np.rint((np.arange(bins) - (bins - 1) / 2) * SIDE / size + (BINS - 1) / 2), 0, BINS - 1)
    behind = np.repeat(rays[:, coarse.astype(int)], FINER, axis=0) + path
    noise = STARVED * np.exp(np.minimum(behind, 9) / 2) * np.minimum(2 * path, 1) * rng.standard_normal(path.shape)
    return (noise - HARDENING * path**2 / (1 + path)).astype(np.float32)


def _back(rays: Float32[np.ndarray, "n views bins"], size: int) -> Float32[np.ndarray, "n a a"]:
    """Filtered back-projection of several slices, each pixel from the nearest of finely interpolated rays."""
    count, views, bins = rays.shape
    frequency = np.fft.rfftfreq(2 * bins)
    ramp = np.abs(frequency) * np.cos(np.pi * frequency) ** 2 * (np.pi / views * FINE_BINS)
    spectrum = fft.rfft(rays, 2 * bins, axis=2, workers=1) * ramp.astype(np.float32)
    filtered = fft.irfft(spectrum, 2 * bins * FINE_BINS, axis=2, workers=1)
    line = (np.arange(size) - (size - 1) / 2) * FINE_BINS
    middle = (bins - 1) / 2 * FINE_BINS + 0.5
    image = np.zeros((count, size, size), np.float32)
    for view, angle in enumerate(_angles()):
        across, down = (np.cos(angle) * line + middle).astype(np.float32), (np.sin(angle) * line).astype(np.float32)
        nearest = np.add.outer(down, across).astype(np.int32)
        for plane, ray in zip(image, filtered[:, view], strict=True):
            plane += ray[nearest]
    return image

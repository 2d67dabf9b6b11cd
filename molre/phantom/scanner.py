"""From fine slices to what a scanner reconstructs: thick slices, blur, beam hardening, noise, rounding."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int16, UInt8
from scipy import ndimage

from molre.phantom.config import CohortConfig
from molre.phantom.head import Head
from molre.phantom.tissue import AIR

LOWEST_HU, HIGHEST_HU = -1024, 3071
"""The 12-bit range of a CT image."""


def acquire(head: Head, config: CohortConfig, rng: np.random.Generator) -> Int16[np.ndarray, "slices rows columns"]:
    """Hounsfield units of the acquired slices.

    Slices are averages of fine slices (partial volume); the in-plane blur of 0.6-0.8 pixels is that of a soft-tissue
    kernel; noise is white noise blurred and sharpened, which leaves the texture of filtered back-projection (Riederer
    et al. 1978, Phys Med Biol 23:446); the posterior fossa darkens between the petrous bones (Hounsfield bar).
    """
    fine = np.full(head.shape, AIR, np.float32)
    fine.reshape(-1)[head.where] = head.hu
    hu = fine.reshape(-1, head.fine, *head.shape[1:]).mean(1)
    hu = _blur(hu, float(rng.uniform(0.55, 0.75)))
    hu += _table(hu.shape[1], rng)
    _harden(hu, head, rng)
    hu += _noise(hu, config.noise_hu * float(rng.uniform(0.75, 1.35)), rng)
    return np.clip(np.rint(hu), LOWEST_HU, HIGHEST_HU).astype(np.int16)


def _blur(hu: Float32[np.ndarray, "s r c"], sigma_px: float) -> Float32[np.ndarray, "s r c"]:
    kernel = np.exp(-(np.arange(-2, 3) ** 2) / (2 * sigma_px**2)).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (1, 2):
        hu = ndimage.correlate1d(hu, kernel, axis=axis, mode="nearest")
    return hu


def _table(size: int, rng: np.random.Generator) -> Float32[np.ndarray, "r c"]:
    """The head holder: a thin shell behind and beside the head, the same in every slice."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    radius = np.hypot(x / 0.435, (y - 0.04) / 0.455)
    shell = np.clip(1 - np.abs(radius - 1) * 26, 0, 1) * (y > 0.05 + 0.1 * rng.random())
    return np.float32(1150) * shell


def _harden(hu: Float32[np.ndarray, "s r c"], head: Head, rng: np.random.Generator) -> None:
    """Darken each slice between dense bones, and brighten brain slightly under the vault (residual cupping)."""
    dense = np.clip(hu - 300, 0, 1200).sum(2) / 1200
    bar = ndimage.gaussian_filter1d(np.clip(dense - 22, 0, 20), 2.0, axis=1) * np.float32(rng.uniform(0.1, 0.35))
    soft = (hu > -60) & (hu < 130)
    hu -= np.where(soft, np.minimum(bar, 7)[:, :, None], 0)


def _noise(
    hu: Float32[np.ndarray, "s r c"], deviation_hu: float, rng: np.random.Generator
) -> Float32[np.ndarray, "s r c"]:
    white = rng.standard_normal(hu.shape, np.float32)
    texture = _blur(white, 0.6) - np.float32(0.35) * ndimage.uniform_filter(white, (0, 5, 5))
    texture *= np.float32(deviation_hu) / np.float32(texture[: len(texture) // 2].std())
    # More photons are lost on the way through dense slices.
    load = np.clip(np.clip(hu + 1000, 0, 2200).mean((1, 2), keepdims=True) / 420, 0.6, 1.5)
    return texture * np.where(hu > -900, load, load * np.float32(0.7))


def acquired_tissue(head: Head) -> UInt8[np.ndarray, "slices rows columns"]:
    """Tissue of each acquired voxel: that of its middle fine slice."""
    fine = np.zeros(head.shape, np.uint8)
    fine.reshape(-1)[head.where] = head.tissue
    return np.ascontiguousarray(fine[head.fine // 2 :: head.fine])


def acquired_mask(head: Head, key: str) -> Bool[np.ndarray, "slices rows columns"]:
    """Voxels of a finding: those it fills by half or more, or all it touches where it fills none so far."""
    slices, rows, columns = head.shape
    index = np.unique(np.concatenate(head.marks[key]))
    flat = head.where[index]
    z, plane = np.divmod(flat, rows * columns)
    share = np.bincount((z // head.fine) * (rows * columns) + plane, minlength=slices // head.fine * rows * columns)
    half = share >= head.fine / 2
    mask = half if half.sum() >= 4 else share > 0
    return mask.reshape(slices // head.fine, rows, columns)

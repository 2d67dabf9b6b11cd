"""The noise of a head CT: its level and its power spectrum in even patches of brain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from molre.phantom.regions import Scan

PATCH_MM = 15.6
BRAIN_HU = (18.0, 48.0)
"""Mean of a patch that is brain."""
FURTHEST_HU = 28.0
"""Distance of a pixel of the patch from its mean beyond which it is not brain alone."""
EVEN = 0.1
"""Share of the patches, the most even ones, that noise is taken from: the others hold anatomy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grain:
    """Noise.

    Attributes:
        deviation_hu: median standard deviation within a patch.
        frequency_per_mm: of each entry of ``power``.
        power: radial mean of the power spectrum, HU² mm².
    """

    deviation_hu: float
    frequency_per_mm: Float64[np.ndarray, "n"]
    power: Float64[np.ndarray, "n"]

    @property
    def peak_per_mm(self) -> float:
        """Frequency of the greatest power above 0.1 per mm; below, what is left of anatomy adds to it."""
        above = self.frequency_per_mm > 0.1
        return float(self.frequency_per_mm[above][np.argmax(self.power[above])])

    @property
    def limit_per_mm(self) -> float:
        """Frequency at which the power has fallen to a tenth of the greatest: how sharp the kernel is."""
        peak = int(np.argmax(np.where(self.frequency_per_mm > 0.1, self.power, 0)))
        low = np.flatnonzero(self.power[peak:] < 0.1 * self.power[peak])
        return float(self.frequency_per_mm[peak + low[0]]) if low.size else float(self.frequency_per_mm[-1])

    @property
    def mean_per_mm(self) -> float:
        """Mean frequency of the noise over the plane of frequencies."""
        weight = self.power * self.frequency_per_mm
        return float((weight * self.frequency_per_mm).sum() / weight.sum())


def grain_of(scan: Scan) -> Grain:
    """Noise in the most even patches of brain, each less its own quadratic trend (ICRU report 87, 2012, ch. 4)."""
    side = int(PATCH_MM / scan.pixel_mm) // 2 * 2
    left = _without_trend(_patches(scan.hu, side))
    deviation = left.std((1, 2))
    most_even = np.argsort(deviation)[: max(4, int(len(left) * EVEN))]
    left = left[most_even]
    window = np.outer(np.hanning(side), np.hanning(side))
    window /= np.sqrt((window**2).mean())
    power = (np.abs(np.fft.fft2(left * window)) ** 2).mean(0) * (scan.pixel_mm / side) ** 2
    frequency = np.fft.fftfreq(side, scan.pixel_mm)
    ring = np.round(np.hypot(*np.meshgrid(frequency, frequency)) * side * scan.pixel_mm).astype(int)
    radial = (np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[: side // 2 + 1]
    return Grain(
        deviation_hu=float(np.median(deviation[most_even])),
        frequency_per_mm=np.arange(len(radial)) / (side * scan.pixel_mm),
        power=radial,
    )


def _without_trend(patches: Float32[np.ndarray, "n side side"]) -> Float64[np.ndarray, "n side side"]:
    """Patches less the quadratic surface fitted to each."""
    side = patches.shape[1]
    y, x = np.mgrid[:side, :side] / side - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1).reshape(-1, 6)
    flat = patches.reshape(len(patches), -1).astype(float)
    return (flat - flat @ np.linalg.pinv(terms).T @ terms.T).reshape(patches.shape)


def _patches(hu: Float32[np.ndarray, "slices rows columns"], side: int) -> Float32[np.ndarray, "n side side"]:
    """Square patches of brain alone."""
    step = max(side // 4, 1)
    found = []
    for plane in hu:
        patches = np.lib.stride_tricks.sliding_window_view(plane, (side, side))[::step, ::step]
        mean = patches.mean((2, 3))
        brain = (mean > BRAIN_HU[0]) & (mean < BRAIN_HU[1])
        kept = patches[brain]
        far = np.abs(kept - mean[brain][:, None, None]).max((1, 2), initial=0.0)
        found.append(kept[far < FURTHEST_HU])
    return np.concatenate(found)

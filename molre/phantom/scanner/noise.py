"""The noise of a scan: as much as the photons that are left behind the head, with the texture of the kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

from molre.phantom.geometry import Geometry
from molre.phantom.protocol import Kernel, Protocol
from molre.phantom.scanner.kernel import noise_filter
from molre.phantom.scanner.projection import Planes, forward, smear
from molre.phantom.scanner.thickness import SOFT_EDGE, slabs

WATER_PER_MM = 0.0195
"""Attenuation of water at some 70 keV, the mean energy at 120 kV (Hubbell and Seltzer 1995, NISTIR 5632)."""

BONE_MORE = 0.35
"""By how much more bone attenuates at that energy than its HU tell."""

BONE_FROM_HU = 150.0

LEVEL_HU2_MM3 = 9.86e4
"""Noise power per frequency of 1 mm slices at 1 mAs and 120 kV above the ventricles of the real head that the table of
scanners tells of: 44 HU² mm³ at 7 mm and 320 mAs, and, which the model foretells, 68 at 4 mm and 360 mAs."""

USUAL_LOSS = 44.0
"""Mean of the inverse transmission over the rays through the middle of that head where it was measured."""

VOLTAGE_POWER = 2.5
"""Photons behind a head grow with this power of the tube voltage."""


def lost(small: Planes, side_mm: float) -> Planes:
    """Noise variance relative to that above the ventricles of the real head.

    Each ray's variance is the inverse of its transmission, and a pixel's is the mean over the rays through it: the
    posterior fossa, behind the petrous bones, has 1.6 times that above the ventricles, in the real head as in this
    model.
    """
    attenuation = np.maximum(small + 1000, 0) + np.float32(BONE_MORE) * np.maximum(small - BONE_FROM_HU, 0)
    rays = forward(attenuation * np.float32(WATER_PER_MM / 1000 * side_mm))
    return smear(np.exp(np.minimum(rays, 8))) / np.float32(USUAL_LOSS)


def level_hu2_mm3(protocol: Protocol, geometry: Geometry) -> Float64[np.ndarray, "slices"]:
    """Noise power per frequency of each slice, in a head and at a place that lose as usual."""
    dose = protocol.mas * (protocol.kvp / 120) ** VOLTAGE_POWER
    return LEVEL_HU2_MM3 * protocol.scanner.efficiency / (dose * geometry.thickness_mm)


def textures(
    kernel: Kernel, geometry: Geometry, spiral: bool, rng: np.random.Generator
) -> Iterator[tuple[int, int, Float32[np.ndarray, "slab rows columns"]]]:
    """Noise at a level of 1 HU² mm³, slab by slab with its first slice and that after its last.

    The same rng gives the same photons whatever the kernel. Slices of a spiral share photons with their neighbours.
    """
    size, spectrum = geometry.matrix_px, noise_filter(kernel, geometry.matrix_px, geometry.pixel_mm)
    shared = shared_noise(spiral)
    before = np.zeros((size, size), np.float32)
    for first, stop in slabs(len(geometry.positions_mm)):
        pairs = (stop - first + 1) // 2
        white = rng.standard_normal((pairs, size, size, 2), np.float32).view(np.complex64)[..., 0]
        # The real and the imaginary part of one transform are two slices.
        both = fft.ifft2(white * spectrum, workers=1)
        noise = np.stack([both.real, both.imag], 1).reshape(-1, size, size)[: stop - first]
        if shared:
            last = noise[-1].copy()
            noise[1:] += np.float32(shared) * noise[:-1]
            noise[0] += np.float32(shared) * before
            noise *= np.float32(1 / np.hypot(1, shared))
            before = last
        yield first, stop, noise


def shared_noise(spiral: bool) -> float:
    """Share of the slice below in a slice's noise, by the overlap of their profiles."""
    return SOFT_EDGE[True] / 2 if spiral else 0.0

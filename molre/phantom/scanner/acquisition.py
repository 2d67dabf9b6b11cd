"""A scan: what is known once the photons are counted, from which every kernel's images can be reconstructed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int16
from scipy import fft

from molre.phantom.config import CohortConfig
from molre.phantom.geometry import Geometry, fine_shifts, thin_geometry
from molre.phantom.head import Head
from molre.phantom.protocol import Kernel, Protocol
from molre.phantom.scanner.couch import add_rest
from molre.phantom.scanner.hardening import RESIDUAL, bone_of, hardened
from molre.phantom.scanner.kernel import image_filter
from molre.phantom.scanner.metal import add_streaks, metal_of
from molre.phantom.scanner.motion import Motion, blur_moving, draw_motion
from molre.phantom.scanner.noise import WATER_PER_MM, level_hu2_mm3, lost, textures
from molre.phantom.scanner.projection import SIDE, Planes, forward, grow, shrink
from molre.phantom.scanner.thickness import fine_slices, slabs, thick
from molre.phantom.series import SeriesSent, draw_series

MARGIN_PX = 6
"""Further than kernels reach."""

LOWEST_HU, HIGHEST_HU = -1024, 3071
"""The 12-bit range of a CT image; what is denser reads as its upper end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """One turn of a scanner about a head.

    Attributes:
        protocol: how the scanner was set.
        geometry: where the slices lie.
        hu: slices without blur in plane and without noise, with what beam and metal do to them.
        lost: variance of the noise relative to that of a usual head, at low resolution.
        motion: of the head.
        seed: of the photons, which all reconstructions share.
        sent: which series the scanner sends.
        thin: the same turn as thin slices, where they are sent.
    """

    protocol: Protocol
    geometry: Geometry
    hu: Float32[np.ndarray, "slices rows columns"]
    lost: Planes
    motion: Motion
    seed: tuple[int, ...]
    sent: SeriesSent
    thin: Scan | None = None

    def reconstruct(self, kernel: Kernel) -> Int16[np.ndarray, "slices rows columns"]:
        """Hounsfield units as a kernel shows them."""
        geometry, size = self.geometry, self.geometry.matrix_px
        image = np.empty(self.hu.shape, np.int16)
        level = level_hu2_mm3(self.protocol, geometry).astype(np.float32)
        outside = geometry.outside() if self.protocol.scanner.padding_hu else None
        photons = textures(kernel, geometry, self.protocol.scanner.spiral, np.random.default_rng(self.seed))
        for first, stop, noise in photons:
            hu = self._blurred(kernel, first, stop)
            hu += noise * np.sqrt(grow(self.lost[..., first:stop] * level[first:stop], size))
            image[first:stop] = np.clip(np.rint(hu), LOWEST_HU, HIGHEST_HU)
            if outside is not None:
                image[first:stop, outside] = LOWEST_HU
        return image

    def _blurred(self, kernel: Kernel, first: int, stop: int) -> Float32[np.ndarray, "slab rows columns"]:
        """Some slices under the kernel; a margin keeps what lies at one edge from showing at the other."""
        size = self.geometry.matrix_px
        wide = fft.next_fast_len(size + MARGIN_PX, real=True)
        before = (wide - size) // 2
        padded = np.pad(self.hu[first:stop], [(0, 0), *[(before, wide - size - before)] * 2], mode="edge")
        spectrum = fft.rfft2(padded, workers=1) * image_filter(kernel, wide, self.geometry.pixel_mm)
        blur_moving(spectrum, self.motion, first, wide, self.geometry.pixel_mm)
        hu = fft.irfft2(spectrum, padded.shape[1:], workers=1)
        return hu[:, before : before + size, before : before + size]


def acquire(head: Head, geometry: Geometry, protocol: Protocol, config: CohortConfig, seed: tuple[int, int]) -> Scan:
    """Scan a head; what the scanner does to it follows from the seed, never from what the head shows, but for metal.

    Args:
        head: with all its tissue painted.
        geometry: where the slices lie.
        protocol: how the scanner is set.
        config: of the cohort.
        seed: of the cohort, and the number of the study.
    """
    rng = np.random.default_rng([*seed, 20])
    scanner = protocol.scanner
    residual = RESIDUAL * scanner.hardening * float(rng.uniform(0.6, 1.4))
    motion = draw_motion(rng, len(geometry.positions_mm), config.motion_fraction)
    hu = thick(head, geometry, scanner.spiral)
    sent = draw_series(config, protocol, seed[1])
    plain = hu.copy() if sent.thin else None
    add_rest(hu, head, geometry, scanner.rest, rng)
    losses = _degrade(hu, head, geometry, residual, rng)
    scan = Scan(protocol=protocol, geometry=geometry, hu=hu, lost=losses, motion=motion, seed=(*seed, 9), sent=sent)
    return scan if plain is None else replace(scan, thin=_thin(scan, head, hu - plain))


def _degrade(
    hu: Float32[np.ndarray, "slices rows columns"],
    head: Head,
    geometry: Geometry,
    residual: float,
    rng: np.random.Generator,
) -> Planes:
    """Add in place what bone and metal do to the rays; returns the variance of the noise behind the head."""
    side_mm = geometry.pixel_mm * geometry.matrix_px / SIDE
    metal, losses = metal_of(head), []
    for first, stop in slabs(len(hu)):
        part = hu[first:stop]
        small = shrink(part)
        losses.append(lost(small, side_mm))
        part += grow(hardened(shrink(bone_of(part)), side_mm, residual), geometry.matrix_px)
        if metal is not None:
            rays = forward(np.maximum(small + 1000, 0) * np.float32(WATER_PER_MM / 1000 * side_mm))
            add_streaks(part, metal[first:stop], rays, geometry.pixel_mm, WATER_PER_MM, rng)
    return np.concatenate(losses, -1)


def _thin(scan: Scan, head: Head, added: Float32[np.ndarray, "slices rows columns"]) -> Scan:
    """The fine slices as a scan of their own, with photons of their own; each drawn back to its place in plane."""
    geometry = thin_geometry(scan.geometry)
    fine = scan.geometry.fine
    hu = np.empty((len(geometry.positions_mm), *added.shape[1:]), np.float32)
    shifts = list(zip(*fine_shifts(fine), strict=True))
    for number, plane in enumerate(added):
        tissue = fine_slices(head, number * fine, (number + 1) * fine)
        for offset, (right, down) in enumerate(shifts):
            hu[number * fine + offset] = _shifted(_shifted(tissue[offset], right, 1), down, 0) + plane
    motion = Motion(
        **{name: np.repeat(getattr(scan.motion, name), fine, axis=0) for name in ("shift_mm", "start", "jerk")}
    )
    return replace(scan, geometry=geometry, hu=hu, lost=np.repeat(scan.lost, fine, axis=-1), motion=motion,
                   seed=(*scan.seed[:2], 24))  # fmt: skip


def _shifted(
    plane: Float32[np.ndarray, "rows columns"], pixels: float, axis: int
) -> Float32[np.ndarray, "rows columns"]:
    """The image moved by part of a pixel, between its neighbours in a line: a shift of its phases would ring."""
    share = np.float32(abs(pixels))
    return plane * (1 - share) + np.roll(plane, 1 if pixels > 0 else -1, axis) * share

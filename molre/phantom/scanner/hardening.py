"""Bands and shades that are left where bone hardens the beam more than the correction for water expects."""

from __future__ import annotations

import numpy as np

from molre.phantom.scanner.noise import BONE_FROM_HU, WATER_PER_MM
from molre.phantom.scanner.projection import Planes, forward, reconstruct

RESIDUAL = 0.1
"""By what share of the square of a ray's attenuation in bone the ray seems too bright, with usual corrections: the
posterior fossa darkens by 5-10 HU between the petrous bones, the rim of the brain brightens by some 3 HU."""

LIFT_HU = 22.0
"""What that adds to the middle of a brain at a share of 1, measured on phantoms; scanners are calibrated for it."""


def hardened(bone: Planes, side_mm: float, residual: float) -> Planes:
    """What hardening adds to slices, HU.

    The first-order error of a ray that is corrected for water is the square of its path through bone (Joseph and Spital
    1978, J Comput Assist Tomogr 2:100). Reconstructed, it gives the dark bar across the pons, shades between other
    dense bones, and a cup of brighter brain under the vault.

    Args:
        bone: by how much slices exceed ``BONE_FROM_HU``.
        side_mm: of a pixel.
        residual: share of the square that is left by the scanner's own correction.
    """
    rays = forward(bone * np.float32(WATER_PER_MM / 1000 * side_mm))
    added = reconstruct(np.float32(-residual) * rays * rays) * np.float32(1000 / WATER_PER_MM / side_mm)
    return added - np.float32(LIFT_HU * residual)


def bone_of(hu: np.ndarray) -> np.ndarray:
    """By how much voxels exceed soft tissue."""
    return np.maximum(hu - np.float32(BONE_FROM_HU), 0)

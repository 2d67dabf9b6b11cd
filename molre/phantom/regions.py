"""The parts of any head CT, synthetic or real, found by its Hounsfield units alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import ndimage

from molre.phantom.shapes import Number

STEP_MM = (2.0, 1.0, 1.0)
"""Distance of voxels in the volume that regions are found in."""
BONE_HU, SKIN_HU = 180.0, -250.0
SOFT_HU = (-15.0, 130.0)
"""What can be brain or fluid in it."""
NECK_MM = 6.0
"""Half-width of the foramina that brain is cut off at."""
CANAL_MM2 = 1500.0
"""Area of a slice of the cavity below which it is the spinal canal and no longer the skull's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """Slices of a head CT from feet to head, without their tilt.

    Attributes:
        hu: Hounsfield units.
        height_mm: position of each slice along their normal, rising.
        pixel_mm: spacing in plane.
    """

    hu: Float32[np.ndarray, "slices rows columns"]
    height_mm: Float64[np.ndarray, "slices"]
    pixel_mm: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Regions:
    """Parts of a head on the even grid of ``STEP_MM``.

    Attributes:
        hu: the scan on that grid, a little smoothed in plane.
        height_mm: of each slice.
        head: all within the skin.
        cavity: within the inner table, down to the foramen magnum.
        depth_mm: distance of the cavity's voxels from its wall.
        top_mm: height of the cavity's vertex.
    """

    hu: Float32[np.ndarray, "slices rows columns"]
    height_mm: Float64[np.ndarray, "slices"]
    head: Bool[np.ndarray, "slices rows columns"]
    cavity: Bool[np.ndarray, "slices rows columns"]
    depth_mm: Float32[np.ndarray, "slices rows columns"]
    top_mm: float

    def below_top(self, nearest_mm: Number, furthest_mm: Number) -> Bool[np.ndarray, "slices 1 1"]:
        """Slices between two distances below the cavity's vertex."""
        below = self.top_mm - self.height_mm
        return ((below >= nearest_mm) & (below <= furthest_mm))[:, None, None]


def regions_of(scan: Scan) -> Regions:
    """Find head and cavity.

    The cavity is the largest body of soft tissue that is left when all within 6 mm of bone and air is taken away, which
    cuts it off at the foramina, grown back by as much.
    """
    hu, height_mm = _even(scan)
    head = largest(ndimage.binary_opening(hu > SKIN_HU, iterations=2))
    head = np.stack([_filled(one, 6) for one in head])
    soft = (hu > SOFT_HU[0]) & (hu < SOFT_HU[1]) & head
    core = largest(distance_mm(soft) > NECK_MM)
    cavity = soft & (distance_mm(~core) < NECK_MM + 0.5)
    cavity = ndimage.binary_closing(np.pad(cavity, 6), iterations=3)[6:-6, 6:-6, 6:-6]
    cavity = np.stack([ndimage.binary_fill_holes(one) for one in cavity])
    wide = np.flatnonzero(cavity.sum((1, 2)) * STEP_MM[1] * STEP_MM[2] > CANAL_MM2)
    cavity[: wide[0]] = False
    inside = np.flatnonzero(cavity.any((1, 2)))
    return Regions(
        hu=hu,
        height_mm=height_mm,
        head=head,
        cavity=cavity,
        depth_mm=distance_mm(cavity),
        top_mm=float(height_mm[inside[-1]]),
    )


def largest(mask: Bool[np.ndarray, "a b c"]) -> Bool[np.ndarray, "a b c"]:
    """The largest connected part."""
    part, count = ndimage.label(mask)
    return part == 1 + int(np.argmax(np.bincount(part.ravel(), minlength=count + 2)[1:]))


def distance_mm(mask: Bool[np.ndarray, "a b c"]) -> Float32[np.ndarray, "a b c"]:
    """Distance of each voxel of a mask from the outside."""
    return ndimage.distance_transform_edt(mask, sampling=STEP_MM).astype(np.float32)


def millilitres(mask: Bool[np.ndarray, "a b c"]) -> float:
    """Volume of a mask on the even grid."""
    return float(mask.sum() * np.prod(STEP_MM) / 1000)


def _filled(mask: Bool[np.ndarray, "rows columns"], reach: int) -> Bool[np.ndarray, "rows columns"]:
    closed = ndimage.binary_closing(np.pad(mask, reach + 2), iterations=reach)
    return ndimage.binary_fill_holes(closed)[reach + 2 : -reach - 2, reach + 2 : -reach - 2]


def _even(scan: Scan) -> tuple[Float32[np.ndarray, "slices rows columns"], Float64[np.ndarray, "slices"]]:
    factor = scan.pixel_mm / STEP_MM[1]
    sigma_px = max(0.4 / factor - 0.2, 0.0)
    plane = np.stack([ndimage.zoom(ndimage.gaussian_filter(one, sigma_px), factor, order=1) for one in scan.hu])
    height_mm = np.arange(scan.height_mm[0], scan.height_mm[-1] + 1e-6, STEP_MM[0])
    low = np.clip(np.searchsorted(scan.height_mm, height_mm, side="right") - 1, 0, len(scan.hu) - 2)
    share = (height_mm - scan.height_mm[low]) / (scan.height_mm[low + 1] - scan.height_mm[low])
    share = share.astype(np.float32)[:, None, None]
    return plane[low] * (1 - share) + plane[low + 1] * share, height_mm

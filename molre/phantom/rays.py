"""Thickness of skull and scalp along rays from the middle of a head CT's slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import ndimage

from molre.phantom.regions import Regions, Scan

EDGE_HU, MARROW_HU, AIR_HU = 350.0, 120.0, -400.0
"""Where bone begins, what no bone of the vault falls below, and where the skin ends."""
STEP_MM = 0.25
REACH_MM = 130.0
AZIMUTHS_DEG = np.arange(0.0, 360.0, 2.0)
"""Directions of the rays: 0 to the front, 90 to the patient's left, 180 to the back."""
PLACES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "frontal": ((12.0, 40.0), (30.0, 70.0)),
    "parietal": ((75.0, 125.0), (20.0, 55.0)),
    "temporal": ((75.0, 105.0), (70.0, 92.0)),
    "occipital": ((145.0, 170.0), (55.0, 90.0)),
}
"""Angle off the midline, degrees, and distance below the cavity's vertex, mm; the midline's crests are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rays:
    """What rays met, one entry a ray that crossed the vault.

    Attributes:
        azimuth_deg: angle off the midline, 0 to the front.
        below_mm: distance of the slice below the cavity's vertex.
        skull_mm: thickness of the bone, at a right angle to its outer surface within the slice.
        scalp_mm: thickness of what covers it.
        tables_hu: greatest HU of the outer and of the inner half of the bone, the lesser of the two.
        diploe_hu: least HU of the middle third of the bone.
    """

    azimuth_deg: Float64[np.ndarray, "n"]
    below_mm: Float64[np.ndarray, "n"]
    skull_mm: Float64[np.ndarray, "n"]
    scalp_mm: Float64[np.ndarray, "n"]
    tables_hu: Float64[np.ndarray, "n"]
    diploe_hu: Float64[np.ndarray, "n"]

    def at(self, place: str) -> Bool[np.ndarray, "n"]:
        """Rays through a named part of the vault."""
        angles, levels = PLACES[place]
        return _within(self.azimuth_deg, angles) & _within(self.below_mm, levels)


def rays_of(scan: Scan, regions: Regions) -> Rays:
    """Send rays through all slices from 20 to 92 mm below the vertex of the cavity."""
    found = [
        _slice(scan, regions, number, regions.top_mm - height)
        for number, height in enumerate(scan.height_mm)
        if 20 <= regions.top_mm - height <= 92
    ]
    columns = np.concatenate(found, axis=1)
    names = ("azimuth_deg", "below_mm", "skull_mm", "scalp_mm", "tables_hu", "diploe_hu")
    return Rays(**dict(zip(names, columns, strict=True)))


def _within(values: Float64[np.ndarray, "n"], limits: tuple[float, float]) -> Bool[np.ndarray, "n"]:
    return (values >= limits[0]) & (values <= limits[1])


def _slice(scan: Scan, regions: Regions, number: int, below_mm: float) -> Float64[np.ndarray, "6 n"]:
    """A row for each field of ``Rays``."""
    level = int(np.argmin(np.abs(regions.height_mm - scan.height_mm[number])))
    rows, columns = np.nonzero(regions.cavity[level])
    size = regions.cavity.shape[1]
    # The even grid's first and last pixel are those of the scan.
    scale = (scan.hu.shape[1] - 1) / (size - 1)
    profiles, inside = _profiles(
        scan.hu[number], regions.head[level], float(rows.mean() * scale), float(columns.mean() * scale), scan.pixel_mm
    )
    met = [_met(profile[:last]) for profile, last in zip(profiles, inside, strict=True)]
    outer_mm = np.array([one[1] for one in met])
    cosine = _cosine(outer_mm)
    off_midline = np.minimum(AZIMUTHS_DEG, 360 - AZIMUTHS_DEG)
    table = [
        (angle, below_mm, (one[1] - one[0]) * c, (one[2] - one[1]) * c, one[3], one[4])
        for angle, one, c in zip(off_midline, met, cosine, strict=True)
        if c > 0.8 and 1 < one[1] - one[0] < 25
    ]
    return np.array(table, float).reshape(-1, 6).T


def _profiles(
    hu: Float32[np.ndarray, "rows columns"],
    head: Bool[np.ndarray, "r c"],
    row: float,
    column: float,
    pixel_mm: float,
) -> tuple[Float32[np.ndarray, "rays steps"], list[int]]:
    """HU along each ray, and how many of its steps lie within the head."""
    radius_px = np.arange(0, REACH_MM, STEP_MM) / pixel_mm
    angle = np.deg2rad(AZIMUTHS_DEG)[:, None]
    place = np.stack([row - np.cos(angle) * radius_px, column + np.sin(angle) * radius_px])
    profiles = ndimage.map_coordinates(hu, place, order=1, mode="constant", cval=-1000.0)
    factor = (head.shape[0] - 1) / (hu.shape[0] - 1)
    # Two millimetres more, so that the skin's own edge is on the profile; a head rest is further off.
    within = ndimage.map_coordinates(ndimage.binary_dilation(head, iterations=2), place * factor, order=0)
    return profiles, [int(np.argmin(one)) if not one.all() else one.size for one in within]


def _met(profile: Float32[np.ndarray, "steps"]) -> tuple[float, float, float, float, float]:
    """Inner edge, outer edge, skin in mm from the middle, HU of tables and diploe; zeros where no bone was met."""
    bone = np.flatnonzero(profile > EDGE_HU)
    if not bone.size:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    outer = int(bone[-1])
    soft = np.flatnonzero(profile[:outer] < MARROW_HU)
    inner = int(bone[bone > (soft[-1] if soft.size else 0)][0])
    skin = int(np.flatnonzero(profile > AIR_HU)[-1])
    run = profile[inner : outer + 1]
    third = len(run) // 3
    tables = min(run[: len(run) // 2 + 1].max(), run[len(run) // 2 :].max())
    diploe = run[third : len(run) - third].min()
    return inner * STEP_MM, (outer + 1) * STEP_MM, (skin + 1) * STEP_MM, float(tables), float(diploe)


def _cosine(outer_mm: Float64[np.ndarray, "rays"]) -> Float64[np.ndarray, "rays"]:
    """Cosine between each ray and the normal of the skull's outline, from the outline's slope over some degrees."""
    smooth = ndimage.gaussian_filter1d(outer_mm, 2.0, mode="wrap")
    slope = (np.roll(smooth, -1) - np.roll(smooth, 1)) / (2 * np.deg2rad(AZIMUTHS_DEG[1]))
    return np.where(outer_mm > 0, smooth / np.hypot(smooth, slope + 1e-9), 0.0)

"""What can be measured on any head CT, synthetic or real, to compare them by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import ndimage, optimize

from molre.phantom.grain import grain_of
from molre.phantom.rays import PLACES, Rays, rays_of
from molre.phantom.regions import STEP_MM, Regions, Scan, largest, millilitres, regions_of
from molre.phantom.study import PhantomStudy
from molre.volume import Stack, turned

FLUID_HU = 19.0
"""Halfway between fluid and white matter."""
PADDING_HU = -1023.5
"""What scanners write beside the round field of view is no air."""
UPPER_MM = 85.0
"""Distance below the cavity's vertex down to which skull and field leave out nothing of any head."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A line of the comparison.

    Attributes:
        key: name in what ``measured`` returns.
        title: with its unit.
        expected: what the literature gives for adults.
        source: of ``expected``.
        shape: whether it says something of a scan without true HU and noise, such as an average of many.
    """

    key: str
    title: str
    expected: str
    source: str = ""
    shape: bool = False


_OSBORN = "Osborn's Brain, 2nd ed., 2018"
_PROKOP = "Prokop and Galanski 2003, ch. 5"
_LYNNERUP = "Lynnerup 2001, Forensic Sci Int 117:45"
_FARKAS = "Farkas 1994, Anthropometry of the Head and Face"
MEASURES: tuple[Measure, ...] = (
    Measure(key="grey_hu", title="grey matter, HU", expected="35–41", source=_OSBORN),
    Measure(key="white_hu", title="white matter, HU", expected="25–32", source=_OSBORN),
    Measure(key="contrast_hu", title="grey less white, HU", expected="6–12", source=_OSBORN),
    Measure(key="tenth_hu", title="brain without fluid, 10th percentile, HU", expected="22–28"),
    Measure(key="ninetieth_hu", title="brain without fluid, 90th percentile, HU", expected="34–40"),
    Measure(key="fluid_hu", title="ventricular fluid, HU", expected="0–15", source=_OSBORN),
    Measure(key="fat_hu", title="subcutaneous fat, HU", expected="−120 to −80", source=_PROKOP),
    Measure(key="muscle_hu", title="muscle, HU", expected="45–70", source=_PROKOP),
    Measure(key="tables_hu", title="tables, 95th percentile, HU", expected="1,000–1,900", source=_PROKOP),
    Measure(key="diploe_hu", title="diploe where the skull is thick, HU", expected="300–1,000", source=_PROKOP),
    Measure(key="air_hu", title="air beside the head, HU", expected="−1,000"),
    Measure(key="noise_hu", title="noise, HU", expected="2.5–5"),
    Measure(key="noise_peak", title="noise, peak of the spectrum, 1/mm", expected="0.1–0.4"),
    Measure(key="noise_mean", title="noise, mean frequency, 1/mm", expected="0.25–0.5"),
    Measure(key="noise_limit", title="noise, a tenth of the peak at, 1/mm", expected="0.5–0.8"),
    Measure(key="texture_hu", title="structure of brain at 4 mm, HU", expected=""),
    Measure(key="frontal_mm", title="skull, frontal, mm", expected="5–9", source=_LYNNERUP),
    Measure(key="parietal_mm", title="skull, parietal, mm", expected="4–8", source=_LYNNERUP),
    Measure(key="temporal_mm", title="skull, temporal, mm", expected="2.5–5", source=_LYNNERUP),
    Measure(key="occipital_mm", title="skull, occipital, mm", expected="5–10", source=_LYNNERUP),
    Measure(key="scalp_mm", title="scalp, upper half of the vault, mm", expected="4–9"),
    Measure(key="cavity_ml", title="intracranial volume, ml", expected="1,150–1,750",
            source="Courchesne 2000, Radiology 216:672", shape=True),
    Measure(key="brain_share", title="brain's share of the upper cavity, %", expected="75–95", shape=True),
    Measure(key="ventricles_ml", title="lateral and third ventricles, ml", expected="10–60",
            source="Scahill 2003, Arch Neurol 60:989", shape=True),
    Measure(key="breadth_mm", title="skull breadth, mm", expected="130–160", source=_FARKAS, shape=True),
    Measure(key="length_mm", title="skull length, mm", expected="160–200", source=_FARKAS, shape=True),
    Measure(key="index", title="breadth over length, %", expected="72–88", source=_FARKAS, shape=True),
)  # fmt: skip


def scan_of(stack: Stack) -> Scan:
    """A series as it was read, its slices in order and its tilt left out."""
    planes = turned(stack)
    return Scan(
        hu=np.asarray(planes.hu, np.float32),
        height_mm=planes.first_mm[:, 2].copy(),
        pixel_mm=float(planes.pixel_mm[0]),
    )


def scan_of_phantom(study: PhantomStudy) -> Scan:
    """A phantom in the same form."""
    geometry = study.geometry
    return Scan(
        hu=study.hu.astype(np.float32),
        height_mm=geometry.positions_mm @ geometry.normal,
        pixel_mm=geometry.pixel_mm,
    )


def measured(scan: Scan) -> dict[str, float]:
    """All of ``MEASURES``; not a number where the scan does not show what is measured."""
    regions = regions_of(scan)
    grain = grain_of(scan)
    return {
        **_brain(regions),
        **_outside(scan, regions),
        **_skull(rays_of(scan, regions)),
        **_volumes(regions),
        "noise_hu": grain.deviation_hu,
        "noise_peak": grain.peak_per_mm,
        "noise_mean": grain.mean_per_mm,
        "noise_limit": grain.limit_per_mm,
    }


def two_peaks(values: Float32[np.ndarray, "n"]) -> tuple[float, float]:
    """Means of white and grey matter: two Gaussians fitted to the histogram of brain."""
    counts, edges = np.histogram(values, np.arange(15, 55, 0.5), density=True)
    middle = (edges[1:] + edges[:-1]) / 2
    centre = float(np.median(values))
    start = (0.06, centre - 4, 2.5, 0.06, centre + 4, 2.5)
    low, high = (0, 18, 1, 0, 28, 1), (1, 38, 6, 1, 50, 6)
    (_, white, _, _, grey, _), _ = optimize.curve_fit(_sum_of_two, middle, counts, p0=start, bounds=(low, high))
    return float(min(white, grey)), float(max(white, grey))


def _sum_of_two(
    x: Float64[np.ndarray, "n"], a: float, m: float, s: float, b: float, n: float, t: float
) -> Float64[np.ndarray, "n"]:
    return a * np.exp(-(((x - m) / s) ** 2) / 2) + b * np.exp(-(((x - n) / t) ** 2) / 2)


def _brain(regions: Regions) -> dict[str, float]:
    smooth = _smoothed(regions.hu, 1.0)
    other = ndimage.binary_dilation((smooth < FLUID_HU) | (smooth > 55), iterations=2)
    brain = regions.cavity & (regions.depth_mm > 6) & ~other & regions.below_top(25, UPPER_MM)
    white, grey = two_peaks(smooth[brain])
    low, high = np.percentile(smooth[brain], (10, 90))
    fluid = ndimage.binary_erosion(ventricles(regions), iterations=1)
    return {
        "grey_hu": grey,
        "white_hu": white,
        "contrast_hu": grey - white,
        "tenth_hu": float(low),
        "ninetieth_hu": float(high),
        "fluid_hu": _median(regions.hu[fluid]),
        "texture_hu": float(np.subtract(*np.percentile(_smoothed(regions.hu, 4.0)[brain], (75, 25))) / 1.349),
    }


def _smoothed(hu: Float32[np.ndarray, "s r c"], sigma_mm: float) -> Float32[np.ndarray, "s r c"]:
    return ndimage.gaussian_filter(hu, (0, sigma_mm / STEP_MM[1], sigma_mm / STEP_MM[2]))


def ventricles(regions: Regions) -> Bool[np.ndarray, "s r c"]:
    """Fluid deeper than 24 mm and near the midline that is wider than a furrow, above the basal cisterns."""
    fluid = (_smoothed(regions.hu, 1.0) < FLUID_HU) & (regions.depth_mm > 24) & regions.below_top(25, UPPER_MM)
    middle = float(np.nonzero(regions.cavity)[2].mean())
    fluid &= np.abs(np.arange(fluid.shape[2]) - middle) * STEP_MM[2] < 40
    fluid = ndimage.binary_opening(fluid, np.ones((1, 3, 3), bool))
    part, count = ndimage.label(fluid)
    sizes = np.bincount(part.ravel(), minlength=count + 1) * np.prod(STEP_MM) / 1000
    sizes[0] = 0
    return (sizes > 0.4)[part]


def _outside(scan: Scan, regions: Regions) -> dict[str, float]:
    beyond = regions.head & ~regions.cavity
    muscle = beyond & (regions.hu > 20) & (regions.hu < 90)
    deep = ndimage.binary_erosion(muscle, iterations=2)
    fat = beyond & (regions.hu > -150) & (regions.hu < -40)
    edge_px = max(int(6 / scan.pixel_mm), 4)
    beside = scan.hu[len(scan.hu) // 2 :, edge_px : 4 * edge_px, 24 : scan.hu.shape[2] - 24]
    return {
        "fat_hu": _median(regions.hu[ndimage.binary_erosion(fat, np.ones((1, 3, 3), bool))]),
        "muscle_hu": _median(regions.hu[deep]),
        "air_hu": _median(beside[beside > PADDING_HU]),
    }


def _skull(rays: Rays) -> dict[str, float]:
    thick = (rays.skull_mm > 6) & (rays.below_mm < UPPER_MM)
    upper = rays.below_mm < 55
    return {
        **{f"{place}_mm": _median(rays.skull_mm[rays.at(place)]) for place in PLACES},
        "scalp_mm": _median(rays.scalp_mm[upper]),
        "tables_hu": float(np.percentile(rays.tables_hu[upper], 95)) if upper.any() else float("nan"),
        "diploe_hu": _median(rays.diploe_hu[thick]),
    }


def _volumes(regions: Regions) -> dict[str, float]:
    upper = regions.cavity & regions.below_top(0, UPPER_MM)
    brain = upper & (_smoothed(regions.hu, 1.0) > FLUID_HU)
    bone = np.any(largest((regions.hu > 250) & regions.below_top(20, 75)), axis=0)
    columns, rows = np.flatnonzero(np.any(bone, axis=0)), np.flatnonzero(np.any(bone, axis=1))
    breadth, length = float(np.ptp(columns) + 1) * STEP_MM[2], float(np.ptp(rows) + 1) * STEP_MM[1]
    return {
        "cavity_ml": millilitres(regions.cavity),
        "brain_share": float(100 * brain.sum() / upper.sum()),
        "ventricles_ml": millilitres(ventricles(regions)),
        "breadth_mm": breadth,
        "length_mm": length,
        "index": 100 * breadth / length,
    }


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float("nan")

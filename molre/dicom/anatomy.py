"""What a glance at the tissue says against the header: no head, or one that stands on its vertex."""

from __future__ import annotations

import math
import statistics

import numpy as np
from jaxtyping import Bool, Float64, Int, Int16
from scipy import ndimage

from molre.dicom.codes import refusal, repair
from molre.headbox import TISSUE_HU

LEAST_FIELD_MM = 120.0
"""Narrower fields show jaws, ears or eyes; a newborn's head is 100 mm wide and scanned in fields of 150 mm and more."""

HEAD_END_MM = 160.0
"""Upper end of a scan in which a head must lie: vertex to skull base."""

LONG_MM = 350.0
"""A scan longer than this goes on below the neck; the tallest head with its neck is shorter."""

BODY_MM2 = 40_000.0
"""Tissue area that no head reaches: a large one, 175 mm by 230 mm, has 32,000."""

BODY_FIELD_MM = 300.0
"""Bodies are scanned in wider fields than this, heads in narrower ones, mostly of 200 to 250 mm."""

HEAD_MM2 = 28_000.0
"""Tissue area without its air spaces that needs no second look."""

COARSE_MM = 8.0
"""Pixel size at which areas are measured: a head's has some 300 of them."""

TAPER_MM = 8.0
"""A vertex grows from nothing to its cut-off over more than this; an empty slice below a full one does not."""

CLOSED, CUT = 0.25, 0.6
"""Share of the largest area below which an end of the scan closes, and above which it is cut through."""

_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)

Hu = Int16[np.ndarray, "n rows cols"]
Heights = Float64[np.ndarray, " n"]


def check_head(hu: Hu, heights_mm: Heights, pixel_mm: tuple[float, float]) -> list[str]:
    """Notes on how much of the patient was scanned.

    Args:
        hu: slices from the feet to the head, as the header has it.
        heights_mm: their places along the normal.
        pixel_mm: distance between rows and between columns.

    Raises:
        Rejection: GEO_FOV, the tissue at the upper end is too wide for a head; GEO_UPSIDE_DOWN, the lower end closes as
            a vertex does, and the upper one is cut through.
    """
    chosen = _sample(heights_mm)
    areas_mm2 = _areas(_tissue(hu, chosen, pixel_mm), pixel_mm)
    _check_width(hu, heights_mm, pixel_mm, chosen, areas_mm2)
    if _seems_upside_down(areas_mm2) and _is_upside_down(hu, heights_mm, pixel_mm):
        raise refusal("GEO_UPSIDE_DOWN")
    length_mm = float(heights_mm[-1] - heights_mm[0])
    field_mm = min(step * count for step, count in zip(pixel_mm, hu.shape[1:], strict=True))
    is_whole = length_mm <= LONG_MM and field_mm >= LEAST_FIELD_MM
    return [] if is_whole else [repair("GEO_FOV", length_mm=length_mm, field_mm=field_mm)]


def _sample(heights_mm: Heights, most: int = 8) -> Int[np.ndarray, " m"]:
    """A few slices of the whole and a few of the upper end, both ends among them."""
    last, count = len(heights_mm) - 1, min(max(len(heights_mm) // 8, 4), most)
    end = int(np.searchsorted(heights_mm, heights_mm[-1] - HEAD_END_MM))
    places = {start + round((last - start) * part / (count - 1)) for start in (0, end) for part in range(count)}
    return np.array(sorted(places))


def _tissue(hu: Hu, chosen: Int[np.ndarray, " m"], pixel_mm: tuple[float, float]) -> Bool[np.ndarray, "m low wide"]:
    rows, columns = (max(1, round(COARSE_MM / step)) for step in pixel_mm)
    return hu[:, ::rows, ::columns][chosen] > TISSUE_HU


def _areas(tissue: Bool[np.ndarray, "m low wide"], pixel_mm: tuple[float, float]) -> Float64[np.ndarray, " m"]:
    """Area of the largest piece of tissue in each slice: table and holder beside the head do not count."""
    labels, _ = ndimage.label(tissue, _IN_PLANE)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    area_mm2 = math.prod(step * max(1, round(COARSE_MM / step)) for step in pixel_mm)
    return sizes[labels].max(axis=(1, 2)) * area_mm2


def _check_width(
    hu: Hu,
    heights_mm: Heights,
    pixel_mm: tuple[float, float],
    chosen: Int[np.ndarray, " m"],
    areas_mm2: Float64[np.ndarray, " m"],
) -> None:
    """Refuses a body without a head at its upper end; its lungs count as part of it."""
    if max(step * count for step, count in zip(pixel_mm, hu.shape[1:], strict=True)) < BODY_FIELD_MM:
        return
    upper = heights_mm[chosen] >= heights_mm[-1] - HEAD_END_MM
    if statistics.median(areas_mm2[upper].tolist()) <= HEAD_MM2:
        return
    whole = [ndimage.binary_fill_holes(plane) for plane in _tissue(hu, chosen[upper], pixel_mm)]
    if np.median(_areas(np.array(whole), pixel_mm)) > BODY_MM2:
        raise refusal("GEO_FOV")


def _seems_upside_down(areas_mm2: Float64[np.ndarray, " m"]) -> bool:
    largest = areas_mm2.max()
    return bool(areas_mm2[0] < CLOSED * largest and areas_mm2[-1] > CUT * largest)


def _is_upside_down(hu: Hu, heights_mm: Heights, pixel_mm: tuple[float, float]) -> bool:
    """A closer look, at more slices: whether the areas grow steadily from the lower end on."""
    chosen = np.unique(np.linspace(0, len(hu) - 1, 64).round().astype(int))
    areas_mm2, heights_mm = _areas(_tissue(hu, chosen, pixel_mm), pixel_mm), heights_mm[chosen]
    largest = areas_mm2.max()
    rise = areas_mm2[: int(areas_mm2.argmax()) + 1]
    starts, ends = (heights_mm[int(np.argmax(rise > share * largest))] for share in (0.02, CUT))
    return bool(np.all(np.diff(rise) >= -0.1 * largest) and ends - starts >= TAPER_MM)

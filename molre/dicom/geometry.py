"""Where the slices of a series lie: order, step, tilt, and what forbids a volume."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from molre.dicom.codes import refusal, repair
from molre.volume import MAX_OBLIQUE_DEG

LEAST_SLICES = 3
SAME_DIRECTION_DEG = 0.5
"""Two slices further apart in angle than this are not parallel: at 100 mm from the centre half a degree is 0.9 mm."""

SAME_PLACE_MM = 0.02
"""Slices closer than this lie at one position; the finest step in use is 0.25 mm."""

MISSING_RATIO = 1.5
"""A step this much longer than the steps on both sides of it is a gap."""

MAX_BRIDGED_MM = 6.0
"""Widest gap that is interpolated across: no wider than the steps of an ordinary thick-slice scan, of 5 to 6 mm."""

REGULAR_RATIO, REGULAR_MM = 0.01, 0.1
"""Steps that differ by less than both are even."""

SPACING_RATIO = 0.05
"""Part by which a stated distance between slices may differ from the true one, as writers round it."""

ANISOTROPY, FAR_FROM_SQUARE, SQUARE = 1.05, 1.5, 1.05
"""Ratios of pixel sides and of field sides: CT has square pixels and square fields. A field far from square that
exchanged pixel sides make square has them exchanged."""

LEAST_TILT_DEG = 0.5
SIDEWAYS_MM = 250.0
"""Half a CT's field: slices of a scan no longer than this lie no further beside one another."""

FARTHEST_MM = 10_000.0
"""Positions further from the scanner's origin are no positions: tables travel two metres."""

PIXEL_RANGE_MM = (0.01, 20.0)
"""Pixel spacings that could be meant; those of CT lie between 0.1 and 2 mm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The order and the measures of a stack of parallel slices.

    Attributes:
        order: indices of the slices from the feet to the head; of several at one place, all, one after another.
        heights_mm: position of each along the normal, in that order.
        tilt_deg: angle between the normal and the line that the slices move along, 0 without a gantry tilt; positive
            where the back of a slice is lowered, as GE and Siemens count it.
    """

    order: Int[np.ndarray, " n"]
    heights_mm: Float64[np.ndarray, " n"]
    tilt_deg: float


def normal_of(orientation: tuple[float, ...]) -> Float64[np.ndarray, "3"]:
    """Unit normal of a plane, pointing to the head.

    Raises:
        Rejection: GEO_BAD_ORIENTATION.
    """
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.any(np.abs(lengths - 1) > 0.01) or abs(row @ column) > 0.01:
        raise refusal("GEO_BAD_ORIENTATION")
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    return normal if normal[2] >= 0 else -normal


@functools.lru_cache  # nearly all slices of a series share theirs
def is_axial(orientation: tuple[float, ...]) -> bool:
    """Whether the plane is nearer to axial than to coronal or sagittal."""
    return bool(normal_of(orientation)[2] >= np.cos(np.radians(MAX_OBLIQUE_DEG)))


@functools.lru_cache
def same_direction(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    """Whether two planes have parallel rows and parallel columns."""
    cosine = np.cos(np.radians(SAME_DIRECTION_DEG))
    one, other = np.reshape(first, (2, 3)), np.reshape(second, (2, 3))
    return bool(np.all(np.sum(one * other, axis=1) >= cosine))


def lay_out(positions_mm: Float64[np.ndarray, "n 3"], orientation: tuple[float, ...]) -> Layout:
    """Slices in order along their normal; instance numbers play no part.

    Raises:
        Rejection: GEO_TOO_FEW_SLICES, fewer than three places; GEO_TILT, they lie askew; ENC_BAD_VALUE, a position that
            cannot be.
    """
    if np.abs(positions_mm).max() > FARTHEST_MM:
        raise refusal("ENC_BAD_VALUE")
    normal = normal_of(orientation)
    heights_mm = positions_mm @ normal
    order = np.argsort(heights_mm, kind="stable")
    heights_mm = heights_mm[order]
    places = 1 + int(np.count_nonzero(np.diff(heights_mm) > SAME_PLACE_MM))
    if places < LEAST_SLICES:
        raise refusal("GEO_TOO_FEW_SLICES", count=places, least=LEAST_SLICES)
    beside = positions_mm - np.outer(positions_mm @ normal, normal)
    sideways_mm = float(np.linalg.norm(beside - beside[order[0]], axis=1).max())
    if sideways_mm > max(SIDEWAYS_MM, heights_mm[-1] - heights_mm[0]):
        raise refusal("GEO_TILT", sideways_mm=sideways_mm)
    travel = positions_mm[order[-1]] - positions_mm[order[0]]
    along = float(travel @ normal)
    across = along * normal - travel
    tilt_deg = np.degrees(np.arctan2(np.linalg.norm(across), along))
    return Layout(order=order, heights_mm=heights_mm, tilt_deg=float(np.copysign(tilt_deg, across[1])))


def check_steps(heights_mm: Float64[np.ndarray, " n"]) -> list[str]:
    """What is uneven in the steps between slices, as repairs; nothing for even ones.

    Raises:
        Rejection: GEO_MISSING_SLICE, a gap is too wide to be bridged.
    """
    steps = np.diff(heights_mm)
    usual = _usual_steps(steps)
    gaps = steps > MISSING_RATIO * usual
    if np.any(gaps & (steps > MAX_BRIDGED_MM)):
        worst = int(np.argmax(np.where(gaps, steps, 0)))
        raise refusal("GEO_MISSING_SLICE", gap_mm=steps[worst], step_mm=usual[worst])
    if gaps.any():
        return [repair("GEO_MISSING_SLICE", count=int(gaps.sum()), gap_mm=steps[gaps].max())]
    spread = steps.max() - steps.min()
    if spread > max(REGULAR_RATIO * np.median(steps), REGULAR_MM):
        return [repair("GEO_IRREGULAR_STEP", least_mm=steps.min(), most_mm=steps.max())]
    return []


def _usual_steps(steps: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The step to expect at each place: the larger of what is usual just below and just above.

    The larger, because protocols change from fine to coarse steps midway, which is no gap.
    """
    usual = np.empty_like(steps)
    for index in range(len(steps)):
        sides = [steps[max(index - 2, 0) : index], steps[index + 1 : index + 3]]
        usual[index] = max(statistics.median(side.tolist()) for side in sides if len(side))
    return usual


def tilt_repairs(tilt_deg: float) -> list[str]:
    """The note that a gantry tilt is undone, if there is one."""
    return [repair("GEO_TILT", tilt_deg=abs(tilt_deg))] if abs(tilt_deg) >= LEAST_TILT_DEG else []


def spacing_repairs(
    stated_mm: Iterable[float | None], positions_mm: Float64[np.ndarray, "n 3"], heights_mm: Float64[np.ndarray, " n"]
) -> list[str]:
    """The note that the header states another distance between slices than their positions have, if it does.

    Along the normal and along the way of the table are both right, and so is each of several steps.

    Args:
        stated_mm: Spacing Between Slices of each slice; its sign has no meaning for CT.
        positions_mm: of the slices, in order.
        heights_mm: the same along the normal.
    """
    steps = np.diff(heights_mm)
    true_mm = np.concatenate([steps, np.linalg.norm(np.diff(positions_mm, axis=0), axis=1)])
    for number in sorted({abs(number) for number in stated_mm if number}):
        if np.all(np.abs(true_mm - number) > max(SPACING_RATIO * number, REGULAR_MM)):
            return [repair("GEO_SPACING_CONFLICT", stated_mm=number, step_mm=float(np.median(steps)))]
    return []


def check_pixels(pixel_mm: tuple[float, float], shape: tuple[int, int]) -> None:
    """Refuses pixels whose height and width are exchanged, as the form of the field tells.

    Raises:
        Rejection: GEO_ANISO_SWAP.
    """
    (row_mm, column_mm), (rows, columns) = pixel_mm, shape
    if (
        _ratio(row_mm, column_mm) > ANISOTROPY
        and _ratio(rows * row_mm, columns * column_mm) > FAR_FROM_SQUARE
        and _ratio(rows * column_mm, columns * row_mm) <= SQUARE
    ):
        raise refusal("GEO_ANISO_SWAP")


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def pixel_mm_of(pixel_mm: tuple[float, ...] | None) -> tuple[float, float]:
    """Distance between rows and between columns.

    Raises:
        Rejection: GEO_SPACING_CONFLICT, absent or not of a CT.
    """
    low, high = PIXEL_RANGE_MM
    if pixel_mm is None or not all(low <= step <= high for step in pixel_mm):
        raise refusal("GEO_SPACING_CONFLICT")
    return pixel_mm[0], pixel_mm[1]

"""Fractures of the face: walls of the orbit, cheekbone, nose, maxilla."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.basilar import Corner, course, rift
from molre.phantom.lesions.fracture import split
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.sinus import SINUS, airy, pool
from molre.phantom.shapes import Point, ramp
from molre.phantom.tissue import FAT, T

KEY = ["facial_or_orbital_fracture"]
Cracks = tuple[tuple[tuple[Corner, ...], Corner], ...]

CHEEK: Cracks = (
    (((56, -76), (44, -64)), (-44, -18)),
    (((62, -64), (58, -56)), (-68, -52)),
    (((74, -40), (66, -42)), (-68, -52)),
    (((72, -12), (64, -14)), (-66, -50)),
    (((38, -86), (34, -76)), (-78, -56)),
    (((50, -62), (40, -54)), (-82, -58)),
)
"""Lines through arch, frontal process and the maxilla's walls on the left: (x, y) and the heights between them."""
JAW: Cracks = (
    (((18, -96), (9, -86)), (-66, -36)),
    (((38, -88), (32, -76)), (-84, -56)),
    (((46, -66), (36, -56)), (-84, -56)),
    (((24, -92), (18, -82)), (-84, -58)),
    (((34, -50), (26, -44)), (-84, -58)),
)
"""Lines through the walls of the maxillary antrum."""
NOSE: Cracks = (
    (((8, -108), (1, -98)), (-52, -34)),
    (((14, -98), (8, -90)), (-60, -36)),
    (((-8, -104), (-1, -98)), (-50, -36)),
)
"""Lines through the nasal bones and the frontal process of the maxilla."""


@lesion("facial_or_orbital_fracture")
def facial(case: Case) -> Paint:
    """One of the forms of ``FORMS`` on one side."""
    sign = case.side()[1]
    if case.chance(0.5) and case.body.impact[1] < 0.2:
        sign = 1 if case.body.impact[0] > 0 else -1
    return FORMS[case.kind()](case, sign)


def _blow_out(case: Case, sign: int) -> Paint:
    """Fat that bulges through the medial wall into the ethmoid, with fragments at its edge and blood about it."""
    size = case.size_mm()
    centre = (sign * (13.5 - 0.25 * size), case.uniform(-76, -60), case.uniform(-44, -37))
    return _hernia(case, sign, centre, (0.75, 1.3, 1.0), size, "ethmoid")


def _floor(case: Case, sign: int) -> Paint:
    """Fat that hangs through the floor into the maxillary antrum like a drop, and blood behind it."""
    size = case.size_mm()
    centre = (sign * case.uniform(25, 33), case.uniform(-76, -66), -58.0 - 0.2 * size)
    floor = _hernia(case, sign, centre, (1.0, 1.25, 0.85), size, "maxillary")
    if not case.chance(0.5):
        return floor
    wall = _blow_out(case, sign)

    def paint(head: Head) -> None:
        floor(head)
        wall(head)

    return paint


def _hernia(case: Case, sign: int, centre: Point, stretch: Point, size: float, sinus: str) -> Paint:
    case.body.claims.add(SINUS)
    muscle = case.severity > 0.5 and case.chance(0.5)
    share, blood = case.graded(0.15, 0.7), case.uniform(38, 60)
    turn = case.uniform(0, 6.3)

    def paint(head: Head) -> None:
        pool(head, airy(head, sinus, sign), share, blood, [SINUS])
        index, depth = head.ball(centre, size, stretch=stretch, rough=0.12)
        walled = head.at(sinus, "face_bone", "orbital_wall", "nasal")[index]
        weight = ramp(depth) * walled
        hu = np.float32(FAT) + 8 * head.noise[index]
        if muscle:
            hu = np.where(depth > 0.55 * size, np.float32(45), hu)
        head.paint(index, weight, hu.astype(np.float32), "fat", KEY)
        # Fragments of the wall ride on the fat.
        angle = np.arctan2(head.z[index] - np.float32(centre[2]), head.y[index] - np.float32(centre[1]))
        chips = (np.sin(3 * angle + np.float32(turn)) > 0.1) & walled
        shell = ramp(np.float32(0.6) - np.abs(depth + np.float32(0.3))) * chips
        head.paint(index, shell.astype(np.float32), 480.0, "bone", KEY)

    return paint


@dataclass(frozen=True, kw_only=True, slots=True)
class Shove:
    """Bone that has been moved: what was ``by_mm`` away along ``vector`` now lies about ``centre``."""

    centre: Point
    vector: Point
    reach_mm: float


def _cracked(case: Case, sign: int, cracks: Cracks, antrum: bool, shove: Shove | None) -> Paint:
    """Some of a form's lines, more of them the more severe it is, moved bone, and blood in the antrum."""
    count = max(2, round(case.graded(1.6, len(cracks))))
    # The first of a form's lines lies high enough for any head scan.
    chosen = [cracks[0], *(cracks[1 + int(i)] for i in case.rng.permutation(len(cracks) - 1)[: count - 1])]
    width, hu = case.graded(0.9, 2.6), case.hu()
    lines = [(course(case, points, sign, 40.0), heights) for points, heights in chosen]
    slants = case.rng.uniform(-0.25, 0.25, len(lines))
    share, blood = case.graded(0.12, 0.75), case.uniform(38, 60)
    if antrum:
        case.body.claims.add(SINUS)

    def paint(head: Head) -> None:
        if shove is not None:
            _shoved(head, shove)
        for (path, heights), slant in zip(lines, slants, strict=True):
            index, weight = rift(head, path, heights, width, float(slant))
            outside = (head.inner[index] < -1.5) & head.bone[index]
            split(head, index, weight * outside, hu, KEY)
        if antrum:
            pool(head, airy(head, "maxillary", sign), share, blood, [SINUS])

    return paint


def _shoved(head: Head, shove: Shove) -> None:
    """Move bone: copy each voxel from where its tissue was, fading with the distance from the centre."""
    box = [np.abs(a - np.float32(c)) < 1.6 * shove.reach_mm for a, c in zip(head.still, shove.centre, strict=True)]
    index = np.flatnonzero(box[0] & box[1] & box[2] & (head.inner < -2) & (head.skin > 1.2))
    away = sum((a[index] - np.float32(c)) ** 2 for a, c in zip(head.still, shove.centre, strict=True))
    share = np.clip(1.4 - np.sqrt(away) / np.float32(shove.reach_mm), 0, 1)
    source = _nearest(head, index, share, shove.vector)
    hu, tissue, bone = head.hu[source], head.tissue[source], head.bone[source]
    # Where air would come in from outside of the head, fat is drawn along.
    bare = tissue == T["air"]
    hu[bare], tissue[bare] = FAT, T["fat"]
    changed = index[(bone | head.bone[index]) & (np.abs(hu - head.hu[index]) > 150)]
    head.hu[index], head.tissue[index], head.bone[index] = hu, tissue, bone
    head.mark(changed, KEY)


def _nearest(
    head: Head, index: Int64[np.ndarray, "m"], share: Float32[np.ndarray, "m"], vector: Point
) -> Int64[np.ndarray, "m"]:
    """The voxel nearest to where each voxel's tissue was before it moved by a share of a vector."""
    _slices, rows, columns = head.shape
    flat = head.where[index]
    z, plane = np.divmod(flat, rows * columns)
    y, x = np.divmod(plane, columns)
    step = _step_mm(head)
    x = x - np.rint(share * np.float32(vector[0] / step[0])).astype(np.int64)
    y = y - np.rint(share * np.float32(vector[1] / step[1])).astype(np.int64)
    wanted = (z * rows + np.clip(y, 0, rows - 1)) * columns + np.clip(x, 0, columns - 1)
    found = np.clip(np.searchsorted(head.where, wanted), 0, len(head.where) - 1)
    return np.where(head.where[found] == wanted, found, index)


def _step_mm(head: Head) -> tuple[float, float]:
    """How far apart neighbours in a row and in a column lie in the standard head, mm."""
    columns = head.shape[2]
    flat = head.where
    right = np.flatnonzero(np.diff(flat) == 1)[:2000]
    below = np.searchsorted(flat, flat[right] + columns)
    below = np.clip(below, 0, len(flat) - 1)
    there = flat[below] == flat[right] + columns
    across = float(np.median(np.abs(head.still[0][right + 1] - head.still[0][right])))
    down = float(np.median(np.abs(head.still[1][below[there]] - head.still[1][right[there]])))
    return max(across, 0.2), max(down, 0.2)


def _zygoma(case: Case, sign: int) -> Paint:
    by = case.graded(0.0, 6.0)
    if case.chance(0.35):
        arch = Shove(centre=(sign * 71.0, -30.0, -60.0), vector=(-sign * (1.5 + by), 0.0, 0.0), reach_mm=12.0)
        return _cracked(case, sign, CHEEK[1:4], False, arch)
    body = Shove(centre=(sign * 54.0, -68.0, -58.0), vector=(-sign * 0.7 * by, 0.7 * by, 0.0), reach_mm=17.0)
    return _cracked(case, sign, CHEEK, True, body)


def _nasal(case: Case, sign: int) -> Paint:
    by = case.graded(1.0, 6.0)
    aside = Shove(centre=(sign * 3.0, -106.0, -46.0), vector=(sign * by, 0.4 * by, 0.0), reach_mm=13.0)
    return _cracked(case, sign, NOSE, False, aside)


def _maxilla(case: Case, sign: int) -> Paint:
    by = case.graded(0.0, 4.0)
    wall = Shove(centre=(sign * 34.0, -84.0, -70.0), vector=(0.0, by, 0.0), reach_mm=11.0)
    return _cracked(case, sign, JAW, True, wall)


FORMS: dict[str, Callable[[Case, int], Paint]] = {
    "medial_wall": _blow_out, "floor": _floor, "zygoma": _zygoma, "nasal": _nasal, "maxilla": _maxilla,
}  # fmt: skip
"""Each form of the table's ``kinds`` and what draws it."""

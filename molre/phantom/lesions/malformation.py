"""Brains that formed differently (Osborn's Brain, 2nd ed., 2018, part 6)."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.herniation import KEY as HERNIATION
from molre.phantom.lesions.herniation import descend
from molre.phantom.lesions.registry import lesion
from molre.phantom.shapes import Coordinates, Field, Point, capsule, ellipsoid, ramp, tube, union

KEY = "congenital_malformation"


@lesion(KEY, slot="ventricles")
def malformation(case: Case) -> Paint:
    """One of several malformations."""
    return _KINDS[case.kind()](case)


def _mirrored(head: Head, index: np.ndarray) -> Coordinates:
    return np.abs(head.x[index]), head.y[index], head.z[index]


def _within(head: Head, low: Point, high: Point) -> np.ndarray:
    """Voxels inside the skull in a box, x on both sides."""
    box = (head.skull > 1) & (np.abs(head.x) < high[0])
    for a, first, last in ((head.y, low[1], high[1]), (head.z, low[2], high[2])):
        box &= (a > first) & (a < last)
    return np.flatnonzero(box)


def _fluid(head: Head, index: np.ndarray, depth: Field) -> np.ndarray:
    return head.paint(index, ramp(depth), head.body.csf_hu, "csf", [KEY])


def _brain(head: Head, index: np.ndarray, depth: Field, kind: str) -> None:
    hu = head.body.white_hu if kind == "white" else head.body.grey_hu
    head.paint(index, ramp(depth), np.float32(hu) + 0.5 * head.noise[index], kind)
    head.ventricular[index[depth > 0]] = False


def callosal_agenesis(case: Case) -> Paint:
    """No callosum: lateral ventricles lie apart and parallel, wide behind; the third rises between them."""
    horn, apart = case.graded(7.5, 13), case.uniform(15, 19)
    partial = case.chance(0.35 - 0.25 * case.severity)
    rise, front = case.graded(12, 26), -2.0 if partial else -42.0

    def paint(head: Head) -> None:
        index = _within(head, (0, -60, -8), (44, 70, 40))
        at = _mirrored(head, index)
        if not partial:
            _brain(head, index, np.minimum(head.ventricle[index] + np.float32(max(head.body.ventricle_mm)) + 2,
                                           np.minimum(24 - at[1], at[2] - 2)), "white")  # fmt: skip
        parallel = tube(at, ((apart - 2, front, 12, 2.2), (apart, -12, 18, 3.4), (apart + 2, 14, 19, 5),
                             (apart + 8, 34, 12, horn), (apart + 9, 48, 8, 0.75 * horn)))  # fmt: skip
        width = 3.4 * (1 - ((at[1] + 10) / 34) ** 2) * np.clip((rise + 4 - at[2]) / 14, 0, 1)
        cleft = np.minimum(np.minimum(width - at[0], at[1] - front), rise - at[2])
        _fluid(head, index, np.maximum(parallel, np.minimum(cleft, at[2] + 4)).astype(np.float32))

    return paint


def dandy_walker(case: Case) -> Paint:
    """A cyst behind a small vermis that opens into the fourth ventricle; a large cistern alone would be normal."""
    size = case.graded(0.7, 1.15)
    if case.severity > 0.6:
        case.body.ventricle_mm = [each + 2.0 for each in case.body.ventricle_mm]

    def paint(head: Head) -> None:
        index = _within(head, (0, 10, -72), (50, 95, -8))
        at = _mirrored(head, index)
        middle = 72 - 8 * size
        cyst = ellipsoid(at, (0, middle, -44), (32 * size, 22 * size, 20 * size))
        stalk = capsule(at, (0, 28, -34), (0, middle, -42), 6 * size, 12 * size)
        cyst = union(cyst, stalk, 6)
        below = head.at("cerebellum", "none", "midline")[index] & (head.z[index] < -12)
        _fluid(head, index, np.where(below, cyst + 1.2 * head.noise[index], -9).astype(np.float32))

    return paint


def schizencephaly(case: Case) -> Paint:
    """A cleft lined with grey matter from the surface to the ventricle of one side."""
    sign, y, z = case.side()[1], case.uniform(-22, 18), case.uniform(14, 34)
    outer, inner = case.graded(1.8, 12), case.graded(1.0, 4.0)
    lining = case.uniform(3.5, 5.5)

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.skull > 0) & (head.x * sign > 6) & (np.abs(head.y - y) < 40) & (head.z > -20))
        at = (head.x[index] * np.float32(sign), head.y[index], head.z[index])
        cleft = capsule(at, (11, y, 17), (66, 1.1 * y, z + 6), inner, outer) + 1.2 * head.noise[index]
        free = ~head.ventricular[index]
        _brain(head, index, np.where(free & (cleft < 1), cleft + lining, -9).astype(np.float32), "grey")
        _fluid(head, index, cleft.astype(np.float32))
        head.mark(index[(cleft > -lining) & free], [KEY])

    return paint


def absent_septum(case: Case) -> Paint:
    """No septum pellucidum: the frontal horns are one box with a flat roof."""
    wide = case.graded(0.4, 3.0)
    case.body.ventricle_mm = [each + wide for each in case.body.ventricle_mm]

    def paint(head: Head) -> None:
        index = _within(head, (0, -50, -4), (24, 14, 30))
        at = _mirrored(head, index)
        box = ellipsoid(at, (0, -18, 11 + 0.3 * wide), (9.5 + wide, 25, 9 + 0.5 * wide), 3.0)
        roof = 15 + 0.2 * (at[1] + 30) + wide - at[2]
        _fluid(head, index, (np.minimum(box, roof) + 0.5 * head.noise[index]).astype(np.float32))

    return paint


def holoprosencephaly(case: Case) -> Paint:
    """Frontal lobes joined across the midline before one wide ventricle without a septum."""
    bridge, wide = case.graded(14, 34), case.graded(10, 17)

    def paint(head: Head) -> None:
        index = _within(head, (0, -80, -14), (40, 30, 52))
        at = _mirrored(head, index)
        joined = np.minimum(np.minimum(14 - at[0], -22 - at[1]), np.minimum(bridge + 12 - at[2], at[1] + 46 + bridge))
        kind = np.where(head.tissue_is("csf", "dura", "grey")[index], joined, -9)
        _brain(head, index, np.minimum(kind, at[2] + 10).astype(np.float32), "white")
        single = ellipsoid(at, (0, -14, 14), (1.9 * wide, 26, 0.8 * wide), 2.4) + 0.8 * head.noise[index]
        single = union(single, head.ventricle[index] + np.float32(1 + 0.15 * wide), 8)
        _fluid(head, index, single.astype(np.float32))
        head.mark(index[joined > 2], [KEY])

    return paint


def heterotopia(case: Case) -> Paint:
    """Nodules of grey matter that line the lateral ventricles."""
    count, rng = int(case.graded(3, 9)), case.rng
    sides = (1, -1) if case.chance(0.6) else (case.side()[1],)
    large = case.graded(2.6, 5.0)
    nodules = [
        (sign * float(rng.uniform(0, 1)), float(rng.uniform(-34, 34)), large * float(rng.uniform(0.8, 1.2)))
        for sign in sides
        for _ in range(count)
    ]

    def paint(head: Head) -> None:
        for turn, y, radius in nodules:
            _nodule(head, 1 if turn > 0 else -1, abs(turn), y, radius)

    return paint


def _nodule(head: Head, sign: int, turn: float, y: float, radius: float) -> None:
    """A nodule on the outer wall of a lateral ventricle, at a height by ``turn``."""
    wall = np.flatnonzero(head.ventricular & (head.x * sign > 3) & (np.abs(head.y - y) < 1.5) & (head.z > 4))
    if not len(wall):
        return
    height = np.quantile(head.z[wall], 0.25 + 0.6 * turn)
    level = wall[np.abs(head.z[wall] - height) < 2]
    edge = float(np.abs(head.x[level]).max()) if len(level) else 14.0
    index, depth = head.ball((sign * edge, y, float(height)), radius, rough=0.2)
    hu = np.float32(head.body.grey_hu + 1)
    head.paint(index, ramp(depth), hu + 0.5 * head.noise[index], "grey", [KEY])


def chiari(case: Case) -> Paint:
    """Tonsils that hang through the foramen magnum from a posterior fossa that is too small."""
    case.body.claims.add(HERNIATION)
    case.body.fourth_mm -= case.graded(0.2, 0.8)
    drawn = descend(case, case.graded(7, 18), case.graded(0.6, 1.0))

    def paint(head: Head) -> None:
        drawn(head)
        head.mark(np.concatenate(head.marks.get(HERNIATION, [np.zeros(0, int)])), [KEY])

    return paint


_KINDS = {
    "callosal_agenesis": callosal_agenesis,
    "dandy_walker": dandy_walker,
    "schizencephaly": schizencephaly,
    "absent_septum": absent_septum,
    "holoprosencephaly": holoprosencephaly,
    "heterotopia": heterotopia,
    "chiari": chiari,
}

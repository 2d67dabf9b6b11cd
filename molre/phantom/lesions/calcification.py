"""Chalk in nuclei, nodules, meninges and the walls of arteries."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.course import box_about, stretch
from molre.phantom.lesions.registry import lesion, mimic, pick
from molre.phantom.ripple import Ripple, draw_ripple
from molre.phantom.shapes import Point, ramp, tube

NUCLEI: dict[str, tuple[Point, Point]] = {
    "pallidum": ((20, -13, -1), (0.62, 1.55, 0.95)),
    "putamen": ((26, -17, 2), (0.55, 2.3, 1.3)),
    "caudate": ((13, -29, 8), (0.6, 1.3, 1.0)),
    "thalamus": ((11, 4, 7), (0.8, 1.4, 0.9)),
    "dentate": ((15, 42, -38), (1.1, 1.0, 0.8)),
}
"""Middle (x positive) and stretch of the nuclei that calcify."""


def _chalk(
    head: Head, centre: Point, radius: float, shape: Point, grain: Ripple, fill: float, hu: float, keys: list[str]
) -> None:
    """Crumbs of chalk in a ball; ``fill`` -1 leaves a few crumbs, 1 nearly all of it."""
    index, depth = head.ball(centre, radius, stretch=shape, rough=0.25)
    at = (head.x[index], head.y[index], head.z[index])
    crumbs = (grain(at) + np.float32(fill)) * np.float32(1.2)
    weight = ramp(np.minimum(depth, crumbs).astype(np.float32), 1.6) * (head.inner[index] > 0)
    value = np.maximum(np.float32(hu) * (1 + np.float32(0.15) * head.noise[index]), head.hu[index])
    head.paint(index, weight, value, "calcification", keys)


def _density(case: Case) -> float:
    """A density of the table's range that rises with severity, give or take a fifth."""
    low, high = case.entry.hu
    return float(np.clip(case.graded(low, 0.8 * high) * case.uniform(0.8, 1.25), low, high))


@lesion("basal_ganglia_calcification")
def ganglia(case: Case) -> Paint:
    """Both pallida, alike but not the same; in severe cases all deep nuclei and the dentate nuclei."""
    hu = _density(case)
    radius, fill = case.size_mm() / 2, case.graded(-0.3, 1.1)
    names = ["pallidum"]
    if case.severity > 0.72:
        names += [name for name, share in (("putamen", 0.8), ("caudate", 0.7), ("thalamus", 0.5), ("dentate", 0.6))
                  if case.chance(share)]  # fmt: skip
    parts = [(name, sign, case.uniform(0.75, 1.15), case.rng.normal(0, 1.0, 3), draw_ripple(case.rng, 4, 11))
             for name in names for sign in (1, -1)]  # fmt: skip

    def paint(head: Head) -> None:
        for name, sign, size, moved, grain in parts:
            (x, y, z), shape = NUCLEI[name]
            centre = (sign * x + moved[0], y + moved[1], z + moved[2])
            _chalk(head, centre, radius * size, shape, grain, fill, hu, ["basal_ganglia_calcification"])

    return paint


@lesion("other_intracranial_calcification")
def calcification(case: Case) -> Paint:
    """Single or scattered nodules in brain, nodules on the ventricles' walls, or a band along the cortex."""
    place = case.place()
    hu = _density(case)
    if place == "gyral":
        return _gyral(case, hu)
    count = 1 if place == "single" else int(case.rng.integers(3, 5 + round(9 * case.severity)))
    radius = case.size_mm() / 2 * (1.15 if place == "single" else 0.75)
    sites = [(_site(case, place), max(1.3, radius * case.uniform(0.6, 1.15))) for _ in range(count)]

    def paint(head: Head) -> None:
        for centre, size in sites:
            index, depth = head.ball(centre, size, rough=0.22)
            inside = head.inner[index] > 0.5
            value = np.float32(hu) * (1 + np.float32(0.12) * head.noise[index])
            head.paint(index, ramp(depth) * inside, value, "calcification", ["other_intracranial_calcification"])

    return paint


def _site(case: Case, place: str) -> Point:
    if place == "subependymal":
        sign = case.side()[1]
        t = case.uniform(0, 1)
        # Along the outer wall of the lateral ventricle from the foramen of Monro to the atrium.
        return sign * (11 + 9 * t), -24 + 44 * t + case.uniform(-2, 2), 12 + 8 * np.sin(t * 3) + case.uniform(-2, 2)
    return pick(case.rng, (10, -70, -10), (58, 70, 62), (3, 32))


def _gyral(case: Case, hu: float) -> Paint:
    """Tram lines in the cortex of one posterior lobe, as in Sturge-Weber syndrome or after an old infarct."""
    _, sign = case.side()
    y, z = case.uniform(44, 72), case.uniform(0, 34)
    reach, grain = case.graded(11, 32), draw_ripple(case.rng, 12, 30)

    def paint(head: Head) -> None:
        index = head.near((sign * 34.0, y, z), 1.0, (34, reach, reach))
        index = index[(head.skull[index] > 0) & (head.skull[index] < 24) & head.tissue_is("grey")[index]]
        at = (head.x[index], head.y[index], head.z[index])
        near = reach - np.hypot(at[1] - np.float32(y), at[2] - np.float32(z)) + 5 * grain(at)
        # The middle of the ribbon, whose density is that of grey matter alone.
        ribbon = np.clip((head.hu[index] - np.float32(head.body.grey_hu - 3)) / 3, 0, 1)
        weight = ramp(near.astype(np.float32), 4.0) * ribbon * np.float32(0.8)
        head.paint(index, weight.astype(np.float32), hu, "calcification", ["other_intracranial_calcification"])

    return paint


WALLS = {
    "siphon": ((13, -10, -38, 2.4), (10, -18, -33, 2.4), (9.5, -21, -28, 2.3), (12, -17, -22, 2.2)),
    "vertebral": ((10, 22, -70, 1.8), (6, 10, -58, 1.8), (0.5, 0, -46, 1.8)),
    "basilar": ((0, -0.5, -46, 1.9), (0, -3.5, -36, 1.8), (0, -5.5, -24, 1.8)),
}
"""Outer walls of arteries, (x, y, z, radius), x positive."""


@lesion("intracranial_atherosclerosis")
def atherosclerosis(case: Case) -> Paint:
    """Patches or tram lines of chalk in the walls of carotid siphons and vertebral arteries."""
    hu = _density(case)
    thick, patchy = case.graded(0.7, 1.8), case.graded(-0.9, 0.8)
    place, only = case.place(), case.side()[1]
    names = ("siphon", "vertebral", "basilar") if place == "all" else (place,)
    signs = (1, -1) if case.severity > 0.35 or case.chance(0.5) else (only,)
    parts = []
    for name in names:
        for sign in signs if name != "basilar" else (1,):
            course = stretch(WALLS[name], case.uniform(0, 8), case.size_mm() * case.uniform(0.8, 1.2))
            parts.append((course, sign, draw_ripple(case.rng, 7, 18), patchy + case.uniform(-0.3, 0.3)))

    def paint(head: Head) -> None:
        for course, sign, patches, share in parts:
            index = box_about(head, course, sign)
            at = (head.x[index] * np.float32(sign), head.y[index], head.z[index])
            wall = np.float32(thick / 2 + 0.25) - np.abs(tube(at, course))
            wall = np.minimum(wall, (patches(at) + np.float32(share)) * 2)
            weight = ramp(wall.astype(np.float32)) * (head.inner[index] > -7) * ~head.tissue_is("bone")[index]
            value = np.maximum(np.float32(hu), head.hu[index])
            head.paint(index, weight, value, "calcification", ["intracranial_atherosclerosis"])

    return paint


@mimic("pallidal_density")
def pallidal_density(case: Case) -> Paint:
    """Pallida a little denser than usual at old age, with no chalk in them."""
    rise = case.hu() - case.body.grey_hu

    def paint(head: Head) -> None:
        for sign in (1, -1):
            (x, y, z), shape = NUCLEI["pallidum"]
            index, depth = head.ball((sign * x, y, z), 4.0, stretch=shape, rough=0.2)
            grey = head.tissue_is("grey")[index]
            head.hu[index] += np.float32(rise) * ramp(depth, 3.0) * grey

    return paint

"""Fractures of the skull base and of the temporal bone, and the blood in the spaces that they open."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.fracture import gap, split
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.sinus import EAR, SINUS, airy, fill_ear, pool
from molre.phantom.lesions.vault import Path, from_path
from molre.phantom.shapes import Number

Corner = tuple[Number, Number]

COURSES: dict[str, tuple[tuple[Corner, ...], Corner]] = {
    "anterior": (((26, -96), (18, -80), (11, -62), (5, -44), (0, -30)), (-46, -8)),
    "central": (((62, -30), (44, -34), (26, -36), (10, -30), (-10, -26)), (-58, -22)),
    "clivus": (((20, 4), (8, -2), (0, -4), (-9, -1), (-20, 5)), (-66, -34)),
    "occipital": (((34, 88), (27, 72), (20, 58), (14, 48), (10, 40)), (-70, -22)),
}
"""Lines in the horizontal plane, on the left side: (x, y) in mm, and the heights between which they run."""
OPENED: dict[str, tuple[str, ...]] = {
    "anterior": ("ethmoid", "frontal"),
    "central": ("sphenoid",),
    "clivus": ("sphenoid",),
}
"""Sinuses that a course may open."""
PETROUS: dict[str, tuple[Corner, ...]] = {
    "longitudinal": ((74, 34), (62, 26), (50, 16), (42, 8), (30, -2), (20, -8)),
    "transverse": ((44, 34), (38, 22), (34, 10), (30, -2), (27, -12)),
    "oblique": ((70, 14), (56, 16), (44, 15), (36, 8), (26, 2)),
}
"""Lines through the left temporal bone: along the pyramid through the middle ear, across it through the labyrinth."""


def course(case: Case, points: tuple[Corner, ...], sign: int, length_mm: float) -> Path:
    """A part of a line, its corners scattered, mirrored to a side."""
    base = np.array(points, float)
    run = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(base, axis=0).T))])
    length = min(length_mm, float(run[-1]))
    start = case.uniform(0.0, float(run[-1]) - length)
    at = np.linspace(start, start + length, max(3, int(length / 6)))
    line = np.stack([np.interp(at, run, base[:, axis]) for axis in (0, 1)], -1)
    line += case.rng.normal(0, 1.1, line.shape) + case.rng.normal(0, 2.0, 2)
    return [(float(x) * sign, float(y)) for x, y in line]


def rift(
    head: Head, path: Path, heights_mm: Corner, width_mm: float, slant: float
) -> tuple[Int64[np.ndarray, "m"], Float32[np.ndarray, "m"]]:
    """Voxels near an upright crack over a line in the horizontal plane, and the share of it in each."""
    low, high = np.min(path, axis=0) - 5, np.max(path, axis=0) + 5
    x, y, z = head.still
    box = (z > heights_mm[0]) & (z < heights_mm[1]) & (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    index = np.flatnonzero(box)
    lean = np.float32(slant) * (z[index] - np.float32(sum(heights_mm) / 2)) + np.float32(0.4) * head.noise[index]
    away, along = from_path(x[index] + lean, y[index], path)
    fade = np.clip(np.minimum(z[index] - heights_mm[0], heights_mm[1] - z[index]) / 3, 0, 1)
    return index, gap(away, along, width_mm) * fade


def _heights(case: Case, heights_mm: Corner, length_mm: float) -> Corner:
    """The part of a course's heights that a crack of a length takes."""
    low, high = heights_mm
    tall = min(high - low, 12 + 0.5 * length_mm)
    start = case.uniform(low, high - tall)
    return start, start + tall


@lesion("skull_base_fracture")
def skull_base(case: Case) -> Paint:
    """A line through the floor of a fossa; blood in the sinuses that it opens."""
    place, sign = case.place(), case.side()[1]
    points, heights = COURSES[place]
    length, hu = case.size_mm(), case.hu()
    path = course(case, points, sign, length)
    heights = _heights(case, heights, length)
    width, slant = case.graded(1.0, 2.4), case.uniform(-0.12, 0.12)
    opened = [name for name in OPENED.get(place, ()) if case.chance(0.25 + 0.65 * case.severity)]
    share, blood = case.graded(0.2, 0.85), case.uniform(40, 62)
    both = case.chance(0.5)
    if opened:
        case.body.claims.add(SINUS)

    def paint(head: Head) -> None:
        split(head, *rift(head, path, heights, width, slant), hu, ["skull_base_fracture"])
        for name in opened:
            for each in (sign, -sign) if both else (sign,):
                pool(head, airy(head, name, each), share, blood, [SINUS])

    return paint


@lesion("temporal_bone_fracture")
def temporal(case: Case) -> Paint:
    """A line along or across the pyramid; blood in the mastoid cells and the middle ear of that side."""
    sign, kind = case.side()[1], case.kind()
    # The blow decides the side.
    sign = (1 if case.body.impact[0] > 0 else -1) if case.chance(0.7) else sign
    path = course(case, PETROUS[kind], sign, case.size_mm())
    width, slant, hu = case.graded(1.0, 2.6), case.uniform(-0.15, 0.15), case.hu()
    bleeds = case.chance(0.35 + 0.6 * case.severity)
    reach, blood, middle = case.graded(8, 30), case.uniform(35, 60), case.chance(0.7)
    if bleeds:
        case.body.claims.add(EAR)

    def paint(head: Head) -> None:
        split(head, *rift(head, path, (-66.0, -26.0), width, slant), hu, ["temporal_bone_fracture"])
        if bleeds:
            fill_ear(head, sign, (sign * 56.0, 24.0, -50.0), reach, blood, middle, [EAR])

    return paint

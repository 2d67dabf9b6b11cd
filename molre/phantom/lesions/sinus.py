"""Fluid and swollen mucosa where air should be: sinuses, mastoid cells, middle ear."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.lookup import lookup
from molre.phantom.shapes import Point, ramp

SINUS, EAR = "paranasal_sinus_disease", "mastoid_or_middle_ear_effusion"
CENTRES: dict[str, Point] = {
    "maxillary": (30.0, -66.0, -72.0),
    "ethmoid": (7.0, -66.0, -41.0),
    "sphenoid": (8.0, -29.0, -43.0),
    "frontal": (10.0, -92.0, -20.0),
}
"""A point inside of each left sinus."""


def airy(head: Head, name: str, sign: int) -> Int64[np.ndarray, "m"]:
    """Voxels of air in a space of one side."""
    where = head.at(name) & head.tissue_is("air_space") & (head.x * np.float32(sign) > 0)
    return np.flatnonzero(where)


def pool(head: Head, index: Int64[np.ndarray, "m"], share: float, hu: float, keys: list[str]) -> None:
    """Let fluid settle in a space of a patient who lies on the back, up to a share of its depth."""
    if not len(index):
        return
    y = head.still[1][index]
    front, back = float(np.percentile(y, 1)), float(np.percentile(y, 99.5))
    level = back - share * (back - front)
    head.paint(index, ramp(y - np.float32(level)), hu + 2 * head.noise[index], "fluid", keys)


@lesion(SINUS)
def sinus(case: Case) -> Paint:
    """Swollen mucosa, a fluid level, full opacification, a retention cyst or polyps in some of the sinuses."""
    parts = [_in_sinus(case, case.kind(), name, sign) for name, sign in _chosen(case)]

    def paint(head: Head) -> None:
        for part in parts:
            part(head)

    return paint


def _chosen(case: Case) -> list[tuple[str, int]]:
    """Sinuses that are diseased: one, and others the more often the more severe it is; one may lie off the scan."""
    first, sign = case.place(), case.side()[1]
    found = {(first, sign): None}
    if first == "maxillary":
        found[("ethmoid", sign)] = None
    for name in CENTRES:
        for other in (sign, -sign):
            if case.chance(case.graded(0.04, 0.5)):
                found[(name, other)] = None
    return list(found)


def _in_sinus(case: Case, kind: str, name: str, sign: int) -> Paint:
    size, hu = case.size_mm(), case.hu()
    if name == "ethmoid" and kind in ("level", "cyst"):
        kind = "thickened"
    if kind == "level":
        share = case.graded(0.2, 0.75) * case.uniform(0.7, 1.3)
        thick = case.uniform(0.0, 3.0)

        def paint(head: Head) -> None:
            _line(head, name, sign, thick, hu)
            pool(head, airy(head, name, sign), share, hu, [SINUS])

        return paint
    if kind == "opacified":
        return lambda head: _line(head, name, sign, 99.0, hu)
    if kind in ("cyst", "polyp"):
        balls = [_on_wall(case, name, sign, size) for _ in range(1 if kind == "cyst" else int(case.rng.integers(2, 5)))]
        return lambda head: _domes(head, name, sign, balls, hu)
    return lambda head: _line(head, name, sign, size * (0.3 if name == "ethmoid" else 1.0), hu)


def _line(head: Head, name: str, sign: int, thick_mm: float, hu: float) -> None:
    """Mucosa of a thickness that varies along the walls."""
    index = airy(head, name, sign)
    depth = lookup((head.x[index], head.y[index], head.z[index]))["hollow"]
    if name == "ethmoid":
        # Its cells are small: some are full and others free.
        depth = np.float32(1.5) + np.float32(1.6) * head.noise[index]
    wave = 1 + np.float32(0.35) * head.noise[index]
    weight = ramp((np.float32(thick_mm) * wave - depth).astype(np.float32), 1.2)
    head.paint(index, weight, hu + 2 * head.noise[index], "fluid", [SINUS])


def _on_wall(case: Case, name: str, sign: int, size_mm: float) -> tuple[Point, float]:
    """A ball on the wall of a sinus, more often on its floor."""
    way = case.rng.normal(0, 1, 3) - (0, 0, 0.8)
    way /= np.linalg.norm(way)
    steps = np.arange(0, 30, 0.5)[:, None]
    line = np.array(CENTRES[name]) + steps * way
    inside = lookup(tuple(line.T.astype(np.float32)))["hollow"] > 0
    x, y, z = (float(c) for c in line[max(int(np.argmin(inside)) - 1, 0)])
    return (x * sign, y, z), size_mm * case.uniform(0.8, 1.3)


def _domes(head: Head, name: str, sign: int, balls: list[tuple[Point, float]], hu: float) -> None:
    index = airy(head, name, sign)
    depth = np.full(len(index), -9, np.float32)
    for centre, radius in balls:
        away = sum((a[index] - np.float32(c)) ** 2 for a, c in zip((head.x, head.y, head.z), centre, strict=True))
        depth = np.maximum(depth, np.float32(radius) - np.sqrt(away))
    head.paint(index, ramp(depth), hu + head.noise[index], "fluid", [SINUS])


@lesion(EAR)
def mastoid(case: Case) -> Paint:
    """Fluid in some or all mastoid cells, often in the middle ear too, on one side or on both; septa stay."""
    sign = case.side()[1]
    signs = (sign, -sign) if case.chance(0.2 + 0.25 * case.severity) else (sign,)
    parts = [(each, case.size_mm(), case.hu(), case.chance(0.15 + 0.5 * case.severity)) for each in signs]
    start = (case.uniform(54, 61), case.uniform(22, 34), case.uniform(-68, -44))

    def paint(head: Head) -> None:
        for each, reach, hu, middle in parts:
            fill_ear(head, each, (each * start[0], start[1], start[2]), reach, hu, middle, [EAR])

    return paint


def fill_ear(head: Head, sign: int, start: Point, reach_mm: float, hu: float, middle: bool, keys: list[str]) -> None:
    """Fill the mastoid cells within a distance of a point, and the middle ear."""
    index = airy(head, "mastoid_air", sign)
    away = np.sqrt(sum((a[index] - np.float32(c)) ** 2 for a, c in zip((head.x, head.y, head.z), start, strict=True)))
    weight = ramp(np.float32(reach_mm) * (1 + np.float32(0.3) * head.noise[index]) - away, 2.0)
    head.paint(index, weight.astype(np.float32), hu, "fluid", keys)
    if middle:
        tympanum = airy(head, "ear_air", sign)
        tympanum = tympanum[np.abs(head.x[tympanum]) < 50]
        _full(head, tympanum, hu, keys)


def _full(head: Head, index: Int64[np.ndarray, "m"], hu: float, keys: list[str]) -> None:
    full: Float32[np.ndarray, "m"] = np.ones(len(index), np.float32)
    head.paint(index, full, hu, "fluid", keys)

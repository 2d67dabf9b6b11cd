"""Aneurysms and malformations of vessels."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import GIANT_MM, contrast, fill, inside, lump, near, press
from molre.phantom.lesions.registry import lesion, mimic, pick
from molre.phantom.lesions.tumour import SPECKS, calcify
from molre.phantom.shapes import Point, ramp, tube

KEY = ["vascular_malformation"]
FORKS: dict[str, Point] = {
    "anterior_communicating": (1.0, -33.0, -16.0),
    "middle_cerebral_bifurcation": (34.0, -19.0, -11.0),
    "posterior_communicating": (9.0, -11.0, -21.0),
    "basilar_tip": (0.5, -5.0, -20.0),
    "cavernous_carotid": (13.0, -14.0, -31.0),
}
"""Where the arteries of the circle of Willis fork, on the left (Osborn's Brain, 2nd ed., 2018)."""
Coil = list[tuple[float, float, float, float]]


def fork(case: Case, place: str) -> Point:
    """A place of the circle of Willis on a random side, as far off as it differs between people."""
    x, y, z = FORKS[place]
    sign = case.side()[1]
    return sign * x + case.uniform(-1, 1), y + case.uniform(-1.5, 1.5), z + case.uniform(-1, 1)


@lesion("intracranial_aneurysm")
def aneurysm(case: Case) -> Paint:
    """A sac at a fork of the circle of Willis."""
    centre, radius = fork(case, case.place()), case.size_mm()
    solid = lump(case.rng, centre, radius, rough=0.11, stretch=0.18, lobes=(1.2, 2.6))
    hu = contrast(case, case.hu(), case.body.csf_hu)
    hard = radius > 3.5 and case.chance(0.3)
    keys = ["intracranial_aneurysm"]
    if radius >= GIANT_MM:
        keys.append("intracranial_mass_any")
    case.body.claims |= set(keys)
    if radius > 4:
        press(case, centre, radius, 0.7)
    clot = radius > 8 and case.chance(0.6)

    def paint(head: Head) -> None:
        index, depth = fill(head, solid, hu, "vessel", keys, width_mm=1.0)
        room = inside(head, index)
        if clot:
            layer = ramp(np.float32(0.45 * radius) - depth + head.noise[index], 2.0) * (depth > 0) * room
            head.paint(index, layer.astype(np.float32), contrast(case, 62.0), "acute_blood", keys)
        if hard:
            rim = np.minimum(0.9 - np.abs(depth - 0.4), 1.5 * (solid.grain(head, index) - 0.2)).astype(np.float32)
            head.paint(index, ramp(rim) * room, case.uniform(160, 380), "calcification", keys)

    return paint


@lesion("vascular_malformation")
def malformation(case: Case) -> Paint:
    """An arteriovenous malformation, a cavernoma, or a developmental venous anomaly."""
    kind = case.kind()
    if kind == "arteriovenous":
        return _arteriovenous(case)
    return _cavernoma(case) if kind == "cavernoma" else _developmental(case)


def winding(rng: np.random.Generator, centre: Point, radius: float, thick: float, pieces: int) -> Coil:
    """A vessel that wanders within a ball, as points with radii."""
    at, way = rng.normal(0, 0.5, 3), rng.normal(0, 1, 3)
    points: Coil = []
    for _ in range(pieces):
        way = way + rng.normal(0, 1.0, 3) - 0.9 * at
        way /= np.linalg.norm(way)
        at = at + 0.55 * way
        x, y, z = (np.asarray(centre) + radius * at).tolist()
        points.append((x, y, z, thick * float(rng.uniform(0.7, 1.25))))
    return points


def _arteriovenous(case: Case) -> Paint:
    """A tangle of winding vessels, with a wide vein that leaves it towards the surface."""
    radius, rng = case.size_mm(), case.rng
    centre = pick(rng, (12, -60, -6), (54, 64, 54), (6, 30), 0)
    thick = float(np.clip(0.14 * radius, 0.9, 2.3))
    loops = [winding(rng, centre, radius, thick, 9) for _ in range(int(rng.integers(3, 6)))]
    x, y, z = (1.25 * np.asarray(centre)).tolist()
    vein: Coil = [(*centre, 1.5 * thick), (0.9 * x, 0.9 * y, 0.85 * z, 1.7 * thick), (x, y, z + 6, 1.4 * thick)]
    hu, specks = contrast(case, case.hu()), case.chance(0.4)
    dots = lump(rng, centre, 0.8 * radius, rough=0.3)
    case.body.claims |= {SPECKS[0]} if specks else set()

    def paint(head: Head) -> None:
        for vessel in (*loops, vein):
            _vessel(head, centre, 1.6 * radius + 6, vessel, hu)
        if specks:
            calcify(head, dots, case.uniform(120, 260), [*KEY, *SPECKS], -1.5)

    return paint


def _vessel(head: Head, centre: Point, reach: float, points: Coil, hu: float) -> None:
    index = near(head, centre, reach)
    at = (head.still[0][index], head.still[1][index], head.still[2][index])
    head.paint(index, ramp(tube(at, points)) * inside(head, index), hu, "vessel", KEY)


def _cavernoma(case: Case) -> Paint:
    """A small lobed dense spot, mottled with calcium, that displaces nothing."""
    radius = 0.6 * case.size_mm()
    places = ((10, -60, 0), (50, 60, 52), (8, 34)) if case.chance(0.75) else ((1, 4, -42), (24, 60, -22), (8, 60))
    centre = pick(case.rng, places[0], places[1], places[2], 1)
    solid = lump(case.rng, centre, radius, rough=0.16, stretch=0.1, lobes=(3, 5))
    hu, specks = contrast(case, case.hu() + 4), case.chance(0.6)
    case.body.claims |= {SPECKS[0]} if specks else set()

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        value = (hu + 7 * np.clip(solid.grain(head, index), -1.5, 1.5)).astype(np.float32)
        head.paint(index, ramp(depth, 1.5) * inside(head, index), value, "old_blood", KEY)
        if specks:
            calcify(head, solid, case.uniform(100, 200), [*KEY, *SPECKS], -1.0)

    return paint


def _developmental(case: Case) -> Paint:
    """One collecting vein from deep white matter to the surface."""
    centre = pick(case.rng, (16, -50, 6), (40, 50, 46), (14, 30), 2)
    x, y, z = (1.6 * np.asarray(centre)).tolist()
    thick, hu = case.graded(0.9, 1.7), contrast(case, case.hu())
    bend = (0.78 * x + case.uniform(-4, 4), 0.78 * y + case.uniform(-4, 4), 0.8 * z, thick)
    line: Coil = [(*centre, 0.7 * thick), bend, (x, y, z, thick)]

    def paint(head: Head) -> None:
        _vessel(head, centre, 40.0, line, hu)

    return paint


@mimic("tortuous_basilar")
def tortuous_basilar(case: Case) -> Paint:
    """A wide basilar artery that swings to a side and high."""
    sign, thick, hu = case.side()[1], case.size_mm(), case.hu()
    away = sign * case.uniform(4, 10)
    bend = ((0.0, 6.0, -54.0), (away, -2.0, -40.0), (0.6 * away, -5.0, -28.0), (0.0, -5.0, -18.0))
    points = [(x, y, z, thick) for x, y, z in bend]

    def paint(head: Head) -> None:
        index = near(head, (0.0, -2.0, -36.0), 22)
        at = (head.still[0][index], head.still[1][index], head.still[2][index])
        depth = tube(at, points)
        head.paint(index, ramp(depth) * inside(head, index), hu, "vessel")
        wall = np.minimum(0.7 - np.abs(depth - 0.4), 2 * (head.noise[index] - 0.7)).astype(np.float32)
        head.paint(index, ramp(wall) * inside(head, index), 150.0, "calcification")

    return paint

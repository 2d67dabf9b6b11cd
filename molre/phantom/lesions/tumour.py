"""Tumours within the brain: gliomas, lymphoma, metastases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import Lump, contrast, fill, inside, lump, press, swell, vasogenic, weigh
from molre.phantom.lesions.registry import lesion, pick
from molre.phantom.shapes import Point, ramp

KEY = ["intra_axial_tumor"]
SPECKS = ["other_intracranial_calcification"]
BLOOD = ["intraparenchymal_hemorrhage"]
NECROSIS_HU = (13.0, 25.0)
"""Fluid rich in protein and debris (Osborn's Brain, 2nd ed., 2018)."""


@lesion("intra_axial_tumor", slot="mass")
def intra_axial(case: Case) -> Paint:
    """A glioma of one kind or another, or a lymphoma."""
    return _KINDS[case.kind()](case)


def _ring(head: Head, solid: Lump, rim_hu: float, core_hu: float, rim_mm: float, keys: list[str]) -> None:
    """An uneven rim about a dark middle."""
    index, depth = solid.depth(head)
    wall = rim_mm * (1 + np.float32(0.55) * head.noise[index])
    core = ramp(depth - wall, 2.5)
    value = rim_hu + (core_hu - rim_hu) * core + np.float32(1.5) * head.noise[index]
    head.paint(index, ramp(depth, 1.8) * inside(head, index), value.astype(np.float32), "tumour", keys)


def bleed(head: Head, solid: Lump, hu: float, keys: list[str], share: float = 0.0) -> None:
    """Patches of blood in a solid; ``share`` moves from few (-1) to most of it (1)."""
    index, depth = solid.depth(head)
    patch = np.minimum(depth - 1.0, 3 * (head.noise[index] + np.float32(share)))
    head.paint(index, ramp(patch.astype(np.float32), 1.5) * inside(head, index), hu, "acute_blood", keys)


def calcify(head: Head, solid: Lump, hu: float, keys: list[str], share: float = -0.8) -> None:
    """Specks and clumps of calcium in a solid; ``share`` from few (-1.5) to most of it (1)."""
    index, depth = solid.depth(head)
    grain = solid.grain(head, index)
    speck = np.minimum(depth - 1.0, 1.6 * (grain + np.float32(share)))
    value = np.float32(hu) * np.clip(0.7 + np.float32(0.3) * grain, 0.5, 1.6)
    head.paint(index, ramp(speck.astype(np.float32), 1.2) * inside(head, index), value, "calcification", keys)


def _high_grade(case: Case) -> Paint:
    centre = pick(case.rng, (16, -58, -8), (46, 46, 46), (13, 40), 1)
    radius = case.size_mm()
    return _necrotic(case, centre, radius, case.graded(5, 20) * case.uniform(0.8, 1.2), (0.2,))


def _butterfly(case: Case) -> Paint:
    """Across the genu or the splenium, with wings in both hemispheres."""
    front = case.chance(0.6)
    centre = (case.uniform(-6, 6), -44.0 if front else 34.0, case.uniform(8, 20))
    wide = float(case.uniform(1.5, 2.0))
    return _necrotic(case, centre, 0.75 * case.size_mm(), case.graded(4, 12), (wide, 0.75, 0.8))


def _necrotic(case: Case, centre: Point, radius: float, halo: float, stretch: tuple[float, ...]) -> Paint:
    shape = (stretch[0], stretch[1], stretch[2]) if len(stretch) == 3 else stretch[0]
    solid = lump(case.rng, centre, radius, rough=0.13, stretch=shape)
    extent = swell(case, centre, radius, halo)
    rim, core, wall = contrast(case, case.hu() + 2), case.uniform(*NECROSIS_HU), case.uniform(3.5, 7.5)
    blood = case.uniform(55, 70) if case.chance(0.15) and radius > 9 else 0.0
    weigh(case, centre, radius, halo)
    if blood:
        case.body.claims.add(BLOOD[0])

    def paint(head: Head) -> None:
        vasogenic(head, extent, case.uniform(15.5, 19.5), case.graded(0.65, 0.95))
        _ring(head, solid, rim, core, wall, KEY)
        if blood:
            bleed(head, solid, blood, [*KEY, *BLOOD], -0.7)

    return paint


def _low_grade(case: Case) -> Paint:
    """Darker than brain, with a blurred margin; cortex swells with it."""
    centre = pick(case.rng, (18, -58, -8), (52, 40, 46), (9, 28), 1)
    radius = case.size_mm()
    solid = lump(case.rng, centre, radius, rough=0.16, stretch=0.25)
    hu = case.body.white_hu - case.graded(4.0, 9.5)
    specks = case.uniform(110, 220) if case.chance(0.15) else 0.0
    weigh(case, centre, radius, share=0.35)
    case.body.claims |= {SPECKS[0]} if specks else set()

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        brain = inside(head, index) * head.tissue_is("grey", "white", "csf")[index] * ~head.ventricular[index]
        value = np.float32(hu) + np.float32(1.4) * head.noise[index]
        head.paint(index, ramp(depth, 6.0) * brain * np.float32(0.93), value, "tumour", KEY)
        if specks:
            calcify(head, solid, specks, [*KEY, *SPECKS], -1.5)

    return paint


def _lymphoma(case: Case) -> Paint:
    """Even and dense, on the wall of a ventricle or in the callosum, with less oedema and room than its size."""
    centre = pick(case.rng, (14, -40, 4), (30, 34, 30), (18, 60), -1)
    radius, halo = 0.72 * case.size_mm(), case.graded(4, 11)
    solid = lump(case.rng, centre, radius, rough=0.1, stretch=0.2)
    extent = swell(case, centre, radius, halo)
    hu = contrast(case, case.body.grey_hu + case.uniform(7, 13))
    weigh(case, centre, radius, halo, share=0.35)

    def paint(head: Head) -> None:
        vasogenic(head, extent, case.uniform(17, 20), case.graded(0.6, 0.9))
        fill(head, solid, hu, "tumour", KEY, width_mm=2.0)

    return paint


def _oligodendroglioma(case: Case) -> Paint:
    """Dark, of the frontal cortex and the white matter beneath, with clumped calcium."""
    centre = pick(case.rng, (14, -66, 0), (46, -10, 52), (5, 15), 1)
    radius = 0.9 * case.size_mm()
    solid = lump(case.rng, centre, radius, rough=0.14, stretch=0.2)
    core = lump(case.rng, centre, 0.62 * radius, rough=0.3, stretch=0.2)
    hu, calcium = case.body.white_hu - case.graded(2.5, 6), case.uniform(130, 320)
    calcified = case.chance(0.8)
    weigh(case, centre, radius, share=0.4)
    case.body.claims |= {SPECKS[0]} if calcified else set()

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        value = np.float32(hu) + 4 * np.clip(head.noise[index], -1.5, 1.5)
        head.paint(index, ramp(depth, 4.0) * inside(head, index), value.astype(np.float32), "tumour", KEY)
        if calcified:
            calcify(head, core, calcium, [*KEY, *SPECKS], case.graded(-0.9, -0.3))

    return paint


_KINDS: dict[str, Callable[[Case], Paint]] = {
    "high_grade": _high_grade,
    "butterfly": _butterfly,
    "low_grade": _low_grade,
    "lymphoma": _lymphoma,
    "oligodendroglioma": _oligodendroglioma,
}


@lesion("intracranial_metastasis", slot="mass3")
def metastases(case: Case) -> Paint:
    """Round nodules at the border of grey and white matter, each in oedema wider than itself."""
    kind, largest = case.kind(), case.size_mm()
    count = 1 if case.chance(0.4) else int(case.rng.integers(2, 4 + round(4 * case.severity)))
    sizes = [largest if n == 0 else max(2.0, largest * case.uniform(0.35, 0.9)) for n in range(count)]
    nodules = [_nodule(case, case.place(), size, kind) for size in sizes]

    def paint(head: Head) -> None:
        for nodule in nodules:
            nodule(head)

    return paint


def _nodule(case: Case, place: str, radius: float, kind: str) -> Paint:
    keys, halo = ["intracranial_metastasis"], case.graded(3, 14) * case.uniform(0.6, 1.2)
    if place == "cerebellum":
        centre = pick(case.rng, (8, 34, -46), (40, 70, -26), (6, 16), 1)
        keys.append("posterior_fossa_or_cpa_mass")
        press(case, centre, radius, 0.5)
        halo *= 0.6
    else:
        centre = pick(case.rng, (12, -66, -8), (58, 66, 58), (7, 17), 1)
        weigh(case, centre, radius, halo)
    case.body.claims |= set(keys)
    solid, extent = lump(case.rng, centre, radius, rough=0.09, stretch=0.1), swell(case, centre, radius, halo)
    hu, core = contrast(case, case.hu()), case.uniform(*NECROSIS_HU)
    if kind == "haemorrhagic":
        case.body.claims.add(BLOOD[0])
        hu = case.uniform(52, 68)

    def paint(head: Head) -> None:
        vasogenic(head, extent, case.uniform(15.5, 19), case.graded(0.6, 0.95))
        if kind == "haemorrhagic":
            fill(head, solid, hu, "acute_blood", [*keys, *BLOOD])
        elif kind == "cystic" and radius > 4:
            _ring(head, solid, hu, core, max(1.8, 0.28 * radius), keys)
        else:
            index, depth = solid.depth(head)
            dull = ramp(depth - 5, 3.0) * np.float32(5) * np.clip(solid.grain(head, index), 0, 1)
            value = hu - dull + np.float32(1.2) * head.noise[index]
            head.paint(index, ramp(depth, 1.4) * inside(head, index), value.astype(np.float32), "tumour", keys)

    return paint

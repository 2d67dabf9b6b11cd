"""Masses of the sella and of the pineal region."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import contrast, dam, fill, inside, lump, press
from molre.phantom.lesions.registry import lesion, mimic
from molre.phantom.lesions.tumour import SPECKS
from molre.phantom.shapes import Point, ramp

SELLA_MM = (0.0, -15.0, -33.0)
DIAPHRAGM_MM = (0.0, -15.0, -26.0)
PINEAL_MM = (0.0, 16.0, -2.0)
SELLAR, PINEAL = ["pituitary_or_sellar_mass"], ["pineal_region_mass"]


@lesion("pituitary_or_sellar_mass")
def sellar(case: Case) -> Paint:
    """A mass in and above the sella."""
    return _SELLAR[case.kind()](case)


def _adenoma(case: Case, hu: float, tissue: str, more: list[str]) -> Paint:
    """Two balls, one in the widened sella and one above its diaphragm, with a waist between."""
    radius = case.size_mm()
    low = lump(case.rng, SELLA_MM, float(np.clip(0.75 * radius, 6, 12)), rough=0.07, stretch=(1.15, 0.95, 0.8))
    x, y, z = DIAPHRAGM_MM
    top: Point = (x + case.uniform(-2, 2), y + case.uniform(-2, 2), z + 0.72 * radius)
    high = lump(case.rng, top, radius, rough=0.09, stretch=(1.05, 0.9, case.uniform(0.9, 1.15)))
    dark = lump(case.rng, top, 0.45 * radius, rough=0.3)
    press(case, top, radius, 0.7)
    hollow, level = case.chance(0.3), top[1] + case.uniform(-2, 3)
    case.body.claims |= set(more)

    def paint(head: Head) -> None:
        keys = [*SELLAR, *more]
        index, depth = low.depth(head)
        head.paint(index, ramp(depth), (hu + 1.2 * head.noise[index]).astype(np.float32), "tumour", SELLAR)
        head.bone[index[depth > 0]] = False
        index, depth = high.depth(head)
        value = (hu + 1.4 * head.noise[index]).astype(np.float32)
        if tissue == "acute_blood":
            # Cells settle: the fluid above them is darker.
            value = value - np.float32(16) * ramp(np.float32(level) - head.still[1][index], 3.0)
        head.paint(index, ramp(depth) * inside(head, index), value, tissue, keys)
        if hollow and tissue == "tumour":
            index, depth = dark.depth(head)
            head.paint(index, ramp(depth, 2.0) * inside(head, index), 22.0, "cyst", SELLAR)

    return paint


def _macroadenoma(case: Case) -> Paint:
    return _adenoma(case, contrast(case, case.hu()), "tumour", [])


def _apoplexy(case: Case) -> Paint:
    return _adenoma(case, case.uniform(58, 68), "acute_blood", ["intracranial_hemorrhage_any"])


def _craniopharyngioma(case: Case) -> Paint:
    """A cyst above the sella with calcium in its wall and a calcified nodule."""
    radius = 1.15 * case.size_mm()
    centre: Point = (case.uniform(-3, 3), case.uniform(-16, -11), -25.0 + 0.8 * radius)
    cyst = lump(case.rng, centre, radius, rough=0.1, stretch=0.12)
    nodule = lump(case.rng, (centre[0], centre[1] - 0.3 * radius, centre[2] - 0.6 * radius), 0.5 * radius, rough=0.2)
    hu, calcium = case.uniform(10, 24), case.uniform(160, 420)
    press(case, centre, radius, 0.7)
    case.body.claims.add(SPECKS[0])
    if radius > 14:
        dam(case.body, 0.3 * (radius - 6), third=-0.5)

    def paint(head: Head) -> None:
        index, depth = fill(head, cyst, hu, "cyst", SELLAR)
        room = inside(head, index)
        wall = ramp(np.float32(1.3) - np.abs(depth - 0.9)) * room
        head.paint(index, wall, contrast(case, 45.0), "tumour", SELLAR)
        rim = np.minimum(1.1 - np.abs(depth - 0.6), 1.5 * (cyst.grain(head, index) - np.float32(case.graded(1.0, 0.1))))
        head.paint(index, ramp(rim.astype(np.float32)) * room, calcium, "calcification", [*SELLAR, *SPECKS])
        index, depth = fill(head, nodule, contrast(case, 46.0), "tumour", SELLAR)
        clump = np.minimum(depth - 1, 1.6 * (nodule.grain(head, index) - 0.1)).astype(np.float32)
        head.paint(index, ramp(clump) * inside(head, index), calcium, "calcification", [*SELLAR, *SPECKS])

    return paint


def _rathke(case: Case) -> Paint:
    """A small round cyst a little denser than fluid, in and above the sella."""
    radius = 0.7 * case.size_mm()
    x, y, z = DIAPHRAGM_MM
    solid = lump(case.rng, (x, y - 1, z + 0.5 * radius), radius, rough=0.03, stretch=0.06)
    hu = contrast(case, case.uniform(22, 40), case.body.csf_hu)
    press(case, solid.centre, radius, 0.6)

    def paint(head: Head) -> None:
        fill(head, solid, hu, "cyst", SELLAR)

    return paint


_SELLAR: dict[str, Callable[[Case], Paint]] = {
    "macroadenoma": _macroadenoma,
    "craniopharyngioma": _craniopharyngioma,
    "apoplexy": _apoplexy,
    "rathke_cyst": _rathke,
}


@lesion("pineal_region_mass")
def pineal(case: Case) -> Paint:
    """A mass in place of the pineal gland that may dam the aqueduct."""
    kind, radius = case.kind(), case.size_mm()
    x, y, z = PINEAL_MM
    centre: Point = (x + case.uniform(-1, 1), y + 0.35 * radius, z + case.uniform(-2, 1))
    solid = lump(case.rng, centre, radius, rough=0.04 if kind == "cyst" else 0.13, stretch=0.1)
    press(case, centre, radius, 0.75)
    dam(case.body, 0.55 * (radius - 6.5) + case.uniform(-0.4, 0.4) if kind != "cyst" or radius > 10 else 0.0, third=1.6)
    hu = contrast(case, case.hu()) if kind != "cyst" else case.body.csf_hu + case.uniform(1, 8)
    case.body.claims |= {SPECKS[0]} if kind == "parenchymal" else set()

    def paint(head: Head) -> None:
        gland = head.tissue_is("calcification") & head.at("pineal")
        index, depth = fill(head, solid, hu, "cyst" if kind == "cyst" else "tumour", PINEAL)
        if kind == "germinoma":
            # The tumour engulfs the gland: its calcium lies within.
            core = ramp(
                case.graded(1.8, 3.0) + np.float32(0.7) * solid.grain(head, index) - (np.float32(radius) - depth), 1.5
            )
            head.paint(index, core, 230.0, "calcification", PINEAL)
        elif kind == "parenchymal":
            ring = np.minimum(1.4 - np.abs(depth - 2), 1.5 * (solid.grain(head, index) - 0.3)).astype(np.float32)
            head.paint(index, ramp(ring), case.uniform(180, 320), "calcification", [*PINEAL, *SPECKS])
        else:
            wall = np.minimum(0.9 - np.abs(depth - 0.6), 1.5 * (solid.grain(head, index) + 0.2)).astype(np.float32)
            hard = bool(gland.any()) or case.chance(0.4)
            head.paint(index, ramp(wall), 150.0 if hard else 40.0, "calcification" if hard else "tumour", PINEAL)

    return paint


@mimic("large_pineal_calcification")
def large_pineal(case: Case) -> Paint:
    """A gland that is large, calcified and normal."""
    radius, hu = case.size_mm(), case.hu()
    solid = lump(case.rng, PINEAL_MM, radius, rough=0.25, stretch=0.15)

    def paint(head: Head) -> None:
        fill(head, solid, hu, "calcification", [])

    return paint


@mimic("full_pituitary")
def full_pituitary(case: Case) -> Paint:
    """A gland that bulges a little over the sella, as in the young."""
    radius, hu = case.size_mm(), case.hu()
    x, y, z = DIAPHRAGM_MM
    solid = lump(case.rng, (x, y, z - 4), radius, rough=0.03, stretch=(1.3, 0.9, 0.75))

    def paint(head: Head) -> None:
        fill(head, solid, hu, "grey", [])

    return paint


@mimic("empty_sella")
def empty_sella(case: Case) -> Paint:
    """Fluid that fills a wide sella."""
    solid = lump(case.rng, (0.0, -15.0, -31.5), case.size_mm(), rough=0.03, stretch=(1.25, 0.9, 0.8))
    hu = case.body.csf_hu + 2

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        soft = head.at("sella")[index] | (head.inner[index] > 0)
        head.paint(index, ramp(depth) * soft, hu, "csf")

    return paint

"""Masses of the posterior fossa."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import contrast, dam, fill, inside, lump, near, press, swell, vasogenic
from molre.phantom.lesions.registry import lesion, mimic, pick
from molre.phantom.lesions.tumour import SPECKS, calcify
from molre.phantom.shapes import Point, capsule, ramp

KEY = ["posterior_fossa_or_cpa_mass"]
FOURTH_MM: Point = (0.0, 31.0, -33.0)


@lesion("posterior_fossa_or_cpa_mass", slot="hind")
def hind(case: Case) -> Paint:
    """A mass of the angle, the cerebellum, the fourth ventricle or the pons."""
    return _KINDS[case.kind()](case)


def press_hind(case: Case, centre: Point, radius: float, share: float) -> None:
    """Push the hindbrain away; a large mass near the fourth ventricle narrows it and dams it."""
    press(case, centre, radius, share)
    gap = float(np.linalg.norm(np.subtract(centre, FOURTH_MM))) - radius
    squeeze = float(np.clip((radius - 7) / 9, 0, 1) * np.clip(1 - gap / 12, 0, 1))
    case.body.fourth_mm -= 2.2 * squeeze
    dam(case.body, 6.0 * (squeeze - 0.25), third=2.2)


def _schwannoma(case: Case) -> Paint:
    """A ball in the angle and a cone into the porus, which it has widened."""
    sign, radius = case.side()[1], 0.85 * case.size_mm()
    porus: Point = (sign * 23.0, 9.0, -37.0)
    centre: Point = (sign * (23.0 - 0.15 * radius), 9.0 + 0.85 * radius, -37.0)
    solid = lump(case.rng, centre, radius, rough=0.08, stretch=0.1)
    wide, deep = float(np.clip(0.45 * radius, 2.0, 4.5)), case.graded(5, 11)
    end: Point = (sign * (23.0 + deep), 9.0 - 0.3 * deep, -38.0)
    hu, cystic = contrast(case, case.hu()), case.chance(0.25) and radius > 10
    dark = lump(case.rng, (centre[0], centre[1] + 0.2 * radius, centre[2]), 0.5 * radius, rough=0.2)
    press_hind(case, centre, radius, 0.75)

    def paint(head: Head) -> None:
        index = near(head, porus, deep + 6)
        at = (head.still[0][index], head.still[1][index], head.still[2][index])
        cone = capsule(at, porus, end, wide, 0.55 * wide)
        head.paint(index, ramp(cone), hu, "tumour", KEY)
        head.bone[index[cone > 0]] = False
        fill(head, solid, hu, "tumour", KEY)
        if cystic:
            index, depth = dark.depth(head)
            head.paint(index, ramp(depth, 2.0) * inside(head, index), 18.0, "cyst", KEY)

    return paint


def _haemangioblastoma(case: Case) -> Paint:
    """A cyst of a hemisphere of the cerebellum, with a dense nodule at its outer wall."""
    radius = case.size_mm()
    centre = pick(case.rng, (12, 40, -46), (34, 62, -24), (8, 25), 0)
    out = np.subtract(centre, (0.0, 35.0, -32.0))
    x, y, z = (np.asarray(centre) + 0.85 * radius * out / np.linalg.norm(out)).tolist()
    cyst = lump(case.rng, centre, radius, rough=0.07, stretch=0.12)
    nodule = lump(case.rng, (x, y, z), float(np.clip(0.32 * radius, 2, 6)), rough=0.1)
    hu = case.body.csf_hu + case.uniform(2, 9)
    solid_hu = contrast(case, case.hu())
    press_hind(case, centre, radius, 0.65)

    def paint(head: Head) -> None:
        fill(head, cyst, hu, "cyst", KEY)
        fill(head, nodule, solid_hu, "tumour", KEY)

    return paint


def _medulloblastoma(case: Case) -> Paint:
    """Dense, even, at the vermis or, in adults, in a hemisphere, with a little oedema."""
    radius = 0.95 * case.size_mm()
    away = 0.0 if case.chance(0.5) else case.side()[1] * case.uniform(14, 24)
    centre: Point = (away, case.uniform(44, 52), case.uniform(-38, -30))
    solid, extent = lump(case.rng, centre, radius, rough=0.12), swell(case, centre, radius, case.graded(2, 7))
    hu = contrast(case, case.uniform(46, 56))
    press_hind(case, centre, radius, 0.7)

    def paint(head: Head) -> None:
        vasogenic(head, extent, 21.0, case.graded(0.5, 0.85))
        fill(head, solid, hu, "tumour", KEY, width_mm=2.0)

    return paint


def _ependymoma(case: Case) -> Paint:
    """Uneven, within the fourth ventricle and out of its foramina; half of them calcified."""
    radius = 0.9 * case.size_mm()
    x, y, z = FOURTH_MM
    centre: Point = (x + case.uniform(-3, 3), y + 0.25 * radius, z - 0.2 * radius)
    solid = lump(case.rng, centre, radius, rough=0.18, stretch=(0.9, 0.9, 1.2))
    hu, calcium = contrast(case, case.hu()), case.uniform(120, 300) if case.chance(0.5) else 0.0
    press_hind(case, centre, radius, 0.75)
    case.body.claims |= {SPECKS[0]} if calcium else set()

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        value = (hu + 4 * np.clip(head.noise[index], -1.5, 1)).astype(np.float32)
        head.paint(index, ramp(depth) * inside(head, index), value, "tumour", KEY)
        if calcium:
            calcify(head, solid, calcium, [*KEY, *SPECKS], -1.0)

    return paint


def _brainstem_glioma(case: Case) -> Paint:
    """A pons that is swollen and dark."""
    radius = 0.95 * case.size_mm()
    centre: Point = (case.uniform(-4, 4), case.uniform(8, 13), case.uniform(-36, -26))
    solid = lump(case.rng, centre, radius, rough=0.12, stretch=0.12)
    hu = case.body.white_hu - case.graded(3.5, 9)
    press_hind(case, centre, radius, 0.5)

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        brain = head.at("brainstem", "cerebellum")[index] * inside(head, index)
        value = (hu + 1.2 * head.noise[index]).astype(np.float32)
        head.paint(index, ramp(depth, 5.0) * brain * np.float32(0.93), value, "tumour", KEY)

    return paint


_KINDS: dict[str, Callable[[Case], Paint]] = {
    "schwannoma": _schwannoma,
    "haemangioblastoma": _haemangioblastoma,
    "medulloblastoma": _medulloblastoma,
    "ependymoma": _ependymoma,
    "brainstem_glioma": _brainstem_glioma,
}


@mimic("mega_cisterna_magna")
def mega_cisterna_magna(case: Case) -> Paint:
    """A wide cistern behind a cerebellum that it does not displace."""
    radius, hu = case.size_mm(), case.body.csf_hu
    solid = lump(case.rng, (case.uniform(-3, 3), 68.0, -50.0), radius, rough=0.06, stretch=(1.3, 0.7, 1.0))

    def paint(head: Head) -> None:
        fill(head, solid, hu, "csf", [])

    return paint

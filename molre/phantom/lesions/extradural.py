"""Blood between skull and dura: a lens that the sutures bound."""

from __future__ import annotations

import numpy as np

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import bulk, lesion
from molre.phantom.lesions.subdural import collection
from molre.phantom.motion import Layer
from molre.phantom.shapes import Point, ramp

_PLACES = {
    "temporal": ((1.0, -0.4, -0.1), (1.0, 0.15, 0.25)),
    "frontal": ((0.5, -1.0, 0.25), (0.9, -0.8, 0.6)),
    "parietal": ((1.0, 0.15, 0.45), (0.8, 0.7, 0.75)),
    "posterior_fossa": ((0.35, 0.9, -0.62), (0.8, 0.8, -0.5)),
    "vertex": ((0.05, -0.2, 1.0), (0.25, 0.3, 1.0)),
}
"""Corners of the directions in which the thickest part lies, x of one side."""
_SUTURES = {
    "temporal": (0.52, 0.6, 0.5, 0.5),
    "frontal": (0.5, 0.48, 0.55, 0.5),
    "parietal": (0.55, 0.5, 0.5, 0.55),
    "posterior_fossa": (0.5, 0.45, 0.4, 0.45),
    "vertex": (0.5, 0.5, 0.5, 0.5),
}
"""Greatest angular reach to front, back, vertex and base before a suture, or the tentorium, holds the dura."""


@lesion("epidural_hematoma", slot="collection")
def epidural(case: Case) -> Paint:
    """A bright lens, beneath a fracture as a rule; at the vertex and the forehead it may cross the midline."""
    place, sign = case.place(), _struck(case)
    thickness, hu = case.size_mm(), case.hu()
    layer = _lens(case, place, sign, thickness)
    case.body.press(layer)
    side = LEFT if sign > 0 else RIGHT
    if place == "posterior_fossa":
        _crowd(case, thickness)
    elif place != "vertex":
        bulk(case.rng, case.body, side, thickness / 26)
    swirl = case.uniform(14, 24) if case.chance(0.35) else 0.0
    phase = case.uniform(0, 6)

    def paint(head: Head) -> None:
        index, depth = collection(head, layer)
        y, z = head.still[1][index], head.still[2][index]
        # Blood that still flows in is darker than the clot around it.
        fresh = np.clip(np.sin(y / 6 + phase) * np.cos(z / 7 + phase) + 0.6 * head.noise[index], 0, 1)
        value = hu + 2.5 * head.noise[index] - swirl * fresh * (depth > 3)
        head.paint(index, ramp(depth), value.astype(np.float32), "acute_blood", ["epidural_hematoma"])

    return paint


def _struck(case: Case) -> int:
    """The side of the blow."""
    return 1 if case.body.impact[0] >= 0 else -1


def _lens(case: Case, place: str, sign: int, thickness_mm: float) -> Layer:
    low, high = _PLACES[place]
    x, y, z = (case.uniform(min(a, b), max(a, b)) for a, b in zip(low, high, strict=True))
    towards: Point = (sign * x, y, z)
    wide = case.graded(0.62, 1.0)
    front, back, top, base = (case.uniform(0.8, 1.05) * wide * reach for reach in _SUTURES[place])
    crosses = place in ("vertex", "frontal") and abs(x) < 0.6
    return Layer(towards=towards, reach_rad=(front, back, top, base), thickness_mm=thickness_mm,
                 power=case.uniform(1.9, 2.4), side=0 if crosses else sign, above=place != "posterior_fossa",
                 ripple=(0.05, case.uniform(3, 6), case.uniform(0, 6)))  # fmt: skip


def _crowd(case: Case, thickness_mm: float) -> None:
    """Beneath the tentorium there is little room: the fourth ventricle closes and dams those above."""
    body = case.body
    if thickness_mm > 9:
        body.fourth_mm -= 0.09 * thickness_mm
        body.claims.add("mass_effect")
    if thickness_mm > 16:
        body.ventricle_mm = [each + 2.6 for each in body.ventricle_mm]
        body.third_mm += 2.0
        body.claims.add("obstructive_hydrocephalus")

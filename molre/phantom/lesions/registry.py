"""What a lesion is, and the registry of those the phantom can draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molre.findings import index
from molre.phantom.body import LEFT, RIGHT, Body
from molre.phantom.case import Case, Paint
from molre.phantom.lookup import lookup
from molre.phantom.shapes import Number, Point
from molre.phantom.standard.structures import members

Draw = Callable[[Case], Paint]
"""Chooses the lesion's place and size, changes the body accordingly, and returns what paints it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesion:
    """Something that can be drawn: a finding, or a mimic of one.

    Attributes:
        key: the finding, or the mimic's name.
        draw: chooses and paints it.
        slot: lesions of one slot do not occur together, for they would claim the same place.
    """

    key: str
    draw: Draw
    slot: str


LESIONS: dict[str, Lesion] = {}
"""Every finding that can be drawn; the rest only follow from these."""
LOOKALIKES: dict[str, Lesion] = {}
"""Every mimic."""


def lesion(key: str, *, slot: str = "") -> Callable[[Draw], Draw]:
    """Register a function as the one that draws a finding."""
    index(key)

    def register(draw: Draw) -> Draw:
        LESIONS[key] = Lesion(key=key, draw=draw, slot=slot)
        return draw

    return register


def mimic(name: str) -> Callable[[Draw], Draw]:
    """Register a function that draws what looks like a finding and is none; it marks nothing."""

    def register(draw: Draw) -> Draw:
        LOOKALIKES[name] = Lesion(key=name, draw=draw, slot="")
        return draw

    return register


def any_side(rng: np.random.Generator) -> tuple[int, int]:
    """A random hemisphere: its position in per-side settings, and the sign of its x."""
    return (LEFT, 1) if rng.random() < 0.5 else (RIGHT, -1)


def pick(
    rng: np.random.Generator, low: Point, high: Point, depth_mm: tuple[Number, Number], clear_mm: Number = 2.0
) -> Point:
    """A random point of brain in a box (x of one side, mirrored at random), at a depth below the skull.

    Args:
        rng: source of chance.
        low: corner of the box in head coordinates, x positive.
        high: the opposite corner.
        depth_mm: least and greatest depth below the inner table.
        clear_mm: distance kept from ventricles and cisterns.
    """
    points = rng.uniform(low, high, (400, 3))
    record = lookup(points.T)
    depth, vent, cist = (record[n] for n in ("skull", "ventricle", "cistern"))
    fine = (depth > depth_mm[0]) & (depth < depth_mm[1]) & (vent < -clear_mm) & (cist < -clear_mm)
    if high[2] > -8:
        fine &= ~members("cerebellum").take(record["structure"])
    chosen = points[np.flatnonzero(fine)[0]] if fine.any() else points[int(np.argmax(depth))]
    return float(chosen[0] * any_side(rng)[1]), float(chosen[1]), float(chosen[2])


def side_of(point: Point) -> int:
    """Hemisphere of a point."""
    return LEFT if point[0] > 0 else RIGHT


def bulk(rng: np.random.Generator, body: Body, side: int, burden: float) -> None:
    """Mass effect of a supratentorial lesion: furrows and ventricle close, the midline shifts, the uncus herniates.

    Args:
        rng: source of chance.
        body: the head to change.
        side: hemisphere of the lesion.
        burden: 0 none; from 0.35 the furrows close; from 0.5 the midline shifts, mostly by more than 5 mm; from 0.8
            the uncus may slip over the tentorium. Fluid around a shrunken brain takes up some of it.
    """
    burden *= 1 - 0.3 * body.atrophy
    if burden < 0.35:
        return
    body.efface(side, min(0.45 + 0.6 * burden, 1.0))
    body.claims |= {"mass_effect", "sulcal_or_cisternal_effacement"}
    if burden >= 0.5:
        shift = float(np.clip(rng.normal(11.5 * burden, 1.4), 3.0, 16.0))
        body.shift(shift, side)
        if shift > 9:
            # The other ventricle is dammed at the foramen of Monro.
            body.ventricle_mm[1 - side] += 0.25 * (shift - 8)
    if rng.random() < (burden - 0.75) * 2.2:
        body.herniate(side, float(np.clip(rng.normal(3 + 5 * burden, 1), 5, 11)))

"""What a blow does to the brain: contusions and torn axons.

Gentry 1994, Radiology 191:1; Osborn's Brain, 2nd ed., 2018, ch. 2.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, bulk, lesion, pick
from molre.phantom.lesions.subarachnoid import bleed, sulcal_blood
from molre.phantom.lesions.vault import on_vault, scattered
from molre.phantom.shapes import Point, ramp

OEDEMA_HU = 19.0

FAVOURITE: dict[str, tuple[Point, Point]] = {
    "frontal_base": ((8.0, -78.0, -14.0), (30.0, -56.0, -4.0)),
    "temporal_pole": ((34.0, -40.0, -30.0), (54.0, -14.0, -16.0)),
    "inferior_temporal": ((34.0, -14.0, -36.0), (56.0, 14.0, -22.0)),
}
"""Boxes, on one side, in which brain strikes the rough floor of the fossae."""


def _struck(case: Case, place: str) -> Point:
    """A point of cortex that a blow bruises: beneath it, opposite to it, or where brain slides over rough bone."""
    rng, impact = case.rng, case.body.impact
    if place in ("coup", "contrecoup"):
        sign = 1.0 if place == "coup" else -1.0
        towards = scattered(rng, (impact[0] * sign, impact[1] * sign, impact[2]), 0.25, lowest=0.0)
        return on_vault(towards, case.uniform(57, 62))
    x, y, z = pick(rng, *FAVOURITE[place], (3, 11), 0.5)
    # The side away from a sideways blow is the worse one.
    away = -1.0 if impact[0] > 0 else 1.0
    side = away if case.chance(0.5 + 0.35 * min(abs(impact[0]) * 1.4, 1.0)) else -away
    return abs(x) * side, y, z


@lesion("brain_contusion")
def contusion(case: Case) -> Paint:
    """Speckled, partly merging blood in cortex with oedema around it, at the poles and bases or beneath the blow."""
    rng, body = case.rng, case.body
    count = 1 + int(rng.binomial(4, 0.15 + 0.4 * case.severity))
    first = case.size_mm()
    sites = []
    for number in range(count):
        radius = first if number == 0 else first * case.uniform(0.35, 0.8)
        centre = _struck(case, case.place())
        if radius > 11:
            radius = body.push(centre, radius, 0.25)
        sites.append((centre, radius, _spots(rng, radius)))
        bulk(rng, body, LEFT if centre[0] > 0 else RIGHT, (radius - 9) / 24)
    hu, merged = case.hu(), case.graded(-0.75, 0.35) + rng.normal(0, 0.2)
    swollen = first > 9 and case.chance(0.8)
    if swollen:
        body.claims.add("cerebral_edema")

    def paint(head: Head) -> None:
        for centre, radius, spots in sites:
            stretch = (1.0, 1.15, 0.85)
            index, depth = head.ball(centre, radius, stretch=stretch, rough=0.25)
            brain = head.tissue_is("grey", "white", "csf", "oedema")[index] & ~head.ventricular[index]
            rim = ramp(depth + np.float32(0.25 * radius), 4.0) * brain * np.float32(0.85 if swollen else 0.35)
            head.paint(index, rim, OEDEMA_HU, "oedema", ["cerebral_edema"] if swollen else [])
            blood = ramp(_speckled(head, index, depth, centre, spots, float(merged)), 1.8) * brain
            value = np.float32(hu) + 4 * head.noise[index]
            head.paint(index, blood, value, "acute_blood", ["brain_contusion"])

    return paint


def _spots(rng: np.random.Generator, radius_mm: float) -> Float32[np.ndarray, "n 4"]:
    """Small clots about a point: offsets and radii, mm."""
    count = int(rng.integers(3, 6)) + int(radius_mm / 2)
    offset = rng.normal(0, 0.42 * radius_mm, (count, 3))
    size = np.clip(rng.gamma(3.0, 0.09 * radius_mm, count), 1.3, 0.55 * radius_mm + 1)
    return np.concatenate([offset, size[:, None]], 1).astype(np.float32)


def _speckled(
    head: Head, index: Int64[np.ndarray, "m"], depth: Float32[np.ndarray, "m"], centre: Point,
    spots: Float32[np.ndarray, "n 4"], merged: float,
) -> Float32[np.ndarray, "m"]:  # fmt: skip
    """Depth in mm in the clots of a contusion, and in what has run together between them."""
    at = [a[index] - np.float32(c) for a, c in zip((head.x, head.y, head.z), centre, strict=True)]
    found = np.minimum(depth, (head.noise[index] + np.float32(merged)) * 3)
    for dx, dy, dz, size in spots:
        away = np.sqrt((at[0] - dx) ** 2 + (at[1] - dy) ** 2 + (at[2] - dz) ** 2)
        found = np.maximum(found, size * (1 + np.float32(0.25) * head.noise[index]) - away)
    return np.minimum(found, depth + 2).astype(np.float32)


@lesion("traumatic_subarachnoid_hemorrhage", slot="subarachnoid")
def furrow_blood(case: Case) -> Paint:
    """Blood in the furrows beneath the blow or opposite to it, sometimes beside the midbrain, seldom in the middle."""
    key, place = "traumatic_subarachnoid_hemorrhage", case.place()
    x, y, z = case.body.impact
    away = -1.0 if place == "contrecoup" else 1.0
    towards = scattered(case.rng, (away * x, away * y, 0.6 * abs(z) + 0.1), 0.3, lowest=0.02)
    # Blood of one side only: a blow on the midline is shared out at random.
    lateral = towards[0] if abs(towards[0]) > 0.25 else 0.4 * case.side()[1]
    furrows = sulcal_blood(case, (lateral, towards[1], towards[2]), key)
    if place != "ambient":
        return furrows
    side, reach, hu = case.side()[1], 0.45 * case.size_mm(), case.hu()

    def paint(head: Head) -> None:
        furrows(head)
        bleed(head, (side * 15.0, 10.0, -14.0), reach, hu, key, (0.8, 1.2, 0.8))

    return paint


def _torn(case: Case, place: str) -> Point:
    """A point where axons tear."""
    rng, sign = case.rng, any_side(case.rng)[1]
    if place == "callosum":
        angle = case.uniform(0.35, 2.6)
        return case.uniform(-7, 7), 2 + 1.35 * 28.5 * float(np.cos(angle)), -4 + 28.5 * float(np.sin(angle))
    if place == "midbrain":
        return sign * case.uniform(6, 10), case.uniform(11, 16), case.uniform(-20, -8)
    if place == "capsule":
        return sign * case.uniform(16, 24), case.uniform(-20, 10), case.uniform(2, 14)
    if place == "temporal":
        return pick(rng, (34, -24, -24), (52, 20, -8), (8, 15), 2.0)
    return pick(rng, (14, -62, 18), (46, 20, 58), (7, 17), 3.0)


@lesion("diffuse_axonal_injury")
def shearing(case: Case) -> Paint:
    """Small ovals of blood, or of oedema, where grey meets white matter, in the callosum and beside the tectum.

    Adams et al. 1989, Histopathology 15:49 (grades 1 to 3); Gentry et al. 1988, AJR 150:663.
    """
    rng, body = case.rng, case.body
    count = round(case.graded(2, 14) * case.uniform(0.7, 1.3))
    spots = []
    for _ in range(max(count, 1)):
        size = 0.5 * case.size_mm() * float(rng.gamma(6, 1 / 6))
        stretch = (case.uniform(0.6, 1.0), case.uniform(0.8, 1.7), case.uniform(0.7, 1.2))
        spots.append((_torn(case, case.place()), max(size, 1.3), stretch, case.chance(0.75), case.hu()))
    if case.severity > 0.55 and case.chance(0.6):
        # A swollen brain: its furrows are closed on both sides.
        body.efface(LEFT, case.graded(0.5, 0.9))
        body.efface(RIGHT, case.graded(0.5, 0.9))
        body.claims |= {"sulcal_or_cisternal_effacement", "cerebral_edema"}
    if any(bleeds for *_, bleeds, _ in spots):
        body.claims.add("intraparenchymal_hemorrhage")

    def paint(head: Head) -> None:
        for centre, size, stretch, bleeds, hu in spots:
            index, depth = head.ball(centre, size, stretch=stretch, rough=0.2)
            brain = head.tissue_is("grey", "white", "oedema")[index]
            rim = ramp(depth + (np.float32(1.2) if bleeds else 0), 2.0) * brain * np.float32(0.7)
            head.paint(index, rim, OEDEMA_HU + 2, "oedema", ["diffuse_axonal_injury"])
            if bleeds:
                keys = ["diffuse_axonal_injury", "intraparenchymal_hemorrhage"]
                head.paint(index, ramp(depth, 1.2) * brain, hu, "acute_blood", keys)

    return paint

"""Clot in sinuses and veins, and the brain that they no longer drain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import LEFT, Body
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.ripple import Ripple, draw_ripple
from molre.phantom.shapes import Point, ramp
from molre.phantom.table import entries
from molre.phantom.tissue import T

LEAST_RISE_HU = 13.0
"""Of clot above the patient's own blood (Buyck et al. 2013, AJNR 34:1568)."""
SAGITTAL, TRANSVERSE, DEEP = "sagittal", "transverse", "deep"


def sinus_of(body: Body) -> tuple[str, int]:
    """Which sinus is occluded in this person, and on which side: the same for clot and infarct."""
    rng = np.random.default_rng([body.stroke_seed, 1])
    places = entries()["cerebral_venous_sinus_thrombosis"].places
    weights = np.array(list(places.values()))
    return str(list(places)[rng.choice(len(weights), p=weights / weights.sum())]), int(rng.integers(2))


@lesion("cerebral_venous_sinus_thrombosis")
def thrombosis(case: Case) -> Paint:
    """A full and dense sinus, often with a dense vein that leads to it."""
    sinus, side = sinus_of(case.body)
    low, high = case.entry.hu
    hu = float(np.clip(case.graded(low, high - 5) + case.uniform(-2, 6), low, high))
    hu = max(hu, case.body.blood_hu + LEAST_RISE_HU)
    length, start = case.size_mm(), case.uniform(0, 1)
    cord = (case.uniform(-40, 30), case.uniform(-10, 10)) if case.chance(case.graded(0.15, 0.6)) else None

    def paint(head: Head) -> None:
        index, depth = _clot(head, sinus, side, start, length)
        value = hu + np.float32(1.5) * head.noise[index]
        head.paint(index, ramp(depth), value, "acute_blood", ["cerebral_venous_sinus_thrombosis"])
        if cord and sinus != DEEP:
            index, depth = _cord(head, side, *cord)
            head.paint(index, ramp(depth), hu - 4, "acute_blood", ["cerebral_venous_sinus_thrombosis"])

    return paint


def _clot(
    head: Head, sinus: str, side: int, start: float, length_mm: float
) -> tuple[np.ndarray, Float32[np.ndarray, "m"]]:
    """Voxels near the clot and their depth in it: a stretch of the vessel, which it swells a little."""
    near = np.flatnonzero(head.brain.coarse("vessel") > -1.8)
    index = head.inside[near]
    depth = head.brain.subset(near)["vessel"] + np.float32(0.5)
    x, y, z = head.x[index], head.y[index], head.z[index]
    out = x if side == LEFT else -x
    if sinus == SAGITTAL:
        along = np.arctan2(y, z + np.float32(12)) * np.float32(80)
        stretch = length_mm / 2 + 20 - np.abs(along - (60 + (start - 0.5) * 110))
        stretch = np.minimum(np.minimum(stretch, 9 - np.abs(x)), 11 - head.inner[index])
    elif sinus == TRANSVERSE:
        # The sinus bends into the sigmoid, which comes after some 60 mm of its course.
        along = np.where(y > 34, out, 58 + (34 - y))
        stretch = np.minimum(np.minimum(along - 4, 14 + length_mm - along + 40 * start), -z - 2)
        stretch = np.minimum(np.minimum(stretch, y - 12), out - 3)
    else:
        stretch = np.minimum(np.minimum(8 - np.abs(x), y + 18), np.minimum(z + 22, 20 - z))
        stretch = np.minimum(stretch, z - np.where(y < 26, np.float32(0), np.float32(-30)))
    return index, np.minimum(depth, stretch).astype(np.float32)


def _cord(head: Head, side: int, y: float, lean: float) -> tuple[np.ndarray, Float32[np.ndarray, "m"]]:
    """A cortical vein that runs from the convexity up to the sagittal sinus."""
    sx, sy, sz = head.still
    index = np.flatnonzero((head.inner > 0) & (head.inner < 6) & (sz > 25) & head.side(side) & (np.abs(sy - y) < 25))
    out = np.abs(sx[index])
    path = sy[index] - y - np.float32(lean / 40) * out - 3 * np.sin(out * np.float32(0.16))
    depth = 1.7 - np.hypot(head.inner[index] - np.float32(2.2), path)
    return index, np.minimum(depth, 42 - out).astype(np.float32)


@lesion("venous_infarct")
def venous_infarct(case: Case) -> Paint:
    """Swollen dark brain across arterial borders, in half of the cases with bleeds in it."""
    body, hu = case.body, case.hu()
    sinus, side = sinus_of(body)
    spots = _spots(case, sinus, 1 if side == LEFT else -1)
    amount = case.graded(0.45, 0.95)
    bends = [draw_ripple(case.rng, 12, 40) for _ in spots]
    bleeds = [_bleeds(case, centre, radius) for centre, radius in spots] if case.chance(case.graded(0.3, 0.7)) else []
    for centre, radius in spots:
        body.push(centre, radius, case.graded(0.03, 0.2))
    if bleeds:
        body.claims.add("intraparenchymal_hemorrhage")

    def paint(head: Head) -> None:
        for (centre, radius), bend in zip(spots, bends, strict=True):
            _darken(head, centre, radius, bend, hu, amount)
        for centre, radius, stretch in (one for group in bleeds for one in group):
            _bleed(head, centre, radius, stretch, case)

    return paint


def _spots(case: Case, sinus: str, sign: int) -> list[tuple[Point, float]]:
    """Middle and radius of each infarct."""
    radius = case.size_mm() / 2
    if sinus == DEEP:
        return [((s * 12.0, 1.0, 6.0), min(radius, 15.0) * case.uniform(0.85, 1.1)) for s in (1, -1)]
    if sinus == TRANSVERSE:
        return [((sign * case.uniform(44, 54), case.uniform(-4, 26), case.uniform(-16, -4)), radius)]
    y = case.uniform(-40, 36)
    height = float(np.sqrt(max(0.0, 1 - (y / 95) ** 2)) * 58)
    both = (sign, -sign) if case.chance(0.45) else (sign,)
    found = []
    for each in both:
        centre = (each * case.uniform(16, 26), y + case.uniform(-8, 8), height - case.uniform(4, 12))
        found.append((centre, radius * case.uniform(0.7, 1)))
    return found


def _darken(head: Head, centre: Point, radius: float, bend: Ripple, hu: float, amount: float) -> None:
    """Oedema and infarct: white matter most, furrows closed."""
    index = head.near(centre, 1.6 * radius + 6)
    at = (head.x[index], head.y[index], head.z[index])
    offset = [a - np.float32(c) for a, c in zip(at, centre, strict=True)]
    depth = np.float32(radius) - np.sqrt(sum(o * o for o in offset)) + np.float32(0.22 * radius) * bend(at)
    depth = np.minimum(depth, offset[0] * np.sign(centre[0]) + np.float32(abs(centre[0]) - 1.5)).astype(np.float32)
    inside = (head.skull[index] > 0) & ~head.at("cerebellum", "tentorium", "brainstem")[index]
    brain = head.tissue_is("grey", "white")[index] & inside
    fluid = head.tissue_is("csf")[index] & inside & ~head.ventricular[index]
    weight = ramp(depth, 5.0) * brain * np.float32(amount) * np.where(head.tissue_is("white")[index], 1.0, 0.75)
    head.hu[index] += (np.float32(hu) + head.noise[index] - head.hu[index]) * weight
    shut = ramp(depth, 8.0) * fluid * np.float32(0.8 * amount)
    head.hu[index] += (np.float32(head.body.grey_hu - 5) - head.hu[index]) * shut
    shown = index[(depth > 0) & brain]
    head.tissue[shown] = T["infarct"]
    head.mark(shown, ["venous_infarct"])


def _bleeds(case: Case, centre: Point, radius: float) -> list[tuple[Point, float, Point]]:
    """Middle, radius and stretch of bleeds in an infarct."""
    found = []
    for _ in range(int(case.rng.integers(1, 5))):
        turn = case.rng.normal(0, 0.35 * radius, 3)
        place = (centre[0] + turn[0], centre[1] + turn[1], centre[2] + turn[2])
        long = case.uniform(1.0, 2.2)
        shape = (1.0, long, 1.0) if case.chance(0.5) else (1.0, 1.0, long)
        found.append((place, case.graded(0.12, 0.26) * radius * case.uniform(0.6, 1.2) + 1.5, shape))
    return found


def _bleed(head: Head, centre: Point, radius: float, stretch: Point, case: Case) -> None:
    index, depth = head.ball(centre, radius, stretch=stretch, rough=0.45)
    inside = (head.skull[index] > 0) & ~head.ventricular[index] & (head.x[index] * np.sign(centre[0]) > 1)
    hu = np.float32(case.graded(54, 66)) + 3 * head.noise[index]
    head.paint(index, ramp(depth, 1.5) * inside, hu, "acute_blood", ["intraparenchymal_hemorrhage", "venous_infarct"])

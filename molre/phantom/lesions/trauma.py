"""What a blow does to skull, scalp and brain."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.hemorrhage import _cosine
from molre.phantom.lesions.registry import any_side, lesion
from molre.phantom.shapes import Point, ramp
from molre.phantom.template import CENTRE_MM


def vault_place(rng: np.random.Generator) -> Point:
    """A direction to a random place of the vault, clear of the midline."""
    sign = any_side(rng)[1]
    azimuth, height = float(rng.uniform(-1.05, 1.05)), float(rng.uniform(-0.05, 0.65))
    return sign * float(np.cos(azimuth) * np.cos(height)), float(np.sin(azimuth)), float(np.sin(height))


def vault_frame(head: Head, index: np.ndarray, towards: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates on the vault about a direction: along the horizon, upwards (both mm at 75 mm), and the cosine."""
    offset = np.stack([a[index] - np.float32(c) for a, c in zip((head.x, head.y, head.z), CENTRE_MM, strict=True)])
    offset /= np.sqrt((offset**2).sum(0)) + np.float32(1)
    axis = np.asarray(towards) / np.linalg.norm(towards)
    along = np.cross((0, 0, 1), axis)
    along /= np.linalg.norm(along)
    up = np.cross(axis, along)
    first, second, third = (
        np.tensordot(d.astype(np.float32), offset, 1) * np.float32(75 if n < 2 else 1)
        for n, d in enumerate((along, up, axis))
    )
    return first, second, third


@lesion("calvarial_fracture", slot="vault")
def fracture(case: Case) -> Paint:
    """A dark line through both tables, straighter and darker than a suture.

    Idriz et al. 2015, Radiographics 35:1327.
    """
    rng, body = case.rng, case.body
    towards, angle = vault_place(rng), float(rng.uniform(0.9, 2.2))
    length, gap, bend = float(rng.uniform(28, 60)), float(rng.uniform(0.9, 1.8)), float(rng.uniform(-0.012, 0.012))

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.bone & (head.skull < 1) & (head.z > -25))
        along, up, cosine = vault_frame(head, index, towards)
        run, off = along * np.cos(angle) + up * np.sin(angle), -along * np.sin(angle) + up * np.cos(angle)
        off = off + np.float32(bend) * run * run + 0.6 * np.sin(run / 4)
        depth = np.minimum(gap - np.abs(off), (length - np.abs(run)) / 4)
        weight = ramp(np.where(cosine > 0, depth, -9).astype(np.float32), 0.8)
        head.paint(index, weight, 30.0, "muscle", ["calvarial_fracture"])

    return paint


@lesion("displaced_or_depressed_skull_fracture", slot="vault")
def depressed(case: Case) -> Paint:
    """A piece of vault driven in by its own thickness, with dark edges (Bullock et al. 2006, Neurosurgery 58:S56)."""
    rng, body = case.rng, case.body
    towards, size, sunk = vault_place(rng), float(rng.uniform(15, 24)), float(rng.uniform(5.5, 9))

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.skull > -14) & (head.skull < 16) & (head.z > -28))
        along, up, cosine = vault_frame(head, index, towards)
        radius = np.hypot(along, up) + 1.5 * head.noise[index]
        here = cosine > 0.5
        ring = ramp(np.where(here, 2.0 - np.abs(radius - size), -9).astype(np.float32))
        bone = head.bone[index]
        key = ["displaced_or_depressed_skull_fracture"]
        fall = sunk * np.clip(1.2 - (radius / size) ** 2 * 0.5, 0, 1)
        thick = np.float32(head.body.skull_mm)
        depth = head.skull[index]
        inside = here & (radius < size)
        left = inside & bone & (depth < fall - thick)
        head.paint(index, left.astype(np.float32), 48.0, "muscle", key)
        plate = inside & (depth < fall) & (depth > fall - thick)
        head.paint(index, plate.astype(np.float32), 1050 + 60 * head.noise[index], "bone", key)
        head.paint(index, ring * bone, 35.0, "muscle", key)

    return paint


@lesion("brain_contusion")
def contusion(case: Case) -> Paint:
    """Speckled blood and oedema under the frontal and temporal poles (Gentry 1994, Radiology 191:1)."""
    rng, body = case.rng, case.body
    sign = any_side(rng)[1]
    places = [
        (sign * rng.uniform(14, 30), rng.uniform(-74, -66), rng.uniform(-12, 6)),
        (sign * rng.uniform(40, 54), rng.uniform(-28, -12), rng.uniform(-26, -18)),
    ]
    chosen = places if rng.random() < 0.5 else [places[int(rng.integers(2))]]
    sites = [((float(x), float(y), float(z)), float(rng.uniform(8, 15))) for x, y, z in chosen]
    hu = float(rng.uniform(54, 68))

    def paint(head: Head) -> None:
        for centre, radius in sites:
            index, depth = head.ball(centre, radius, rough=0.25)
            brain = head.tissue_is("grey", "white")[index]
            head.paint(index, ramp(depth, 4.0) * brain * np.float32(0.85), 19.0, "oedema", ["brain_contusion"])
            speckle = np.minimum(depth + 1, (head.noise[index] + 0.25) * 4)
            head.paint(index, ramp(speckle.astype(np.float32), 2.0) * brain, hu, "acute_blood", ["brain_contusion"])

    return paint


@lesion("pneumocephalus")
def pneumocephalus(case: Case) -> Paint:
    """Air that rises beneath the frontal bone and lies as bubbles in fluid.

    Ishiwata et al. 1988, J Neurosurg 69:296.
    """
    rng, body = case.rng, case.body
    side, amount = any_side(rng)[0], float(rng.uniform(3, 13))
    bubbles = [
        (float(rng.uniform(-30, 30)), float(rng.uniform(-70, -30)), float(rng.uniform(-6, 40)))
        for _ in range(int(rng.integers(2, 6)))
    ]

    def paint(head: Head) -> None:
        index = np.flatnonzero(
            (head.skull > 0)
            & (head.skull < amount + 1)
            & (head.y < -30)
            & head.side(side)
            & (np.abs(head.x) > 1.5)
            & (head.z > -10)
        )
        level = -52.0 - 0.25 * (15 - amount)
        depth = np.minimum(
            amount * np.clip((level - head.y[index]) / 14 + 0.4, 0, 1) - head.skull[index],
            np.clip(level + 6 - head.y[index], -5, 5),
        )
        head.paint(index, ramp(depth.astype(np.float32)), -970.0, "pathological_air", ["pneumocephalus"])
        for centre in bubbles:
            index, depth = head.ball(centre, 2.6, rough=0.1)
            inside = head.tissue_is("csf", "grey")[index]
            head.paint(index, ramp(depth) * inside, -900.0, "pathological_air", ["pneumocephalus"])

    return paint


@lesion("scalp_hematoma")
def scalp(case: Case) -> Paint:
    """A crescent of 45-65 HU between galea and skull (Hiatt et al. 2019, Emerg Radiol 26:301)."""
    rng, body = case.rng, case.body
    towards, reach, hu = vault_place(rng), float(rng.uniform(0.3, 0.62)), float(rng.uniform(46, 64))

    def paint(head: Head) -> None:
        index = np.flatnonzero(
            (head.skull < -4) & ~head.bone & (head.z > -30) & head.tissue_is("fat", "muscle", "skin")
        )
        angle = np.arccos(np.clip(_cosine(head, index, towards), -1, 1)) + 0.03 * head.noise[index]
        weight = ramp((reach - angle).astype(np.float32), 0.1)
        head.paint(index, weight, hu + 5 * head.noise[index], "acute_blood", ["scalp_hematoma"])

    return paint

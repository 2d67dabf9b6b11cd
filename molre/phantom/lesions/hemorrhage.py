"""Blood inside the skull.

Fresh blood measures 50-70 HU, up to 80-90 as the clot retracts, and loses about 1.5 HU a day (Bergstroem et al. 1977,
J Comput Assist Tomogr 1:57; Parizel et al. 2001, Eur Radiol 11:1770).
"""

from __future__ import annotations

import numpy as np

from molre.phantom.body import Body
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, bulk, lesion, pick, side_of
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import S
from molre.phantom.template import CENTRE_MM

ACUTE_HU = (56.0, 72.0)
CHRONIC_HU = (12.0, 20.0)


def _cosine(head: Head, index: np.ndarray, towards: tuple[float, float, float]) -> np.ndarray:
    """Cosine of the angle at the middle of the brain between each voxel and a direction."""
    offset = [a[index] - np.float32(c) for a, c in zip((head.x, head.y, head.z), CENTRE_MM, strict=True)]
    unit = np.asarray(towards, np.float32) / np.float32(np.linalg.norm(towards))
    return sum(o * u for o, u in zip(offset, unit, strict=True)) / np.sqrt(sum(o * o for o in offset) + 1)


def _supratentorial(head: Head, thickness_mm: float) -> np.ndarray:
    shell = (
        (head.skull > -0.4)
        & (head.skull < thickness_mm + 1)
        & (head.structure != S["cerebellum"])
        & (head.structure != S["brainstem"])
    )
    return np.flatnonzero(shell & (head.z > -22))


def crescent(
    head: Head, side: int, towards: tuple[float, float, float], thickness_mm: float, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels near a crescent under the vault of one hemisphere and their depth in it; it ends at the falx."""
    index = _supratentorial(head, thickness_mm * 1.2)
    index = index[head.side(side)[index] & (np.abs(head.x[index]) > 1.5)]
    angle = np.arccos(np.clip(_cosine(head, index, towards), -1, 1))
    profile = np.clip(1.25 - (angle / reach) ** 2 * 1.25, -0.2, 1)
    thick = thickness_mm * profile * (1 + 0.08 * head.noise[index]) * np.clip(np.abs(head.x[index]) / 10, 0, 1)
    return index, (thick - np.maximum(head.skull[index], 0)).astype(np.float32)


def _crescent_place(rng: np.random.Generator) -> tuple[int, tuple[float, float, float], float, float]:
    side, sign = any_side(rng)
    towards = (sign * 1.0, float(rng.uniform(-0.55, 0.5)), float(rng.uniform(0.15, 0.7)))
    return side, towards, float(rng.uniform(6, 18)), float(rng.uniform(1.15, 1.5))


@lesion("acute_subdural_hematoma", slot="collection")
def acute_subdural(case: Case) -> Paint:
    """A bright crescent that crosses sutures and stops at the falx (Gennarelli and Thibault 1982, J Trauma 22:680)."""
    rng, body = case.rng, case.body
    side, towards, thickness, reach = _crescent_place(rng)
    hu = float(rng.uniform(*ACUTE_HU))
    bulk(rng, body, side, thickness / 18)

    def paint(head: Head) -> None:
        index, depth = crescent(head, side, towards, thickness, reach)
        head.paint(index, ramp(depth), hu + 2.5 * head.noise[index], "acute_blood", ["acute_subdural_hematoma"])

    return paint


@lesion("subacute_chronic_subdural_hematoma", slot="collection")
def chronic_subdural(case: Case) -> Paint:
    """A dark crescent, sometimes with brighter membranes, denser than fluid.

    Scotti et al. 1977, J Neurosurg 47:311.
    """
    rng, body = case.rng, case.body
    side, towards, thickness, reach = _crescent_place(rng)
    thickness += 2
    hu = float(rng.uniform(*CHRONIC_HU))
    bulk(rng, body, side, thickness / 20)

    def paint(head: Head) -> None:
        index, depth = crescent(head, side, towards, thickness, reach)
        value = hu + 2.0 * head.noise[index] + 5 * np.exp(-(((depth - 1.0) / 1.2) ** 2))
        head.paint(index, ramp(depth), value.astype(np.float32), "old_blood", ["subacute_chronic_subdural_hematoma"])

    return paint


@lesion("acute_on_chronic_subdural_hematoma", slot="collection")
def mixed_subdural(case: Case) -> Paint:
    """Fresh blood settled behind old fluid in one crescent (Lee et al. 1997, J Comput Assist Tomogr 21:1)."""
    rng, body = case.rng, case.body
    side, towards, thickness, reach = _crescent_place(rng)
    thickness += 3
    level, fresh, old = float(rng.uniform(-15, 20)), float(rng.uniform(*ACUTE_HU)), float(rng.uniform(*CHRONIC_HU))
    bulk(rng, body, side, thickness / 20)

    def paint(head: Head) -> None:
        index, depth = crescent(head, side, towards, thickness, reach)
        share = ramp(head.y[index] - level + 3 * head.noise[index], 6.0)
        hu = old + (fresh - old) * share
        marked = head.paint(index, ramp(depth), hu, "old_blood", ["acute_on_chronic_subdural_hematoma"])
        head.paint(marked, (head.y[marked] > level).astype(np.float32), head.hu[marked], "acute_blood")

    return paint


@lesion("epidural_hematoma", slot="collection")
def epidural(case: Case) -> Paint:
    """A bright lens between sutures, most often temporoparietal (Irie et al. 2005, Radiographics 25:1301)."""
    rng, body = case.rng, case.body
    side, sign = any_side(rng)
    towards = (sign * 1.0, float(rng.uniform(-0.5, 0.6)), float(rng.uniform(-0.1, 0.55)))
    thickness, reach, hu = float(rng.uniform(9, 26)), float(rng.uniform(0.42, 0.6)), float(rng.uniform(*ACUTE_HU))
    bulk(rng, body, side, thickness / 26)

    def paint(head: Head) -> None:
        index = _supratentorial(head, thickness)
        angle = np.arccos(np.clip(_cosine(head, index, towards), -1, 1))
        depth = thickness * (1 - (angle / reach) ** 2) - np.maximum(head.skull[index], 0)
        head.paint(
            index, ramp(depth.astype(np.float32)), hu + 3 * head.noise[index], "acute_blood", ["epidural_hematoma"]
        )

    return paint


@lesion("intraparenchymal_hemorrhage", slot="bleed")
def intraparenchymal(case: Case) -> Paint:
    """A bright ball in the putamen or thalamus (hypertensive) or in a lobe, with a dark rim.

    Qureshi 2001, NEJM 344:1450.
    """
    rng, body = case.rng, case.body
    deep = rng.random() < 0.55
    centre = (
        pick(rng, (14, -26, -4), (30, 8, 12), (20, 99), 1) if deep else pick(rng, (20, -60, 0), (56, 60, 50), (9, 24))
    )
    radius, hu = float(rng.uniform(7, 21)), float(rng.uniform(58, 74))
    stretch = float(rng.uniform(0.7, 0.9)), float(rng.uniform(0.9, 1.3)), float(rng.uniform(0.8, 1.1))
    rim = float(rng.uniform(2, 5)) if radius > 10 and rng.random() < 0.7 else 0.0
    if rim:
        body.claims.add("cerebral_edema")
    inner = body.push(centre, radius, 0.55) if radius > 12 else radius
    bulk(rng, body, side_of(centre), (radius - 5) / 22)

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, inner, stretch=stretch, rough=0.13)
        if rim:
            brain = head.tissue_is("grey", "white")[index]
            head.paint(index, ramp(depth + rim, 3.0) * brain, 19.0, "oedema", ["cerebral_edema"])
        head.paint(index, ramp(depth), hu + 3 * head.noise[index], "acute_blood", ["intraparenchymal_hemorrhage"])

    return paint


@lesion("intraventricular_hemorrhage")
def intraventricular(case: Case) -> Paint:
    """Blood that settles in the occipital horns, or a cast of one ventricle (Graeb et al. 1982, Radiology 143:91)."""
    rng, body = case.rng, case.body
    hu, cast, side = float(rng.uniform(55, 75)), rng.random() < 0.4, any_side(rng)[0]
    for each in (0, 1):
        body.ventricle_mm[each] += float(rng.uniform(0.8, 2.2))
    level = float(rng.uniform(18, 32))

    def paint(head: Head) -> None:
        fill = head.ventricular & (head.y > level + 3 * head.noise) & (head.z > -14)
        if cast:
            fill |= head.ventricular & head.side(side) & (head.z > -5) & (head.noise > -0.8)
        index = np.flatnonzero(fill)
        head.paint(
            index,
            np.full(len(index), 0.95, np.float32),
            hu + 3 * head.noise[index],
            "acute_blood",
            ["intraventricular_hemorrhage"],
        )

    return paint


@lesion("aneurysmal_pattern_subarachnoid_hemorrhage", slot="subarachnoid")
def aneurysmal(case: Case) -> Paint:
    """Blood in the basal cisterns and Sylvian fissures, thick as Fisher 3 (Fisher et al. 1980, Neurosurgery 6:1)."""
    rng, body = case.rng, case.body
    hu, reach = float(rng.uniform(52, 70)), float(rng.uniform(0.2, 1.0))
    body.cistern_mm += float(rng.uniform(0.5, 1.3))

    def paint(head: Head) -> None:
        near = np.sqrt(head.x**2 + (head.y + 14) ** 2 + (head.z + 18) ** 2)
        depth = head.cistern + np.float32(head.body.cistern_mm)
        index = np.flatnonzero(
            (depth > -1) & (head.skull > 0) & (near < 30 + 38 * reach + 6 * head.noise) & (head.z > -45)
        )
        head.paint(
            index,
            ramp(depth[index], 1.2) * np.float32(0.95),
            hu + 4 * head.noise[index],
            "acute_blood",
            ["aneurysmal_pattern_subarachnoid_hemorrhage"],
        )

    return paint


@lesion("subarachnoid_hemorrhage", slot="subarachnoid")
def convexity(case: Case) -> Paint:
    """Blood that fills furrows over a part of the convexity (Kumar et al. 2010, Neurology 74:893)."""
    rng, body = case.rng, case.body
    return sulcal_blood(rng, body, "subarachnoid_hemorrhage")


@lesion("traumatic_subarachnoid_hemorrhage", slot="subarachnoid")
def traumatic(case: Case) -> Paint:
    """Blood in furrows beneath the site of impact, not in the suprasellar cistern.

    Armin et al. 2006, J Neurosurg 104:3.
    """
    rng, body = case.rng, case.body
    return sulcal_blood(rng, body, "traumatic_subarachnoid_hemorrhage")


def sulcal_blood(rng: np.random.Generator, body: Body, key: str) -> Paint:
    """Bright furrows around a place on the convexity."""
    side, sign = any_side(rng)
    towards = (sign * 1.0, float(rng.uniform(-0.7, 0.7)), float(rng.uniform(0.1, 0.9)))
    hu, reach = float(rng.uniform(52, 68)), float(rng.uniform(0.45, 0.9))
    body.sulcus_mm[side] += 0.45
    body.gap_mm += 0.3

    def paint(head: Head) -> None:
        near = np.flatnonzero(
            head.tissue_is("csf") & ~head.ventricular & head.side(side) & (head.skull < 20) & (head.z > -20)
        )
        angle = np.arccos(np.clip(_cosine(head, near, towards), -1, 1)) + 0.06 * head.noise[near]
        weight = 0.95 * ramp((reach - angle).astype(np.float32), 0.15)
        head.paint(near, weight, hu + 4 * head.noise[near], "acute_blood", [key])

    return paint

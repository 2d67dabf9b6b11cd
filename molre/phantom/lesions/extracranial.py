"""Sinuses, ear, orbit, vault and scalp."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, lesion
from molre.phantom.lesions.trauma import vault_frame, vault_place
from molre.phantom.shapes import ramp


@lesion("paranasal_sinus_disease")
def sinus(case: Case) -> Paint:
    """A fluid level or full opacification of some sinuses at 10-35 HU (Lund and Mackay 1993, Rhinology 31:183)."""
    rng, body = case.rng, case.body
    names = ["maxillary", "sphenoid", "ethmoid", "frontal"]
    chosen = [name for name in names if rng.random() < 0.55] or ["maxillary", "sphenoid"]
    if chosen == ["maxillary"]:
        # The maxillary sinuses can lie below the lowest slice.
        chosen.append("ethmoid")
    hu, sides = float(rng.uniform(12, 36)), int(rng.integers(3))
    level = rng.random() < 0.4

    def paint(head: Head) -> None:
        for name in chosen:
            where = head.at(name)
            if sides < 2 and name in ("maxillary",):
                where &= head.side(sides)
            index = np.flatnonzero(where)
            if level and name in ("maxillary", "sphenoid") and len(index):
                # A supine patient's fluid lies at the back.
                index = index[head.y[index] > np.median(head.y[index]) - 2]
            head.paint(
                index, np.ones(len(index), np.float32), hu + 3 * head.noise[index], "fluid", ["paranasal_sinus_disease"]
            )

    return paint


@lesion("mastoid_or_middle_ear_effusion")
def mastoid(case: Case) -> Paint:
    """Air cells filled with fluid on one side or both (Swartz 1983, Radiology 148:449)."""
    rng, body = case.rng, case.body
    side, both, hu = any_side(rng)[0], rng.random() < 0.35, float(rng.uniform(15, 42))

    def paint(head: Head) -> None:
        where = head.at("mastoid_air")
        if not both:
            where &= head.side(side)
        index = np.flatnonzero(where)
        head.paint(index, np.ones(len(index), np.float32), hu, "fluid", ["mastoid_or_middle_ear_effusion"])

    return paint


@lesion("orbital_abnormality")
def orbit(case: Case) -> Paint:
    """A mass behind the globe, or blood inside it (Kubal 2008, Radiographics 28:1871)."""
    rng, body = case.rng, case.body
    sign, inside = any_side(rng)[1], rng.random() < 0.35
    hu = float(rng.uniform(60, 75)) if inside else float(rng.uniform(42, 56))

    def paint(head: Head) -> None:
        if inside:
            index = np.flatnonzero(head.at("vitreous") & (head.x * sign > 0) & (head.y > -86 + 2 * head.noise))
            head.paint(index, np.ones(len(index), np.float32), hu, "acute_blood", ["orbital_abnormality"])
            return
        index, depth = head.ball((sign * 25.0, -62.0, -35.0), 9.0, rough=0.1)
        soft = head.at("orbit_fat", "orbit_soft")[index]
        head.paint(index, ramp(depth) * soft, hu, "tumour", ["orbital_abnormality"])

    return paint


def _plaque(head: Head, towards: tuple[float, float, float], radius: float) -> tuple[np.ndarray, np.ndarray]:
    index = np.flatnonzero((head.skull < 1.0) & (head.skull > -16) & head.bone & (head.z > -25))
    along, up, cosine = vault_frame(head, index, towards)
    depth = radius - np.hypot(along, up) + 1.2 * head.noise[index]
    return index, np.where(cosine > 0.3, depth, -9).astype(np.float32)


@lesion("osteolytic_bone_lesion", slot="vault")
def lytic(case: Case) -> Paint:
    """Punched-out holes of soft tissue through the tables (Gomez et al. 2018, Insights Imaging 9:963)."""
    rng, body = case.rng, case.body
    sites = [(vault_place(rng), float(rng.uniform(5.5, 11))) for _ in range(int(rng.integers(1, 5)))]
    hu = float(rng.uniform(38, 58))

    def paint(head: Head) -> None:
        for towards, radius in sites:
            index, depth = _plaque(head, towards, radius)
            head.paint(index, ramp(depth), hu, "tumour", ["osteolytic_bone_lesion"])

    return paint


@lesion("osteosclerotic_bone_lesion", slot="vault2")
def sclerotic(case: Case) -> Paint:
    """An ivory knob on the outer table, or dense patches that fill the diploe.

    Gomez et al. 2018, Insights Imaging 9:963.
    """
    rng, body = case.rng, case.body
    towards, radius, knob = vault_place(rng), float(rng.uniform(9, 15)), rng.random() < 0.6
    hu = float(rng.uniform(1700, 2300))

    def paint(head: Head) -> None:
        index, depth = _plaque(head, towards, radius)
        head.paint(index, ramp(depth), hu, "bone", ["osteosclerotic_bone_lesion"])
        if knob:
            near = np.flatnonzero((head.skull < -4) & (head.skull > -18) & (head.z > -25))
            along, up, cosine = vault_frame(head, near, towards)
            height = head.body.skull_mm + 6.5 * (1 - (np.hypot(along, up) / radius) ** 2) + head.skull[near]
            weight = ramp(np.where((cosine > 0.3) & (head.skin[near] > 1), height, -9).astype(np.float32))
            head.paint(near, weight, hu, "bone", ["osteosclerotic_bone_lesion"])

    return paint


@lesion("scalp_or_neck_soft_tissue_mass")
def scalp_mass(case: Case) -> Paint:
    """A round nodule in the scalp, such as a trichilemmal cyst.

    Kamath and Desai 2020, Indian J Radiol Imaging 30:81.
    """
    rng, body = case.rng, case.body
    towards, radius, hu = vault_place(rng), float(rng.uniform(8, 12)), float(rng.uniform(30, 55))

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.skull < -4) & ~head.bone & (head.z > -30))
        along, up, cosine = vault_frame(head, index, towards)
        depth = radius - np.hypot(along, up)
        head.paint(
            index,
            ramp(np.where(cosine > 0.3, depth, -9).astype(np.float32)),
            hu,
            "tumour",
            ["scalp_or_neck_soft_tissue_mass"],
        )

    return paint

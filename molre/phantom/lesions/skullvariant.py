"""Skulls that look broken or diseased and are neither."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.fracture import BONE_HU
from molre.phantom.lesions.registry import mimic
from molre.phantom.lesions.vault import chart, direction, thickness_mm
from molre.phantom.shapes import Point, ramp


@mimic("accessory_suture")
def accessory_suture(case: Case) -> Paint:
    """A zigzag line with dense margins: an unfused metopic suture, or one that splits off a parietal bone."""
    towards = direction(-np.pi / 2, 0.5) if case.chance(0.6) else direction(case.side()[1] * 0.2, 0.5)
    length, wide = case.size_mm(), case.uniform(0.5, 0.9)
    waves, phase = case.uniform(0.7, 1.3), case.uniform(0, 6.3)

    def paint(head: Head) -> None:
        found = chart(head, towards, length / 2 + 6)
        bone = head.hu[found.index] > BONE_HU
        jag = 1.6 * np.sin(np.float32(waves) * found.v + np.float32(phase)) + 0.9 * head.noise[found.index]
        # The inner table's suture runs straight.
        away = np.abs(found.u - jag * np.clip(found.layer, 0.15, 1))
        fade = np.clip((np.float32(length / 2) - np.abs(found.v)) / 6, 0, 1)
        rim = ramp((np.float32(1.8) - away).astype(np.float32)) * fade * bone
        head.paint(found.index, rim * np.float32(0.5), 1300.0, "bone")
        head.paint(found.index, ramp((np.float32(wide / 2) - away).astype(np.float32)) * fade * bone, 80.0, "bone")

    return paint


@mimic("parietal_thinning")
def parietal_thinning(case: Case) -> Paint:
    """Flat hollows of the outer table high on both parietal bones; the inner table is whole."""
    sites = [
        (direction(0.5 if sign > 0 else np.pi - 0.5, 0.85), case.size_mm(), case.uniform(0.35, 0.7)) for sign in (1, -1)
    ]

    def paint(head: Head) -> None:
        for towards, radius, share in sites:
            found = chart(head, towards, 1.4 * radius + 4)
            thick = thickness_mm(head, found.index)
            profile = np.clip(1.1 - (np.hypot(found.u, found.v) / np.float32(radius)) ** 2, 0, 1)
            left = thick * (1 - np.float32(share) * profile)
            gone = ramp((-found.depth - left).astype(np.float32)) * (profile > 0) * (head.hu[found.index] > BONE_HU)
            head.paint(found.index, gone, -40.0, "fat")

    return paint


@mimic("hyperostosis_frontalis")
def hyperostosis_frontalis(case: Case) -> Paint:
    """Wavy thickening of the inner table of both frontal bones that spares the midline."""
    thick, hu = case.size_mm(), case.uniform(700, 1200)
    lobes = (case.uniform(0, 6.3), case.uniform(0, 6.3))

    def paint(head: Head) -> None:
        found = chart(head, direction(-np.pi / 2, 0.35), 62.0, low_mm=-2.0, high_mm=1.6 * thick + 2)
        noise = head.noise[found.index]
        side = np.clip((np.abs(found.u) - 4) / 12, 0, 1) * np.clip((58 - np.abs(found.u)) / 18, 0, 1)
        wave = 0.75 + 0.25 * np.sin(found.u / 6 + lobes[0]) * np.cos(found.v / 7 + lobes[1]) + 0.12 * noise
        height = np.float32(thick) * side * np.clip((34 - np.abs(found.v)) / 14, 0, 1) * wave
        weight = ramp(np.where(height > 0.5, height - found.depth, -9).astype(np.float32))
        head.paint(found.index, weight, (np.float32(hu) + 60 * noise).astype(np.float32), "bone")

    return paint


@mimic("skin_calcification")
def skin_calcification(case: Case) -> Paint:
    """A few specks of calcium in the skin, as scars of acne leave them."""
    count, hu = int(case.rng.integers(2, 7)), case.hu()
    sites = [
        (direction(case.uniform(-np.pi, np.pi), case.uniform(-0.1, 0.8)), 0.5 * case.size_mm()) for _ in range(count)
    ]

    def paint(head: Head) -> None:
        for towards, radius in sites:
            found = chart(head, towards, radius + 3, low_mm=-30.0, high_mm=-5.0)
            skin = head.skin[found.index]
            away = np.sqrt(found.u**2 + found.v**2 + (skin - 2) ** 2)
            weight = ramp((np.float32(radius) - away).astype(np.float32)) * (skin > 0.3)
            head.paint(found.index, weight, hu, "calcification")

    return paint


@mimic("venous_air")
def venous_air(case: Case) -> Paint:
    """Pinheads of air in the cavernous sinuses that came with an infusion."""
    sites: list[tuple[Point, float]] = [
        ((case.side()[1] * case.uniform(9, 14), case.uniform(-22, -8), case.uniform(-36, -30)), 0.5 * case.size_mm())
        for _ in range(int(case.rng.integers(1, 4)))
    ]

    def paint(head: Head) -> None:
        for centre, radius in sites:
            index, depth = head.ball(centre, radius, rough=0.05)
            soft = ~head.bone[index] & ~head.tissue_is("air_space")[index]
            head.paint(index, ramp(depth) * soft, -900.0, "pathological_air")

    return paint

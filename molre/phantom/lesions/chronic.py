"""What age and small-vessel disease do to the brain: shrinkage, dark white matter, wide perivascular spaces."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.ripple import draw_ripple
from molre.phantom.shapes import Point, ramp
from molre.phantom.tissue import T

LEAST_ATROPHY = 0.56
"""General atrophy of the slightest drawn case: beyond what healthy heads of any age reach, which is 0.42."""


def usual_atrophy(age_years: float) -> float:
    """Mean general atrophy of healthy heads of an age, as ``body.draw_body`` has it."""
    return 0.03 + 0.35 * float(np.clip((age_years - 45) / 45, 0, 1))


@lesion("cerebral_atrophy")
def atrophy(case: Case) -> Paint:
    """Furrows, fissures and ventricles wider than age explains, everywhere or most in some lobes."""
    body, place = case.body, case.place()
    lobar = 0.0 if place == "general" else case.graded(1.2, 4.5)
    beyond = usual_atrophy(body.age_years) + case.graded(0.2, 0.95) + case.uniform(-0.03, 0.05)
    total = max(LEAST_ATROPHY, beyond * (0.75 if lobar else 1))
    body.age_brain(total - body.atrophy)
    body.atrophy = total
    sides = ((LEFT, lobar), (RIGHT, lobar * case.uniform(0.4, 1.0)))
    if case.chance(0.5):
        sides = ((LEFT, sides[1][1]), (RIGHT, lobar))

    def paint(head: Head) -> None:
        for side, wider_mm in sides:
            if wider_mm:
                _shrink(head, side, place, wider_mm)
        fluid = head.tissue_is("csf") & (head.skull > 0) & (head.z > -20) & ~head.at("cerebellum", "brainstem")
        head.mark(np.flatnonzero(fluid), ["cerebral_atrophy"])

    return paint


def _shrink(head: Head, side: int, place: str, wider_mm: float) -> None:
    """Widen the horn, the furrows and the gap to the skull of one lobe."""
    index = np.flatnonzero(head.side(side) & (head.inner > 0) & (head.z > -40) & ~head.at("cerebellum", "brainstem"))
    x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
    if place == "frontal":
        share = ramp(-y - 30, 30.0)
    elif place == "temporal":
        share = ramp(-4 - z + np.float32(0.3) * y, 16.0) * ramp(x - 20, 10.0) * ramp(34 - y, 14.0)
    else:
        share = ramp(y - 20, 30.0) * ramp(z - 12, 20.0)
    index, share = index[share > 0], share[share > 0] * np.float32(wider_mm)
    wall = head.ventricle[index] + np.float32(head.body.ventricle_mm[side]) + np.float32(0.8) * share
    wall = np.where(np.abs(head.x[index]) > 3, wall, -9)
    gap = share * np.float32(0.7) + np.float32(head.body.gap_mm) - head.inner[index]
    fluid = np.maximum(ramp(wall.astype(np.float32)), ramp(gap.astype(np.float32)) * (head.skull[index] < 12))
    # Furrows open first where they were already partly fluid.
    partly = np.clip((head.body.white_hu - 1 - head.hu[index]) / 8, 0, 1) * np.clip(share * np.float32(0.3), 0, 1)
    fluid = np.maximum(fluid, partly) * head.tissue_is("grey", "white", "csf")[index]
    head.paint(index, fluid.astype(np.float32), head.body.csf_hu, "csf")


@lesion("cerebellar_atrophy")
def cerebellar(case: Case) -> Paint:
    """Wide fissures between the folia, a wide fourth ventricle, fluid around a small cerebellum and vermis."""
    body, place = case.body, case.place()
    body.cerebellar_atrophy += case.graded(0.7, 2.4)
    body.fourth_mm += case.graded(0.6, 2.6)
    width, spacing, turn = case.graded(0.25, 1.8), case.uniform(4.6, 6.4), case.uniform(0, 6.28)
    tilt = case.uniform(0.5, 0.9)

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.at("cerebellum") & (head.skull > 0))
        vermis = np.abs(head.x[index]) < 9
        # Fissures run round the hemispheres, deeper and wider over the upper vermis.
        wave = np.sin(
            (np.float32(tilt) * head.y[index] - head.z[index] + np.float32(0.2) * np.abs(head.x[index]))
            * np.float32(2 * np.pi / spacing)
            + head.noise[index]
            + np.float32(turn)
        )
        reach = np.where(vermis, np.float32(22), np.float32(13 if place == "hemispheres" else 8))
        open_mm = np.float32(width) * np.clip((reach + 4 * head.noise[index] - head.skull[index]) / 6, -1, 1)
        furrow = (wave - 1) * np.float32(spacing / 4) + open_mm
        head.paint(index, ramp(furrow.astype(np.float32), 1.6), head.body.csf_hu, "csf")
        fluid = head.at("cerebellum") & head.tissue_is("csf") | head.ventricular & (head.z < -18) & (head.y > 14)
        head.mark(np.flatnonzero(fluid), ["cerebellar_atrophy"])

    return paint


@lesion("small_vessel_ischemic_disease")
def small_vessel(case: Case) -> Paint:
    """Caps and rims about the lateral ventricles, then patches, then one dark band through all white matter."""
    body, hu = case.body, case.hu()
    width, amount = case.size_mm(), case.graded(0.4, 0.95)
    spread = case.graded(-1.9, 0.9)
    patches, edge = draw_ripple(case.rng, 14, 44, 7), draw_ripple(case.rng, 18, 50)
    horns = (case.uniform(0.7, 1.4), case.uniform(0.7, 1.5))
    uneven = case.uniform(0.85, 1.15)

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.tissue_is("white") & (head.z > -4) & (np.abs(head.x) > 3) & (head.skull > 8)
                               & ~head.at("callosum", "brainstem", "cerebellum"))  # fmt: skip
        at = (head.x[index], head.y[index], head.z[index])
        left = at[0] > 0
        grown = np.where(left, body.ventricle_mm[0], body.ventricle_mm[1]).astype(np.float32)
        ends = np.where(at[1] < -34, horns[0], np.where(at[1] > 22, horns[1], 0.55)) * np.where(left, uneven, 1)
        margin = 1 + np.float32(0.3) * edge(at) + np.float32(0.12) * head.noise[index]
        rim = head.ventricle[index] + grown + np.float32(width) * ends.astype(np.float32) * margin
        deep = np.minimum(head.skull[index] - 14, 9.0) * np.float32(0.5)
        patch = np.minimum((patches(at) + np.float32(spread) - 0.4) * 4, deep)
        patch = np.where(at[2] > 14, patch, -9)
        weight = ramp(np.maximum(rim, patch).astype(np.float32), 5.0) * np.float32(amount)
        head.hu[index] += np.minimum(hu + head.noise[index] - head.hu[index], 0) * weight
        shown = index[weight > 0.5 * amount]
        head.tissue[shown] = T["scar"]
        head.mark(shown, ["small_vessel_ischemic_disease"])

    return paint


@lesion("enlarged_perivascular_spaces")
def perivascular(case: Case) -> Paint:
    """Clusters of smooth fluid-filled tubes below the lentiform nuclei, where the arteries enter."""
    body = case.body
    sides = (1, -1) if case.chance(0.65) else (case.side()[1],)
    tubes: list[tuple[Point, float, Point]] = []
    for sign in sides:
        middle = case.rng.uniform((19, -20, -8), (24, -10, -3))
        for _ in range(int(case.rng.integers(2, 4 + round(3 * case.severity)))):
            x, y, z = middle + case.rng.normal(0, (2.6, 4.2, 1.5))
            radius = max(1.4, case.size_mm() / 2 * case.uniform(0.7, 1.05))
            shape = (1.0, case.uniform(0.9, 1.5), case.uniform(1.3, 2.4))
            tubes.append(((sign * float(x), float(y), float(z)), radius, shape))

    def paint(head: Head) -> None:
        for centre, radius, shape in tubes:
            index, depth = head.ball(centre, radius, stretch=shape, rough=0.05)
            brain = ~head.at("brainstem")[index] & head.tissue_is("grey", "white")[index]
            shown: Float32[np.ndarray, "m"] = ramp(depth) * brain
            head.paint(index, shown, body.csf_hu, "csf", ["enlarged_perivascular_spaces"])

    return paint

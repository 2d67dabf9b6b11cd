"""Cysts and lipomas: what was there from birth."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.extraaxial import toward_vault
from molre.phantom.lesions.fossa import press_hind
from molre.phantom.lesions.mass import Lump, below_vault, contrast, dam, fill, inside, lump, press
from molre.phantom.lesions.registry import lesion, mimic
from molre.phantom.lesions.tumour import SPECKS
from molre.phantom.shapes import Point, ramp, tube

MONRO_MM = (0.0, -19.0, 9.5)
HIND = "posterior_fossa_or_cpa_mass"


@lesion("arachnoid_cyst", slot="cyst")
def arachnoid_cyst(case: Case) -> Paint:
    """A sharp pool of fluid between brain and skull, and brain displaced by it."""
    place, sign = case.place(), case.side()[1]
    solid = _pool(case, place, sign)
    keys = ["arachnoid_cyst"]
    if place == "middle_fossa":
        _displace_temporal_lobe(case, solid, sign)
    elif place in ("retrocerebellar", "cerebellopontine_angle"):
        keys.append(HIND)
        press_hind(case, solid.centre, solid.radius_mm, 0.75)
    else:
        press(case, solid.centre, solid.radius_mm, 0.75)
        if place == "suprasellar":
            dam(case.body, 0.35 * (solid.radius_mm - 6), third=-1.0)
    case.body.claims |= set(keys)
    hu, thin = case.body.csf_hu + case.uniform(-1, 2), case.graded(0, 0.6)

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        head.paint(index, ramp(depth) * inside(head, index), hu, "cyst", keys)
        _thin_bone(head, solid, thin)

    return paint


def _pool(case: Case, place: str, sign: int) -> Lump:
    radius, rng = case.size_mm(), case.rng
    if place == "middle_fossa":
        # Galassi I lies before the pole; II and III reach back along the Sylvian fissure.
        centre: Point = (sign * 42.0, -36.0 + 0.55 * radius, -24.0 + 0.25 * radius)
        return lump(rng, centre, 0.95 * radius, rough=0.07, stretch=(0.85, 1.3, 0.95))
    if place == "convexity":
        centre = below_vault(toward_vault(case, 0.1, 0.9), 0.3 * radius)
        return lump(rng, centre, 0.85 * radius, rough=0.05, stretch=0.15)
    if place == "retrocerebellar":
        centre = (case.uniform(-9, 9), 84.0 - 0.7 * radius, case.uniform(-40, -30))
        return lump(rng, centre, 0.85 * radius, rough=0.05, stretch=(1.2, 0.85, 1.0))
    if place == "suprasellar":
        return lump(rng, (0.0, -15.0, -26.0 + 0.5 * radius), 0.65 * radius, rough=0.04, stretch=0.06)
    return lump(rng, (sign * 26.0, 15.0, -36.0), 0.6 * radius, rough=0.06, stretch=0.12)


def _displace_temporal_lobe(case: Case, solid: Lump, sign: int) -> None:
    """The lobe is small and moves back and up."""
    radius = solid.radius_mm
    press(case, solid.centre, 1.05 * radius, 0.7)
    if radius > 16:
        case.body.slide((sign * 40.0, -8.0, -10.0), (-sign * 0.1 * radius, 0.12 * radius, 0.12 * radius), radius)
        case.body.claims.add("mass_effect")


def _thin_bone(head: Head, solid: Lump, share: float) -> None:
    """Bone scalloped from within."""
    index, depth = solid.depth(head)
    bone = head.bone[index] & (depth > -5)
    eaten = ramp(np.float32(4 * share) + head.inner[index], 1.5) * ramp(depth + 4, 3.0) * bone
    head.paint(index, eaten, head.body.csf_hu, "cyst")
    head.bone[index[eaten > 0.5]] = False


@lesion("colloid_cyst", slot="ventricles")
def colloid_cyst(case: Case) -> Paint:
    """A round cyst at the foramina of Monro that dams both lateral ventricles once it is large."""
    radius, hu = case.size_mm(), case.hu()
    hu = contrast(case, hu, case.body.csf_hu)
    dam(case.body, 0.75 * (radius - 3.4), third=-0.6)
    solid = lump(case.rng, MONRO_MM, radius, rough=0.03, stretch=0.05)

    def paint(head: Head) -> None:
        # It hangs in the ventricle and moves with it.
        index, depth = head.ball(solid.centre, radius, rough=0.02)
        head.paint(index, ramp(depth), hu + head.noise[index], "cyst", ["colloid_cyst"])

    return paint


@lesion("intracranial_lipoma")
def lipoma(case: Case) -> Paint:
    """Fat about the corpus callosum or in a cistern."""
    place, radius, hu = case.place(), case.size_mm(), case.hu()
    keys = ["intracranial_lipoma"]
    if place == "pericallosal_ribbon":
        return _ribbon(case, 0.42 * radius, hu, keys)
    sign = case.side()[1]
    centre: Point = {
        "pericallosal_nodule": (0.0, case.uniform(-52, -40), case.uniform(14, 26)),
        "quadrigeminal": (sign * case.uniform(0, 3), case.uniform(24, 28), case.uniform(-8, -2)),
        "suprasellar": (sign * case.uniform(0, 4), case.uniform(-12, -7), case.uniform(-20, -16)),
        "cerebellopontine_angle": (sign * 22.0, 10.0, -36.0),
    }[place]
    size = 1.3 * radius if place == "pericallosal_nodule" else 0.75 * radius
    solid = lump(case.rng, centre, size, rough=0.1, stretch=0.15)
    press(case, centre, size, 0.6)
    rim = place == "pericallosal_nodule" and case.chance(0.6)
    if place == "cerebellopontine_angle":
        keys.append(HIND)
    case.body.claims |= set(keys) | ({SPECKS[0]} if rim else set())

    def paint(head: Head) -> None:
        index, depth = fill(head, solid, hu, "fat", keys)
        if rim:
            shell = np.minimum(1.4 - np.abs(depth), np.abs(head.still[0][index]) - 0.5 * size).astype(np.float32)
            head.paint(index, ramp(shell), 260.0, "calcification", [*keys, *SPECKS])

    return paint


def _ribbon(case: Case, thick: float, hu: float, keys: list[str]) -> Paint:
    """A curved band that hugs the upper side and the splenium of the corpus callosum."""
    front, end = case.uniform(-10, 8), case.uniform(1.0, 1.6)
    angles = np.linspace(0.0, end, 7)
    arc = [(case.uniform(-1, 1), 2 + 1.35 * 33 * float(np.sin(a)), -4 + 33 * float(np.cos(a))) for a in angles]
    points = [(0.0, front, 30.0, 0.6 * thick), *((*p, max(thick, 1.1)) for p in arc)]

    def paint(head: Head) -> None:
        index = head.near((0.0, 22.0, 14.0), 36)
        index = index[np.abs(head.x[index]) < 8]
        # The ribbon is thin from side to side no more than it is high.
        depth = tube((head.x[index] * np.float32(0.7), head.y[index], head.z[index]), points)
        head.paint(index, ramp(depth), hu, "fat", keys)

    return paint


@mimic("choroid_xanthogranuloma")
def xanthogranuloma(case: Case) -> Paint:
    """Round swollen calcified plexus in both atria."""
    radius, hu = case.size_mm(), case.hu()
    sides = [lump(case.rng, (s * 24.0, 27.0, 10.0), radius * case.uniform(0.7, 1), rough=0.1) for s in (1, -1)]

    def paint(head: Head) -> None:
        for solid in sides:
            index, depth = solid.depth(head)
            wet = head.ventricular[index] | head.at("choroid")[index]
            head.paint(index, ramp(depth) * wet, 32.0, "grey")
            speck = np.minimum(depth, 2 * (solid.grain(head, index) - np.float32(0.2))).astype(np.float32)
            head.paint(index, ramp(speck) * wet, hu, "calcification")

    return paint

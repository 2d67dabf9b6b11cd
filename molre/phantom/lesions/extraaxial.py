"""Masses of the meninges and other coverings of the brain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import (
    Lump,
    below_vault,
    contrast,
    fill,
    inside,
    lump,
    near,
    press,
    swell,
    vasogenic,
    weigh,
)  # fmt: skip
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.tumour import SPECKS, calcify
from molre.phantom.shapes import Point, ramp

KEY = ["extra_axial_mass_other"]
SCLEROSIS, LYSIS = "osteosclerotic_bone_lesion", "osteolytic_bone_lesion"


def toward_vault(case: Case, low: float = 0.05, high: float = 0.95) -> Point:
    """A direction to the convexity, at a height from the level of the middle (0) to the vertex (1)."""
    turn, height = case.uniform(-1.25, 1.25), case.uniform(low, high)
    level = float(np.sqrt(1 - height**2))
    return case.side()[1] * level * float(np.cos(turn)), level * float(np.sin(turn)), height


def _meningioma_centre(case: Case, place: str, radius: float) -> Point:
    sign = case.side()[1]
    if place == "convexity":
        return below_vault(toward_vault(case), 0.42 * radius)
    if place == "falx":
        return sign * 0.4 * radius, case.uniform(-50, 50), case.uniform(38, 62)
    at: Point = {
        "sphenoid_wing": (sign * case.uniform(22, 42), -38.0, -13.0 + 0.3 * radius),
        "olfactory_groove": (sign * case.uniform(0, 5), case.uniform(-66, -54), -20.0 + 0.6 * radius),
        "tentorium": (sign * case.uniform(20, 36), case.uniform(40, 54), -13.0 + 0.5 * radius),
        "cerebellopontine_angle": (sign * 27.0, case.uniform(12, 20), -36.0),
    }[place]
    return at


def _meningioma_keys(case: Case, place: str, hyperostosis: bool, calcified: bool) -> list[str]:
    keys = ["meningioma"]
    if place == "cerebellopontine_angle":
        keys.append("posterior_fossa_or_cpa_mass")
    case.body.claims |= set(keys)
    case.body.claims |= {SCLEROSIS} if hyperostosis else set()
    case.body.claims |= {SPECKS[0]} if calcified else set()
    return keys


@lesion("meningioma", slot="mass2")
def meningioma(case: Case) -> Paint:
    """A dense half-ball on the dura, with a cleft of fluid towards the brain."""
    place, radius = case.place(), case.size_mm()
    hind = place == "cerebellopontine_angle"
    radius *= 0.75 if hind else 1.0
    centre = _meningioma_centre(case, place, radius)
    hu, calcium = contrast(case, case.hu()), case.uniform(110, 300) if case.chance(0.24) else 0.0
    bony = place in ("convexity", "sphenoid_wing") and radius > 9 and case.chance(0.35)
    keys = _meningioma_keys(case, place, bony, calcium > 0)
    solid = lump(case.rng, centre, radius, rough=0.075, stretch=0.11, lobes=(1.5, 3.5))
    halo = case.graded(4, 15) if not hind and radius > 8 and case.chance(0.5) else 0.0
    extent = swell(case, centre, radius, halo) if halo else None
    if hind:
        press(case, centre, radius, 0.6)
    else:
        weigh(case, centre, radius, halo, share=0.5 if place == "convexity" else 0.65)
    cleft, dense = case.chance(0.6), case.uniform(-1.4, 0.4)

    def paint(head: Head) -> None:
        if extent:
            vasogenic(head, extent, case.uniform(16, 19.5), case.graded(0.65, 0.9))
        _dural(head, solid, hu, keys, place == "falx", cleft)
        if calcium:
            calcify(head, solid, calcium, [*keys, *SPECKS], dense)
        if bony:
            _hyperostosis(head, solid, case.graded(1.5, 6), [SCLEROSIS])

    return paint


def _dural(head: Head, solid: Lump, hu: float, keys: list[str], falcine: bool, cleft: bool) -> None:
    """A solid cut off flush by the dura."""
    index, depth = solid.depth(head)
    room = inside(head, index)
    if falcine:
        room = room * ramp(head.still[0][index] * np.float32(np.sign(solid.centre[0])) - np.float32(0.8))
    if cleft:
        rind = ramp(depth + np.float32(1.4)) * room * np.float32(0.75)
        head.paint(index, rind, head.body.csf_hu + 4, "csf")
    value = np.float32(hu) + np.float32(1.2) * head.noise[index]
    head.paint(index, ramp(depth) * room, value.astype(np.float32), "tumour", keys)


def _hyperostosis(head: Head, solid: Lump, thick_mm: float, keys: list[str]) -> None:
    """Bone under the base of the mass loses its marrow, and grows inwards."""
    index, depth = solid.depth(head, beyond_mm=14.0)
    inner = head.inner[index]
    bone = head.bone[index] & (depth > -9) & (inner < 1)
    grown = thick_mm * np.clip((depth - inner) / solid.radius_mm + 0.35, 0, 1) - inner
    weight = np.maximum(bone * ramp(depth + 7, 5.0), ramp(grown.astype(np.float32)) * (inner > 0) * (depth > -2))
    dense = (1250 + 90 * head.noise[index]).astype(np.float32)
    head.paint(index, weight.astype(np.float32), np.maximum(dense, head.hu[index]), "bone", keys)


@lesion("extra_axial_mass_other", slot="mass4")
def extra_axial(case: Case) -> Paint:
    """Any mass of the coverings but a meningioma and a schwannoma."""
    return _KINDS[case.kind()](case)


def _epidermoid(case: Case) -> Paint:
    """Dark lobes that fill a cistern and part what borders it."""
    sign, radius = case.side()[1], 0.85 * case.size_mm()
    centre: Point = (
        (sign * 22.0, 4.0, -32.0), (sign * 8.0, -16.0, -20.0), (sign * 34.0, -22.0, -6.0), (sign * 5.0, 26.0, -6.0),
    )[int(case.rng.integers(4))]  # fmt: skip
    solid = lump(case.rng, centre, radius, rough=0.22, stretch=0.25, lobes=(3.0, 6.0))
    hu = case.body.csf_hu + case.uniform(0, 6)
    press(case, centre, radius, 0.7)
    keys = [*KEY, "posterior_fossa_or_cpa_mass"] if centre[2] < -30 else KEY
    case.body.claims |= set(keys)

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        value = (hu + 1.5 * head.noise[index]).astype(np.float32)
        head.paint(index, ramp(depth) * inside(head, index), value, "cyst", keys)

    return paint


def _dermoid(case: Case) -> Paint:
    """Fat near the midline, of uneven density, its wall calcified in some."""
    radius = 0.7 * case.size_mm()
    centre: Point = ((3.0, -40.0, -12.0), (-5.0, -18.0, -20.0), (2.0, 52.0, -40.0))[int(case.rng.integers(3))]
    solid = lump(case.rng, centre, radius, rough=0.14, stretch=0.18)
    hu, rim = case.uniform(-60, -22), case.chance(0.35)
    press(case, centre, radius, 0.7)
    keys = [*KEY, "posterior_fossa_or_cpa_mass"] if centre[2] < -30 else KEY
    case.body.claims |= set(keys) | ({SPECKS[0]} if rim else set())

    def paint(head: Head) -> None:
        index, depth = fill(head, solid, hu, "fat", keys)
        if rim:
            wall = np.minimum(1.1 - np.abs(depth), solid.grain(head, index) - 0.3).astype(np.float32)
            head.paint(index, ramp(wall) * inside(head, index), 220.0, "calcification", [*keys, *SPECKS])

    return paint


def _chordoma(case: Case) -> Paint:
    """Replaces the clivus and bulges towards the pons."""
    radius = 0.85 * case.size_mm()
    centre = (case.uniform(-5, 5), -13.0 + 0.25 * radius, case.uniform(-44, -36))
    solid = lump(case.rng, centre, radius, rough=0.16, stretch=0.12)
    hu = contrast(case, case.hu())
    press(case, (centre[0], centre[1] + 2, centre[2]), radius, 0.6)
    case.body.claims.add(LYSIS)

    def paint(head: Head) -> None:
        index, depth = solid.depth(head)
        eaten = head.bone[index] & (depth > 0)
        value = np.float32(hu) + np.float32(2) * head.noise[index]
        head.paint(index, ramp(depth), value.astype(np.float32), "tumour", KEY)
        head.mark(index[eaten], [LYSIS])
        head.bone[index[eaten]] = False
        crumbs = np.minimum(depth, head.noise[index] - np.float32(1.4)) * eaten
        head.paint(index, (crumbs > 0).astype(np.float32), 420.0, "bone", [LYSIS])

    return paint


def _lens(head: Head, towards: Point, half_mm: float, thick_mm: float, rough: float) -> tuple[np.ndarray, np.ndarray]:
    """Voxels about a lens on the inner table, and their depth in it."""
    foot = below_vault(towards, 0.0)
    index = near(head, foot, half_mm * 1.15 + 3)
    offset = [a[index] - np.float32(c) for a, c in zip(head.still, foot, strict=True)]
    along = sum(o * np.float32(t) for o, t in zip(offset, towards, strict=True))
    out = np.sqrt(np.maximum(sum(o * o for o in offset) - along**2, 0)) / np.float32(half_mm)
    thick = thick_mm * (1 - out**2) * (1 + rough * head.noise[index])
    return index, (thick - np.maximum(head.inner[index], 0)).astype(np.float32)


def _dural_metastasis(case: Case) -> Paint:
    """A lens under bone that it has eaten."""
    return _lens_mass(case, thick=case.uniform(0.55, 0.8), rough=0.2, lysis=case.chance(0.65))


def _dural_lymphoma(case: Case) -> Paint:
    """A dense sheet along the dura."""
    return _lens_mass(case, thick=case.uniform(0.28, 0.42), rough=0.12, lysis=False)


def _lens_mass(case: Case, *, thick: float, rough: float, lysis: bool) -> Paint:
    towards, half = toward_vault(case), 1.25 * case.size_mm()
    height, hu = max(thick * half, 2.0), contrast(case, case.hu())
    foot = np.asarray(below_vault(towards, 0.3 * height))
    weigh(case, (float(foot[0]), float(foot[1]), float(foot[2])), 0.7 * (half * half * height) ** (1 / 3), 0.0, 0.6)
    hole = lump(case.rng, below_vault(towards, -2.0), 0.45 * half + 2, rough=0.22)
    case.body.claims |= {LYSIS} if lysis else set()

    def paint(head: Head) -> None:
        index, depth = _lens(head, towards, half, height, rough)
        room = inside(head, index)
        value = (hu + 1.3 * head.noise[index]).astype(np.float32)
        head.paint(index, ramp(depth) * room, value, "tumour", KEY)
        if lysis:
            index, depth = hole.depth(head)
            bone = head.bone[index] & (head.inner[index] < 1)
            head.paint(index, ramp(depth, 2.0) * bone, hu + 4, "tumour", [*KEY, LYSIS])
            head.bone[index[bone & (depth > 0)]] = False

    return paint


def _solitary_fibrous(case: Case) -> Paint:
    """Large, lobed, dense and dark in places, with much oedema, never calcified."""
    radius = 1.1 * case.size_mm()
    centre = below_vault(toward_vault(case), 0.7 * radius)
    solid = lump(case.rng, centre, radius, rough=0.16, stretch=0.15, lobes=(2.5, 5.0))
    dark = lump(case.rng, centre, 0.5 * radius, rough=0.3, stretch=0.3)
    halo, hu = case.graded(4, 12), contrast(case, case.hu() + 2)
    extent = swell(case, centre, radius, halo)
    weigh(case, centre, radius, halo)

    def paint(head: Head) -> None:
        vasogenic(head, extent, case.uniform(16, 19.5), case.graded(0.65, 0.9))
        fill(head, solid, hu, "tumour", KEY)
        index, depth = dark.depth(head)
        weight = ramp(np.minimum(depth, 3 * head.noise[index]).astype(np.float32), 3.0) * np.float32(0.6)
        head.paint(index, weight * inside(head, index), 28.0, "tumour", KEY)

    return paint


_KINDS: dict[str, Callable[[Case], Paint]] = {
    "epidermoid": _epidermoid,
    "dermoid": _dermoid,
    "chordoma": _chordoma,
    "dural_metastasis": _dural_metastasis,
    "dural_lymphoma": _dural_lymphoma,
    "solitary_fibrous": _solitary_fibrous,
}

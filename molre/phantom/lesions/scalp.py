"""What swells beneath the skin: blood in the scalp, lumps of scalp and neck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.vault import chart, direction, on_vault, scattered, thickness_mm
from molre.phantom.shapes import Point, ramp
from molre.phantom.swelling import Swelling

FAT_LIMIT_HU = 20.0
"""What is darker beneath the skin is fat."""


def bulge(case: Case, towards: Point, height_mm: float, reach_mm: float, run_mm: float = 0.0) -> Swelling:
    """Let the scalp rise from the outer table in a direction."""
    found = Swelling(
        centre=on_vault(towards, 82.0), outwards=towards, height_mm=height_mm, reach_mm=reach_mm, run_mm=run_mm,
        over_skull=True, lobes=(case.uniform(0, 6.3), case.uniform(0, 6.3)),
    )  # fmt: skip
    case.body.swellings.append(found)
    return found


def _beneath(head: Head, swelling: Swelling) -> tuple[Int64[np.ndarray, "m"], Float32[np.ndarray, "m"], np.ndarray]:
    """Voxels of scalp near a swelling, their height over the outer table and what of it is swelling, in mm."""
    near = np.ones(len(head.inner), bool)
    reach = np.float32(2.4 * swelling.reach_mm + swelling.height_mm)
    for still, centre in zip(head.still, swelling.centre, strict=True):
        near &= np.abs(still - np.float32(centre)) < reach
    index = np.flatnonzero(near & (head.inner < -2))
    above = -head.inner[index] - thickness_mm(head, index)
    x, y, z = (a[index] for a in head.still)
    height = swelling.local_height_mm((x, y, z))
    return index, above, height


@lesion("scalp_hematoma")
def hematoma(case: Case) -> Paint:
    """A crescent of blood beneath the galea that lifts the scalp, or blood-stained swelling of its fat."""
    rng, kind = case.rng, case.kind()
    towards = scattered(rng, case.body.impact, 0.12)
    height, hu = case.size_mm(), case.hu()
    deep = kind == "subgaleal"
    wide = height * case.uniform(1.6, 3.0) + case.uniform(9, 16)
    swelling = bulge(case, towards, height, wide, 0.0 if deep else height + 6)
    stain = case.graded(0.45, 0.9)

    def paint(head: Head) -> None:
        index, above, height = _beneath(head, swelling)
        index_noise = head.noise[index]
        if deep:
            depth = np.minimum(above, height * (1 + np.float32(0.05) * index_noise) - above)
            weight = ramp(np.where(height > 0.4, depth + np.float32(0.3), -9).astype(np.float32))
            value = np.float32(hu) + 5 * index_noise - 4 * np.clip(above / np.float32(8), 0, 1)
        else:
            soft = (above > 0) & (head.skin[index] > 0.5) & (head.hu[index] < FAT_LIMIT_HU)
            strands = np.clip(np.float32(stain) + np.float32(0.25) * index_noise, 0, 1)
            weight = (np.clip(height / np.float32(0.35 * swelling.height_mm), 0, 1) * strands * soft).astype(np.float32)
            value = np.float32(hu - 14) + 4 * index_noise
        head.paint(index, weight, value.astype(np.float32), "acute_blood", ["scalp_hematoma"])

    return paint


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lump:
    """A lump's forms: its density, how far it stands out, its wall."""

    hu: float
    proud: float
    wall_hu: float = 0.0
    rough: float = 0.06
    tissue: str = "tumour"


def _lump(case: Case, kind: str) -> _Lump:
    low, high = case.entry.hu
    if kind == "lipoma":
        return _Lump(hu=case.uniform(-115, -95), proud=0.6, tissue="fat")
    if kind == "cyst":
        wall = case.uniform(150, 700) if case.chance(0.5) else 0.0
        return _Lump(hu=case.uniform(low, low + 0.6 * (high - low)), proud=0.75, wall_hu=wall, tissue="cyst")
    return _Lump(hu=case.uniform(low + 0.4 * (high - low), high), proud=0.65, rough=0.18)


PLACES: dict[str, tuple[Point, Point]] = {
    "parotid": ((70.0, 2.0, -52.0), (0.91, -0.41, 0.0)),
    "nape": ((24.0, 90.0, -44.0), (0.26, 0.96, 0.0)),
    "cheek": ((48.0, -86.0, -54.0), (0.65, -0.76, 0.0)),
}
"""Where a lump lies off the vault, on the left side, and the direction in which it stands out."""


@lesion("scalp_or_neck_soft_tissue_mass")
def lump(case: Case) -> Paint:
    """A round or lobed lump in the fat beneath the skin, which it lifts: cyst, lipoma, nodule, swollen gland.

    Kamath and Desai 2020, Indian J Radiol Imaging 30:81.
    """
    place, radius, form = case.place(), case.size_mm(), _lump(case, case.kind())
    stretch = (case.uniform(0.85, 1.2), case.uniform(0.85, 1.2), case.uniform(0.7, 1.0))
    if place == "vault":
        return _on_vault(case, radius, form, stretch)
    sign = case.side()[1]
    (x, y, z), (a, b, c) = PLACES[place]
    shift = case.rng.normal(0, 3, 3)
    centre = (sign * x + float(shift[0]), y + float(shift[1]), z + float(shift[2]))
    case.body.swellings.append(
        Swelling(centre=centre, outwards=(a * sign, b, c), height_mm=form.proud * radius, reach_mm=1.1 * radius,
                 lobes=(case.uniform(0, 6.3), case.uniform(0, 6.3)))
    )  # fmt: skip

    def paint(head: Head) -> None:
        near = [np.abs(still - np.float32(c)) < 1.6 * radius for still, c in zip(head.still, centre, strict=True)]
        index = np.flatnonzero(near[0] & near[1] & near[2] & (head.inner < -3))
        offset = [(still[index] - np.float32(c)) / np.float32(s)
                  for still, c, s in zip(head.still, centre, stretch, strict=True)]  # fmt: skip
        depth = np.float32(radius) - np.sqrt(sum(o * o for o in offset))
        _fill(head, index, depth, form)

    return paint


def _on_vault(case: Case, radius: float, form: _Lump, stretch: Point) -> Paint:
    """A lump on the outer table."""
    towards = direction(case.uniform(-np.pi, np.pi), case.uniform(0.02, 1.1))
    half = radius * stretch[2] * (0.6 if form.tissue == "fat" else 1.0)
    bulge(case, towards, max(2 * half - 3.0, 1.0), 0.8 * radius)

    def paint(head: Head) -> None:
        found = chart(head, towards, 1.4 * radius + 4, low_mm=-4 * radius - 14, high_mm=-2.0)
        above = -found.depth - thickness_mm(head, found.index)
        up = (above - np.float32(half + 0.6)) * np.float32(radius / half)
        depth = np.float32(radius) - np.sqrt((found.u / stretch[0]) ** 2 + (found.v / stretch[1]) ** 2 + up * up)
        _fill(head, found.index, np.where(above > 0, depth, -9).astype(np.float32), form)

    return paint


def _fill(head: Head, index: Int64[np.ndarray, "m"], depth: Float32[np.ndarray, "m"], form: _Lump) -> None:
    """Paint a lump into soft tissue beneath the skin."""
    depth = depth + np.float32(6 * form.rough) * head.noise[index]
    soft = ~head.bone[index] & (head.skin[index] > 0.8)
    hu = np.float32(form.hu) + (2 + 30 * form.rough) * head.noise[index]
    if form.wall_hu:
        patchy = np.clip(head.noise[index] + np.float32(0.8), 0, 1)
        hu = hu + (np.float32(form.wall_hu) - hu) * np.clip(1 - np.abs(depth - 1), 0, 1) * patchy
    key = ["scalp_or_neck_soft_tissue_mass"]
    head.paint(index, ramp(depth) * soft, hu.astype(np.float32), form.tissue, key)

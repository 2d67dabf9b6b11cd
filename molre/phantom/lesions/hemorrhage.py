"""Blood within the brain and its ventricles.

Fresh clot measures 50-70 HU, up to 80-90 as it retracts (Parizel et al. 2001, Eur Radiol 11:1770).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.infarct import darken, fresh_infarct, infarct_depth
from molre.phantom.lesions.registry import bulk, lesion, pick, side_of
from molre.phantom.shapes import Point, ramp

IPH, IVH, HT = "intraparenchymal_hemorrhage", "intraventricular_hemorrhage", "hemorrhagic_transformation"
_BOXES: dict[str, tuple[Point, Point, float]] = {
    "putamen": ((22, -24, -2), (29, -6, 9), 1.0),
    "thalamus": ((9, -6, 3), (14, 8, 11), 0.75),
    "lobar": ((22, -64, 6), (54, 66, 50), 1.1),
    "cerebellum": ((10, 38, -44), (30, 58, -30), 0.8),
    "pons": ((0, 4, -36), (5, 10, -28), 0.5),
}
"""Corners of where a bleed begins, x of one side, and how large it grows there."""


Texture = Callable[[Head, np.ndarray, Float32[np.ndarray, "m"]], Float32[np.ndarray, "m"]]
"""What is added to the density of a clot's voxels, which are so deep in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clot:
    """A bleed made of lobes.

    Attributes:
        centres: of the lobes, mm.
        radii_mm: of the lobes.
        stretch: of the lobes along (x, y, z).
        rough: relative height of the bumps of its surface.
    """

    centres: Float64[np.ndarray, "lobes 3"]
    radii_mm: Float64[np.ndarray, "lobes"]
    stretch: Point
    rough: float

    @property
    def middle(self) -> Point:
        """Centre of the first lobe."""
        x, y, z = self.centres[0]
        return float(x), float(y), float(z)

    def depth(self, head: Head, beyond_mm: float) -> tuple[np.ndarray, Float32[np.ndarray, "m"]]:
        """Voxels down to about ``beyond_mm`` outside, and their depth in the clot, mm."""
        reach = float(np.max(np.linalg.norm(self.centres - self.centres[0], axis=1) + self.radii_mm)) * 1.5
        index = head.near(self.middle, reach + beyond_mm)
        depth = np.full(len(index), -99, np.float32)
        for centre, radius in zip(self.centres, self.radii_mm, strict=True):
            offset = [(a[index] - np.float32(c)) / np.float32(s)
                      for a, c, s in zip((head.x, head.y, head.z), centre, self.stretch, strict=True)]  # fmt: skip
            lobe = np.float32(radius) - np.sqrt(sum(o * o for o in offset))
            share = np.clip(0.5 + (lobe - depth) / np.float32(0.5 * radius), 0, 1)
            depth = depth + (lobe - depth) * share + np.float32(0.25 * radius) * share * (1 - share)
        depth += np.float32(self.rough * self.radii_mm[0]) * head.noise[index]
        return index, depth.astype(np.float32)


def draw_clot(case: Case, centre: Point, radius_mm: float) -> Clot:
    """A bleed of about a radius: a lobe, and up to four smaller ones that grow from its surface."""
    rng = case.rng
    count = int(rng.integers(0, 2 + min(int(radius_mm / 4), 4)))
    ways = rng.normal(0, 1, (count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True) + 1e-9
    main = radius_mm * (1 - 0.07 * count)
    lobes = np.vstack(
        [np.asarray(centre)[None], np.asarray(centre) + ways * main * rng.uniform(0.75, 1.15, (count, 1))]
    )
    radii = np.concatenate([[main], main * rng.uniform(0.4, 0.75, count)])
    stretch = (case.uniform(0.7, 0.95), case.uniform(0.9, 1.35), case.uniform(0.8, 1.1))
    return Clot(centres=lobes, radii_mm=radii, stretch=stretch, rough=case.uniform(0.08, 0.2))


def _squeezed(clot: Clot, share: float) -> Clot:
    """The clot in coordinates of tissue that it has pushed away."""
    shrink = (1 - share) ** (1 / 3)
    middle = clot.centres[0]
    return Clot(centres=middle + (clot.centres - middle) * shrink, radii_mm=clot.radii_mm * shrink,
                stretch=clot.stretch, rough=clot.rough)  # fmt: skip


def _begin(case: Case, place: str) -> Point:
    low, high, _ = _BOXES[place]
    if place == "lobar":
        return pick(case.rng, low, high, (11, 24))
    x, y, z = (case.uniform(a, b) for a, b in zip(low, high, strict=True))
    return case.side()[1] * x, y, z


@lesion(IPH, slot="bleed")
def intraparenchymal(case: Case) -> Paint:
    """A lobed bright bleed in deep grey matter, a lobe, the cerebellum or the pons, with a dark rim of serum."""
    place, hu = case.place(), case.hu()
    centre, radius = _begin(case, place), case.size_mm() * _BOXES[place][2]
    clot = draw_clot(case, centre, radius)
    if radius > 5:
        case.body.push(centre, radius, 0.6)
        clot = _squeezed(clot, 0.6)
    _weigh(case, place, centre, radius)
    # Displaced tissue is thinned: a rim of twice the width is left with about the width that is seen.
    rim = 2 * case.uniform(1.0, 1.5 + 0.28 * radius) * (1.0 if radius > 5 else 0.5)
    rim_hu, texture = case.uniform(17, 22), _texture(case, radius)
    breaks = case.chance({"thalamus": 0.6, "putamen": 0.4, "lobar": 0.2, "cerebellum": 0.4, "pons": 0.3}[place])
    breaks = breaks and radius > 9
    amount, keys = case.graded(0.15, 0.8), [IPH]
    swollen = rim > 4.5 and radius > 7
    if swollen:
        case.body.claims.add("cerebral_edema")
    if breaks:
        case.body.claims.add(IVH)

    def paint(head: Head) -> None:
        index, depth = clot.depth(head, rim + 6)
        brain = (head.tissue_is("grey", "white")[index] & (head.skull[index] > 0)).astype(np.float32)
        serum = ["cerebral_edema"] if swollen else []
        head.paint(index, ramp(depth + rim, 2.5) * brain * np.float32(0.9), rim_hu, "oedema", serum)
        inside = (head.skull[index] > 0.3) & ~head.ventricular[index]
        value = np.float32(hu) + texture(head, index, depth)
        head.paint(index, ramp(depth) * inside, value.astype(np.float32), "acute_blood", keys)
        if breaks:
            in_ventricles(head, amount, hu - 4, side_of(centre))

    return paint


def _texture(case: Case, radius_mm: float) -> Texture:
    """What makes a clot uneven: little, darker swirls of fresh blood, or a level of cells that have settled."""
    kind = "even" if radius_mm < 7 else case.kind()
    phase, middle = case.uniform(0, 6), case.uniform(-0.3, 0.3) * radius_mm

    def texture(head: Head, index: np.ndarray, depth: Float32[np.ndarray, "m"]) -> Float32[np.ndarray, "m"]:
        uneven = 2.5 * head.noise[index] + np.minimum(depth, 6) * 0.5 - 1.5
        if kind == "swirl":
            wave = np.sin(head.y[index] / 4.5 + phase) * np.cos(head.z[index] / 5 + phase) + 0.5 * head.noise[index]
            return uneven - 22 * np.clip(wave, 0, 1) * (depth > 2)
        if kind == "level":
            height = head.y[index] - (head.y[index][depth > 0].mean() if (depth > 0).any() else 0) - middle
            return uneven - 26 * ramp((-height).astype(np.float32), 2.0)
        return uneven

    return texture


def _weigh(case: Case, place: str, centre: Point, radius_mm: float) -> None:
    """What a bleed does to the brain around it."""
    body = case.body
    if place in ("putamen", "thalamus", "lobar"):
        bulk(case.rng, body, side_of(centre), (radius_mm - 4) / 24)
    elif place == "cerebellum" and radius_mm > 9:
        body.fourth_mm -= 0.12 * radius_mm
        body.claims.add("mass_effect")
        if radius_mm > 13:
            body.ventricle_mm = [each + 2.6 for each in body.ventricle_mm]
            body.third_mm += 2.0
            body.claims.add("obstructive_hydrocephalus")


def in_ventricles(head: Head, amount: float, hu: float, side: int | None) -> None:
    """Blood that settles in the occipital horns, and with growing amount fills one lateral ventricle.

    Args:
        head: to paint.
        amount: 0 a trace to 1 a cast.
        hu: of the blood.
        side: of the cast, None for levels alone.
    """
    lateral = np.flatnonzero(head.ventricular & (head.z > -16))
    if not len(lateral):
        return
    back = float(np.quantile(head.y[lateral], 0.995))
    level = back - 3 - 22 * amount
    noise = head.noise[lateral]
    depth = head.y[lateral] - level + 1.5 * noise
    depth = np.where(head.z[lateral] > -14, depth, -9)
    if side is not None and amount > 0.3:
        mine = head.side(side)[lateral] | (np.abs(head.x[lateral]) < 3)
        cast = np.where(mine, 14 * (amount - 0.3) + 5 * noise + 0.12 * (head.y[lateral] + 10), -9)
        depth = np.maximum(depth, cast)
    value = np.float32(hu) + 3 * noise
    weight = np.float32(0.96) * ramp(depth.astype(np.float32), 2.5)
    head.paint(lateral, weight, value.astype(np.float32), "acute_blood", [IVH])


def in_lower_ventricles(head: Head, hu: float) -> None:
    """Blood that fills the third and the fourth ventricle."""
    index = np.flatnonzero(head.ventricular & (np.abs(head.x) < 11) & (head.z < 6) & ((head.z < -4) | (head.y < 14)))
    value = np.float32(hu) + 3 * head.noise[index]
    head.paint(index, ramp(2 * head.noise[index] + 2), value.astype(np.float32), "acute_blood", [IVH])


@lesion(IVH)
def intraventricular(case: Case) -> Paint:
    """Levels in the occipital horns, a cast of one lateral ventricle, or clot in the third and fourth."""
    kind, hu, (side, _) = case.kind(), case.hu(), case.side()
    amount = case.graded(0.08, 1.0)
    for each in (0, 1):
        case.body.ventricle_mm[each] += case.graded(0.3, 1.6)
    case.body.fourth_mm += case.graded(0.0, 0.8)

    def paint(head: Head) -> None:
        in_ventricles(head, amount, hu, side if kind == "cast" else None)
        if kind != "levels" and amount > 0.4:
            in_lower_ventricles(head, hu)

    return paint


@lesion(HT, slot="transformation")
def transformation(case: Case) -> Paint:
    """Blood in an infarct: specks in its cortex, or with growing severity a clot that fills a part of it."""
    fresh = case.body.infarct is None
    infarct = fresh_infarct(case)
    kind = "petechiae" if case.severity < 0.35 else case.kind()
    host = "acute_infarct" if case.chance(0.5) else "subacute_infarct"
    if fresh:
        case.body.claims.add(host)
    hu, share, offset = case.hu(), case.graded(0.18, 0.5), case.rng.uniform(-0.25, 0.25, 3)
    if kind == "clot" and case.severity > 0.6:
        bulk(case.rng, case.body, infarct.side, 0.25 + 0.4 * infarct.extent_mm / 100)

    def paint(head: Head) -> None:
        if fresh:
            darken(head, infarct, 20.0 if host == "acute_infarct" else 16.0, 0.9, [host])
        index, depth = infarct_depth(head, infarct)
        inside = (depth > 1) & (head.skull[index] > 0.5) & ~head.ventricular[index]
        index, depth = index[inside], depth[inside]
        if not len(index):
            return
        if kind == "clot":
            depth = _lump(head, index, depth, share, offset)
        else:
            # Petechiae follow the cortical ribbon.
            ribbon = np.clip(head.skull[index] / 3, 0, 1) * np.exp(-(((head.skull[index] - 7) / 9) ** 2))
            fleck = 0.9 * head.noise[index] + 2.2 * ribbon
            depth = 2.2 * (fleck - np.quantile(fleck, 1 - 0.7 * share))
        value = np.float32(hu - (0 if kind == "clot" else 8)) + 3 * head.noise[index]
        head.paint(index, ramp(depth.astype(np.float32), 2.0), value.astype(np.float32), "acute_blood", [HT])

    return paint


def _lump(
    head: Head, index: np.ndarray, depth: Float32[np.ndarray, "m"], share: float, offset: Float64[np.ndarray, "3"]
) -> Float32[np.ndarray, "m"]:
    """Depth in a ragged clot about the middle of an infarct that fills about a share of it."""
    at = np.stack([head.x[index], head.y[index], head.z[index]])
    core = at[:, depth > np.quantile(depth, 0.7)]
    spread = at.std(1)
    middle = core.mean(1) + offset * spread
    far = np.sqrt(((at - middle[:, None].astype(np.float32)) ** 2).sum(0))
    radius = max(float(np.quantile(far, share)), 4.0)
    return np.minimum(radius * (1 + 0.3 * head.noise[index]) - far, depth - 1).astype(np.float32)

"""What all masses share: irregular solids, the oedema about them, what they press on and what they dam."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.body import Body
from molre.phantom.case import Case
from molre.phantom.head import Head
from molre.phantom.lesions.registry import bulk, side_of
from molre.phantom.shapes import Number, Point, ramp
from molre.phantom.template import CENTRE_MM
from molre.phantom.vault import vault_mm

Index = Int64[np.ndarray, "m"]
Depth = Float32[np.ndarray, "m"]

HYDROCEPHALUS_MM = 2.6
"""Least outward shift of the ventricles' walls by a dam; less would be neither normal nor hydrocephalus."""
GIANT_MM = 12.5
"""Radius from which an aneurysm is giant and a mass."""
PRESSED_MM = 4.0
"""Displacement of the nearest tissue from which there is mass effect."""
_GROWTH = 0.49
"""Mass effect grows with about the square root of the volume: 10 ml close furrows, 30 ml shift the midline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lump:
    """An irregular solid with its own lobes.

    Attributes:
        centre: in head coordinates, mm.
        radius_mm: mean radius.
        axes: rows are its axes, divided by how far it is stretched along each.
        reach: greatest stretch.
        waves: of its lobes, per mm.
        phases: of the waves.
        rough: size of the lobes relative to the radius.
    """

    centre: Point
    radius_mm: float
    axes: Float32[np.ndarray, "3 3"]
    reach: float
    waves: Float32[np.ndarray, "k 3"]
    phases: Float32[np.ndarray, "k"]
    rough: float

    def depth(self, head: Head, beyond_mm: float = 4.0) -> tuple[Index, Depth]:
        """Voxels near the solid and their depth in it, mm, negative outside, wherever tissue was pushed."""
        index = near(head, self.centre, self.radius_mm * self.reach * (1 + 1.8 * self.rough) + beyond_mm)
        offset = [a[index] - np.float32(c) for a, c in zip(head.still, self.centre, strict=True)]
        local = [sum(o * w for o, w in zip(offset, row, strict=True)) for row in self.axes]
        bumps = sum(
            np.sin(sum(c * w for c, w in zip(local, wave, strict=True)) + phase)
            for wave, phase in zip(self.waves, self.phases, strict=True)
        ) * np.float32(self.rough / np.sqrt(max(len(self.waves), 1) / 2))
        away = np.sqrt(sum(c * c for c in local))
        return index, (np.float32(self.radius_mm) * (1 + bumps) - away).astype(np.float32)

    def grain(self, head: Head, index: Index) -> Depth:
        """Noise of unit deviation with grains of a few millimetres, such as calcium comes in."""
        offset = [a[index] - np.float32(c) for a, c in zip(head.still, self.centre, strict=True)]
        total = np.float32(0.6) * head.noise[index]
        for number, (wave, phase) in enumerate(zip(self.waves, self.phases, strict=True)):
            fast = wave * np.float32(2 * np.pi / (3.0 + 0.8 * number) / np.linalg.norm(wave))
            total += np.float32(0.46) * np.sin(sum(o * w for o, w in zip(offset, fast, strict=True)) + phase)
        return total


def lump(
    rng: np.random.Generator, centre: Point, radius_mm: float, *, rough: float = 0.12, stretch: Point | float = 0.15,
    lobes: tuple[Number, Number] = (1.4, 3.6),
) -> Lump:  # fmt: skip
    """An irregular solid about a point.

    Args:
        rng: source of chance.
        centre: in head coordinates, mm.
        radius_mm: mean radius.
        rough: size of its lobes relative to the radius.
        stretch: along (x, y, z); a number is the deviation of a random stretch along random axes.
        lobes: fewest and most waves over a radius, in radian.
    """
    if isinstance(stretch, tuple):
        turn, scale = np.eye(3), np.asarray(stretch, np.float64)
    else:
        turn = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0]
        scale = np.exp(rng.normal(0, stretch, 3))
        scale /= np.prod(scale) ** (1 / 3)
    ways = rng.normal(0, 1, (6, 3))
    ways *= (rng.uniform(*lobes, 6) / radius_mm / np.linalg.norm(ways, axis=1))[:, None]
    return Lump(
        centre=centre,
        radius_mm=radius_mm,
        axes=(turn / scale[:, None]).astype(np.float32),
        reach=float(scale.max()),
        waves=ways.astype(np.float32),
        phases=rng.uniform(0, 2 * np.pi, 6).astype(np.float32),
        rough=rough,
    )


def near(head: Head, centre: Point, reach_mm: Number) -> Index:
    """Voxels in a box about a point of the scan, whatever tissue has been pushed there."""
    x, y, z = head.still
    box = np.flatnonzero(np.abs(z - np.float32(centre[2])) < reach_mm)
    box = box[np.abs(y[box] - np.float32(centre[1])) < reach_mm]
    return box[np.abs(x[box] - np.float32(centre[0])) < reach_mm]


def inside(head: Head, index: Index) -> Depth:
    """Share of each voxel that lies within the inner table."""
    return ramp(head.inner[index])


def fill(
    head: Head, solid: Lump, hu: Number | np.ndarray, tissue: str, keys: Iterable[str], *, width_mm: float = 1.2
) -> tuple[Index, Depth]:
    """Paint a solid within the skull, slightly uneven.

    Returns:
        The voxels near it and their depth, for what is painted into it.
    """
    index, depth = solid.depth(head)
    value = np.float32(hu) + np.float32(1.2) * head.noise[index]
    head.paint(index, ramp(depth, width_mm) * inside(head, index), value.astype(np.float32), tissue, keys)
    return index, depth


def below_vault(towards: Point, depth_mm: Number) -> Point:
    """The point at a depth below the inner table in a direction from the middle of the head."""
    unit = np.asarray(towards, np.float32) / np.float32(np.linalg.norm(towards))
    x, y, z = (np.asarray(CENTRE_MM) + unit * (float(vault_mm(unit[:, None])[0]) - depth_mm)).tolist()
    return x, y, z


def vasogenic(head: Head, extent: Lump, hu: float, amount: float = 0.9, key: str = "cerebral_edema") -> None:
    """Oedema that spreads in white matter like fingers and spares the cortex.

    It stays in its own hemisphere and on its own side of the tentorium (Osborn's Brain, 2nd ed., 2018).
    """
    index, depth = extent.depth(head)
    x, _, z = extent.centre
    white = head.tissue_is("white")[index] & (head.inner[index] > 0)
    if abs(x) > 8:
        white &= head.still[0][index] * np.sign(x) > -1
    hind = head.at("cerebellum", "brainstem")[index]
    white &= hind if z < -16 and extent.centre[1] > 14 else ~hind
    weight = ramp(depth + 2 * head.noise[index], 7.0) * white * np.float32(amount)
    head.paint(index, weight, (np.float32(hu) + head.noise[index]).astype(np.float32), "oedema", [key])


def swell(case: Case, centre: Point, radius_mm: float, halo_mm: float) -> Lump:
    """Oedema about a mass: claim it and return its extent, drawn out at random."""
    case.body.claims.add("cerebral_edema")
    return lump(case.rng, centre, radius_mm + halo_mm, rough=0.3, stretch=0.22, lobes=(2.0, 5.0))


def millilitres(radius_mm: float) -> float:
    """Volume of a ball."""
    return 4.19e-3 * radius_mm**3


def press(case: Case, centre: Point, radius_mm: float, share: float) -> None:
    """Push tissue away, and claim the mass effect where the nearest has moved far enough for a reader to say so."""
    case.body.push(centre, radius_mm, share)
    if radius_mm * (1 - (1 - share) ** (1 / 3)) >= PRESSED_MM:
        case.body.claims.add("mass_effect")


def weigh(case: Case, centre: Point, radius_mm: float, halo_mm: float = 0.0, share: float = 0.6) -> None:
    """Let a mass of the forebrain push tissue away and, if it is large, close furrows and shift the midline.

    Args:
        case: the lesion.
        centre: of the mass.
        radius_mm: of the mass.
        halo_mm: width of oedema about it, a tenth of whose volume presses too.
        share: part of the mass that displaces tissue and does not replace it.
    """
    press(case, centre, radius_mm, share)
    volume = share * millilitres(radius_mm) + 0.1 * (millilitres(radius_mm + halo_mm) - millilitres(radius_mm))
    bulk(case.rng, case.body, side_of(centre), min(0.35 * (volume / 10) ** _GROWTH, 1.1))


def dilate(body: Body, mm: float, third: float) -> None:
    """Widen both lateral ventricles and, as given, the third."""
    body.ventricle_mm = [each + mm for each in body.ventricle_mm]
    body.third_mm += third


def dam(body: Body, mm: float, third: float) -> bool:
    """Widen the ventricles above a dam and claim the hydrocephalus, unless they would be widened too little.

    Args:
        body: the head.
        mm: outward shift of the lateral ventricles' walls.
        third: of the third ventricle's walls; below 0 where the mass lies in it.
    """
    if mm < HYDROCEPHALUS_MM / 2:
        return False
    dilate(body, max(mm, HYDROCEPHALUS_MM), third)
    for side in (0, 1):
        body.sulcus_mm[side] -= 0.35
    body.claims.add("obstructive_hydrocephalus")
    return True


def contrast(case: Case, hu: float, against_hu: float | None = None) -> float:
    """A density that at the least severity differs from brain's by half as much as told."""
    base = case.body.grey_hu if against_hu is None else against_hu
    return base + (hu - base) * case.graded(0.55, 1.0)

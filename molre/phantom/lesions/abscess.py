"""Pus in the brain and over it."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import contrast, inside, lump, near, swell, vasogenic, weigh
from molre.phantom.lesions.registry import bulk, lesion, pick
from molre.phantom.motion import Layer, Sheet, depth_in
from molre.phantom.shapes import ramp

KEY = ["abscess_or_subdural_empyema"]


@lesion("abscess_or_subdural_empyema", slot="collection")
def pus(case: Case) -> Paint:
    """An abscess within the brain, or an empyema over it."""
    kind = case.kind()
    if kind == "abscess":
        return _abscess(case)
    return _subdural(case) if kind == "subdural_empyema" else _interhemispheric(case)


def _abscess(case: Case) -> Paint:
    """A thin even capsule about dark pus, thinner towards the ventricle, in much oedema."""
    centre = pick(case.rng, (14, -60, -6), (50, 50, 46), (10, 28), 2)
    radius, halo = case.size_mm(), case.graded(5, 16)
    keys = [*KEY, "intracranial_mass_any"]
    solid = lump(case.rng, centre, radius, rough=0.11, stretch=0.15)
    extent = swell(case, centre, radius, halo)
    wall, capsule = case.uniform(1.8, 3.0), contrast(case, case.uniform(34, 43), 25.0)
    hu, gas = case.hu(), case.chance(0.2) and radius > 7
    weigh(case, centre, radius, halo)
    case.body.claims |= set(keys)

    def paint(head: Head) -> None:
        vasogenic(head, extent, case.uniform(14.5, 18.5), case.graded(0.7, 0.95))
        index, depth = solid.depth(head)
        value = (
            capsule
            + (hu - capsule) * ramp(depth - wall * (1 + np.float32(0.3) * head.noise[index]), 1.2)
            + 0.8 * head.noise[index]
        )
        head.paint(index, ramp(depth) * inside(head, index), value.astype(np.float32), "fluid", keys)
        if gas:
            top = head.still[1][index] - np.float32(centre[1] - 0.55 * radius)
            bubble = np.minimum(depth - wall, -top).astype(np.float32)
            head.paint(index, ramp(bubble), -850.0, "pathological_air", keys)

    return paint


def _rim(depth: np.ndarray, hu: float, noise: np.ndarray) -> np.ndarray:
    """Pus with a slightly denser membrane towards the brain."""
    return (hu + 11 * np.exp(-(((depth - 1.0) / 1.0) ** 2)) + 1.2 * noise).astype(np.float32)


def _subdural(case: Case) -> Paint:
    """A lens or crescent over a hemisphere; the brain beneath swells more than its thickness explains."""
    side, sign = case.side()
    thick = 0.65 * case.size_mm()
    reach = case.uniform(0.5, 1.0)
    layer = Layer(
        towards=(sign * 0.9, case.uniform(-0.7, 0.4), case.uniform(0.2, 0.7)),
        reach_rad=(reach, reach * case.uniform(0.8, 1.3), 0.8 * reach, 0.8 * reach),
        thickness_mm=thick,
        power=case.uniform(2.0, 4.0),
        side=sign,
        ripple=(0.15, case.uniform(4, 8), case.uniform(0, 6)),
    )
    case.body.press(layer)
    bulk(case.rng, case.body, side, 0.1 * thick)
    hu = case.hu()

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.inner > -0.6) & (head.inner < thick + 4) & (head.still[0] * sign > 0))
        depth = depth_in(layer, np.stack([a[index] for a in head.still]))
        room = inside(head, index)
        head.paint(index, ramp(depth) * room, _rim(depth, hu, head.noise[index]), "fluid", KEY)

    return paint


def _interhemispheric(case: Case) -> Paint:
    """Pus along one side of the falx."""
    side, sign = case.side()
    thick = 0.5 * case.size_mm()
    front = case.uniform(-70, -30)
    sheet = Sheet(side=sign, thickness_mm=thick, front_mm=front, back_mm=front + case.uniform(50, 95))
    case.body.press(sheet)
    bulk(case.rng, case.body, side, 0.09 * thick)
    hu = case.hu()

    def paint(head: Head) -> None:
        index = near(head, (sign * 0.5 * thick, 0.0, 20.0), 90)
        index = index[(np.abs(head.still[0][index]) < thick + 2) & (head.still[0][index] * sign > 0)]
        index = index[head.inner[index] > 0]
        at = np.stack([a[index] for a in head.still])
        reach = sheet.thickness(at)
        across = at[0] * sign
        depth = np.minimum(reach - across, across - 0.6).astype(np.float32)
        head.paint(index, ramp(depth), _rim(reach - across, hu, head.noise[index]), "fluid", KEY)

    return paint

"""Blood in the fluid around the brain: basal cisterns, fissures, furrows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.shapes import Point, ramp
from molre.phantom.template import CENTRE_MM

_SOURCES: dict[str, tuple[Point, Point]] = {
    "anterior_communicating": ((0.0, -30.0, -14.0), (0.8, 1.0, 1.0)),
    "middle_cerebral": ((34.0, -18.0, -10.0), (0.85, 1.0, 1.0)),
    "posterior_communicating": ((11.0, -12.0, -20.0), (1.0, 1.0, 1.0)),
    "basilar": ((0.0, -3.0, -24.0), (1.0, 1.0, 1.0)),
}
"""Where aneurysms bleed, x of one side, and how far the blood spreads along each axis."""


def bleed(
    head: Head, source: Point, reach_mm: float, hu: float, key: str, stretch: Point = (1, 1, 1), amount: float = 1.0
) -> np.ndarray:
    """Blood in fluid about a point, thinning with distance; ``amount`` is its share of the fluid there."""
    index = np.flatnonzero((head.skull > -0.3) & (head.inner > 0) & ~head.ventricular & (head.hu < 37))
    offset = [
        (a[index] - np.float32(c)) / np.float32(s)
        for a, c, s in zip((head.x, head.y, head.z), source, stretch, strict=True)
    ]
    far = np.sqrt(sum(o * o for o in offset)) / np.float32(reach_mm)
    close = far < 1.25
    index, far = index[close], far[close]
    # The share of fluid in a voxel follows from its density, so that thin furrows brighten as far as they are wide.
    brain, fluid = np.float32(head.body.white_hu), np.float32(head.body.csf_hu)
    share = np.clip((brain - head.hu[index]) / (brain - fluid), 0, 1)
    dense = np.clip(1.15 - far + 0.10 * head.noise[index], 0, 1)
    weight = np.float32(amount) * share * np.sqrt(dense)
    return _stain(head, index, weight.astype(np.float32), hu, key)


def _stain(head: Head, index: np.ndarray, weight: Float32[np.ndarray, "m"], hu: float, key: str) -> np.ndarray:
    value = np.float32(hu) + 3 * head.noise[index]
    plain = weight > 0.02
    return head.paint(index[plain], weight[plain], value[plain].astype(np.float32), "acute_blood", [key])


@lesion("aneurysmal_pattern_subarachnoid_hemorrhage", slot="subarachnoid")
def aneurysmal(case: Case) -> Paint:
    """Blood in the suprasellar star, the Sylvian and the interhemispheric fissures, most where the aneurysm is."""
    key = "aneurysmal_pattern_subarachnoid_hemorrhage"
    place, hu, (_, sign) = case.place(), case.hu(), case.side()
    (x, y, z), stretch = _SOURCES[place]
    reach, amount = case.size_mm(), case.graded(0.6, 1.0)
    case.body.cistern_mm += case.graded(0.3, 0.9)

    def paint(head: Head) -> None:
        bleed(head, (sign * x, y, z), reach, hu, key, stretch, amount)
        bleed(head, (0.0, -14.0, -20.0), 0.75 * reach, hu - 4, key, amount=amount)
        if place == "anterior_communicating":
            bleed(head, (0.0, -45.0, 8.0), 0.8 * reach, hu - 3, key, (0.25, 1.0, 1.2), amount)

    return paint


@lesion("subarachnoid_hemorrhage", slot="subarachnoid")
def other(case: Case) -> Paint:
    """Blood in a few furrows of the convexity, or before the midbrain alone, in the form that no aneurysm causes."""
    if case.place() == "perimesencephalic":
        reach, hu, amount = 0.75 * case.size_mm(), case.hu(), case.graded(0.65, 1.0)
        return lambda head: _perimesencephalic(head, reach, hu, amount)
    sign = case.side()[1]
    return sulcal_blood(case, (sign * 1.0, case.uniform(-0.8, 0.7), case.uniform(0.2, 1.2)), "subarachnoid_hemorrhage")


def _perimesencephalic(head: Head, reach_mm: float, hu: float, amount: float) -> None:
    bleed(head, (0.0, -2.0, -22.0), reach_mm, hu, "subarachnoid_hemorrhage", (1.2, 0.8, 0.9), amount)


def sulcal_blood(case: Case, towards: Point, key: str) -> Paint:
    """Bright furrows about a place on the convexity; ``size_mm`` is the radius of the field."""
    side = 0 if towards[0] > 0 else 1
    radius, hu, amount = case.size_mm(), case.hu(), case.graded(0.6, 1.0)
    case.body.sulcus_mm[side] += case.graded(0.15, 0.4)
    unit = np.array(towards) / np.linalg.norm(towards)
    source = tuple(float(c + 66 * u) for c, u in zip(CENTRE_MM, unit, strict=True))
    falx = np.float32(1 if side == 0 else -1)

    def paint(head: Head) -> None:
        inner = np.flatnonzero((head.skull > -0.3) & (head.skull < 26) & (head.x * falx > 0.5) & ~head.ventricular)
        inner = inner[(head.hu[inner] < 37) & (head.inner[inner] > 0)]
        far = np.sqrt(sum((a[inner] - np.float32(c)) ** 2
                          for a, c in zip((head.x, head.y, head.z), source, strict=True)))  # fmt: skip
        inside = far < 1.4 * radius
        index, depth = inner[inside], radius * (1 + 0.25 * head.noise[inner[inside]]) - far[inside]
        brain, fluid = np.float32(head.body.white_hu), np.float32(head.body.csf_hu)
        share = np.clip((brain + 4 - head.hu[index]) / (brain - fluid), 0, 1)
        # Blood sinks into furrows and leaves the surface.
        share *= np.float32(amount) * np.clip(0.35 + head.skull[index] / 4, 0, 1)
        _stain(head, index, (share * ramp(depth.astype(np.float32), 8.0)).astype(np.float32), hu, key)

    return paint

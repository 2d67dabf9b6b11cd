"""Bone that is eaten away or has grown too dense, and what only looks like it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.scalp import bulge
from molre.phantom.lesions.vault import chart, direction, thickness_mm
from molre.phantom.shapes import Point, ramp

LYTIC, SCLEROTIC = ["osteolytic_bone_lesion"], ["osteosclerotic_bone_lesion"]


def _anywhere(case: Case) -> Point:
    """A direction to a random place of the vault."""
    return direction(case.uniform(-np.pi, np.pi), case.uniform(0.05, 1.2))


@lesion("osteolytic_bone_lesion")
def lytic(case: Case) -> Paint:
    """Holes in the vault filled with soft tissue.

    Punched out and many, ragged with a mass that leaves the bone, or single with bevelled edges; the tables are eaten
    to different widths.
    """
    kind = case.kind()
    count = {"punched": round(case.graded(2, 9)), "ragged": int(case.rng.integers(1, 4)), "bevelled": 1}[kind]
    rough = {"punched": 0.5, "ragged": 2.2, "bevelled": 0.7}[kind]
    hu = case.hu()
    holes = []
    for _ in range(max(count, 1)):
        radius = case.size_mm() * (case.uniform(0.35, 0.7) if kind == "punched" else case.uniform(0.7, 1.2))
        spill = case.graded(0.0, 0.5) * radius if kind != "punched" else 0.0
        towards = _anywhere(case)
        if spill > 1.5:
            bulge(case, towards, spill, 0.75 * radius)
        holes.append(
            (towards, radius, case.uniform(-0.35, 0.35), case.uniform(0.75, 1.0), spill, case.uniform(0.75, 1.0))
        )

    def paint(head: Head) -> None:
        for towards, radius, bevel, left, spill, stretch in holes:
            _hole(head, towards, radius * left, bevel, rough, spill, stretch, hu)

    return paint


def _hole(
    head: Head, towards: Point, radius: float, bevel: float, rough: float, spill: float, stretch: float, hu: float
) -> None:
    """Eat a hole whose radius differs between the tables, with what spills out of it on both sides."""
    found = chart(head, towards, 1.6 * radius + 6, low_mm=-22 - spill, high_mm=1.5 + spill)
    index, noise = found.index, head.noise[found.index]
    wide = np.float32(radius) * (1 + np.float32(bevel) * (np.clip(found.layer, 0, 1) - np.float32(0.5)))
    depth = wide - np.hypot(found.u, found.v * np.float32(stretch)) + np.float32(rough) * noise
    bone = ramp(np.minimum(depth, np.minimum(found.depth + thickness_mm(head, index) + 1, 1 - found.depth)))
    value = (np.float32(hu) + 3 * noise).astype(np.float32)
    head.paint(index, bone, value, "tumour", LYTIC)
    if spill > 1:
        above = -found.depth - thickness_mm(head, index)
        beyond = np.maximum(above, found.depth)
        dome = np.float32(spill) * (1 - (np.hypot(found.u, found.v) / np.float32(0.95 * radius)) ** 2)
        out = ramp(np.where(beyond > -0.5, dome - beyond, -9).astype(np.float32))
        head.paint(index, out, value, "tumour", LYTIC)


@lesion("osteosclerotic_bone_lesion")
def sclerotic(case: Case) -> Paint:
    """An ivory knob on a table, ground glass that widens the diploe, or patches of dense bone within it."""
    kind = case.kind()
    if kind == "osteoma":
        return _osteoma(case)
    if kind == "ground_glass":
        return _ground_glass(case)
    return _blastic(case)


def _osteoma(case: Case) -> Paint:
    """A dome of compact bone on the outer table, which lifts the scalp, or on the inner one."""
    towards, radius, hu = _anywhere(case), case.size_mm(), case.uniform(1300, 2000)
    height, inwards = radius * case.uniform(0.35, 0.7), case.chance(0.2)
    if not inwards:
        bulge(case, towards, max(height - 1.0, 0.8), 0.75 * radius)

    def paint(head: Head) -> None:
        found = chart(head, towards, 1.3 * radius + 4, low_mm=-18 - height, high_mm=height + 2)
        above = found.depth if inwards else -found.depth - thickness_mm(head, found.index)
        far = np.hypot(found.u, found.v) / np.float32(radius)
        dome = np.float32(height) * np.sqrt(np.maximum(1 - far * far, 0)) + 0.3 * head.noise[found.index]
        depth = np.minimum(np.where(far < 1, dome - above, -9), above + 2.0)
        head.paint(found.index, ramp(depth.astype(np.float32)), hu + 40 * head.noise[found.index], "bone", SCLEROTIC)

    return paint


def _ground_glass(case: Case) -> Paint:
    """Fibrous dysplasia: an even, hazy widening of the vault between thin tables."""
    towards, radius = _anywhere(case), 1.6 * case.size_mm()
    swell, hu = case.graded(1.0, 8.0), case.uniform(350, 750)
    outwards = swell * case.uniform(0.4, 0.9)
    swelling = bulge(case, towards, outwards, 0.7 * radius)
    share = case.graded(0.6, 1.0)

    def paint(head: Head) -> None:
        found = chart(head, towards, 1.5 * radius + 6, low_mm=-20 - swell, high_mm=swell + 2)
        index, noise = found.index, head.noise[found.index]
        x, y, z = (a[index] for a in head.still)
        height = swelling.local_height_mm((x, y, z))
        rise = height / np.float32(max(outwards, 0.5))
        inner = found.depth - np.float32(swell - outwards) * rise
        outer = -found.depth - thickness_mm(head, index) - height
        depth = -np.maximum(inner, outer)
        edge = ramp(np.float32(radius) + 2 * noise - np.hypot(found.u, found.v), 4.0)
        table = np.clip(1 - depth / np.float32(1.6), 0, 1)
        value = np.float32(hu) + 45 * noise + (1100 - np.float32(hu)) * table
        head.paint(index, ramp(depth) * edge * np.float32(share), value.astype(np.float32), "bone", SCLEROTIC)

    return paint


def _blastic(case: Case) -> Paint:
    """Metastases such as those of prostate: ill-defined dense patches in the diploe."""
    sites = [(_anywhere(case), case.size_mm() * case.uniform(0.5, 1.1)) for _ in range(round(case.graded(1, 7)))]
    hu = case.graded(900, 1500)

    def paint(head: Head) -> None:
        for towards, radius in sites:
            found = chart(head, towards, 1.5 * radius + 5)
            index, noise = found.index, head.noise[found.index]
            depth: Float32[np.ndarray, "m"] = np.float32(radius) - np.hypot(found.u, found.v) + 2.5 * noise
            weight = ramp(depth, 4.0) * (head.bone[index] & (head.hu[index] < hu))
            head.paint(index, weight.astype(np.float32), hu + 70 * noise, "bone", SCLEROTIC)

    return paint

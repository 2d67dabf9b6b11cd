"""Brain lost long ago: old infarcts, lacunes, and the holes that injuries leave."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.infarct import infarct_depth, old_infarct
from molre.phantom.lesions.registry import lesion, mimic
from molre.phantom.lesions.territory import TERRITORIES
from molre.phantom.ripple import Ripple, draw_ripple
from molre.phantom.shapes import Point, ramp
from molre.phantom.stroke import Infarct
from molre.phantom.tissue import T

GLIOSIS_HU = 20.0
"""Scarred tissue at the rim: below white matter, above fluid."""


def hollow(
    head: Head,
    index: np.ndarray,
    depth: Float32[np.ndarray, "m"],
    bend: Ripple,
    hu: float,
    amount: float,
    keys: list[str],
) -> None:
    """Turn brain to fluid-like tissue with a rim of gliosis and strands of what is left of the cortex.

    Args:
        head: to paint.
        index: voxels near the scar.
        depth: in it, mm.
        bend: where gliosis is thick and where strands are left.
        hu: density of the middle.
        amount: 0 nothing to 1 all of it.
        keys: findings to mark.
    """
    brain = head.tissue_is("grey", "white")[index] & (head.skull[index] > 0)
    index, depth = index[brain], depth[brain]
    uneven = bend((head.x[index], head.y[index], head.z[index])) + head.noise[index]
    rim = np.exp(-np.maximum(depth, 0) / np.float32(2.5))
    cortex = head.tissue_is("grey")[index] * np.clip(uneven * np.float32(0.5), 0, 0.6)
    value = np.float32(hu) + (np.float32(GLIOSIS_HU) - np.float32(hu)) * np.clip(rim + np.float32(0.15) * uneven, 0, 1)
    weight = ramp(depth, 2.5) * np.float32(amount) * (1 - cortex)
    head.hu[index] += (value - head.hu[index]) * weight
    shown = index[depth > 0]
    head.tissue[shown] = T["scar"]
    head.mark(shown, keys)


def draw_out(head: Head, near: np.ndarray, depth: Float32[np.ndarray, "m"], side: int, pull_mm: float) -> None:
    """Widen the ventricle of a side towards lost brain.

    Args:
        head: to paint.
        near: voxels about the scar.
        depth: in it, mm, negative outside.
        side: of the scar.
        pull_mm: by how much the wall gives way where it is nearest.
    """
    wall = head.ventricle[near] + np.float32(head.body.ventricle_mm[side]) + np.float32(pull_mm) * ramp(depth + 8, 24.0)
    lateral = (np.abs(head.x[near]) > 4) & ~head.at("brainstem", "cerebellum", "thalamus", "midline", "callosum")[near]
    lateral &= head.tissue_is("grey", "white", "scar")[near]
    fluid = ramp(wall) * lateral
    head.paint(near, fluid, head.body.csf_hu, "csf")
    head.ventricular[near[fluid > 0.5]] = True


@lesion("chronic_territorial_infarct")
def chronic_infarct(case: Case) -> Paint:
    """A territory, or a wedge of it, gone: fluid, gliosis, wide furrows, the ventricle drawn out towards it."""
    infarct = old_infarct(case)
    hu, amount = case.hu(), case.graded(0.6, 1.0)
    body, share = case.body, infarct.extent_mm / 130
    large = TERRITORIES[infarct.territory].region == "forebrain" and share > 0.3
    if large:
        x, y, z = 0.6 * np.array(infarct.middle) + 0.4 * np.array(TERRITORIES[infarct.territory].stem)
        body.push((infarct.sign * x, y, z), 0.28 * infarct.extent_mm, -0.25)

    def paint(head: Head) -> None:
        index, depth = infarct_depth(head, infarct, 24 if large else 6)
        hollow(head, index, depth, infarct.ripple, hu, amount, ["chronic_territorial_infarct"])
        if large:
            draw_out(head, index, depth, infarct.side, 9 * share)
        if infarct.extent_mm > 75 and infarct.territory.startswith("mca"):
            _waller(head, infarct)

    return paint


def _waller(head: Head, infarct: Infarct) -> None:
    """The cerebral peduncle and the side of the pons lose their fibres and shrink (Kuhn et al. 1989)."""
    index = np.flatnonzero(head.at("brainstem") & head.side(infarct.side) & (head.y < 8) & (np.abs(head.z + 16) < 14))
    out = np.abs(head.x[index])
    shrunk = np.minimum(head.cistern[index] + np.float32(head.body.cistern_mm) + 2.4, out - 2)
    head.paint(index, ramp(shrunk.astype(np.float32)), head.body.csf_hu, "csf")


LACUNES = {
    "lentiform": ((18, -26, -2), (29, -2, 10)),
    "capsule": ((17, -12, 4), (22, 6, 14)),
    "thalamus": ((6, -6, 2), (15, 10, 12)),
    "caudate": ((11, -34, 6), (16, -22, 14)),
    "corona": ((19, -26, 20), (29, 20, 34)),
    "pons": ((2, 0, -40), (8, 10, -26)),
}
"""Corners of the box in which each place's lacunes lie, x positive."""


@lesion("lacunar_infarct")
def lacunar(case: Case) -> Paint:
    """One to five round or oval holes in the beds of the small deep arteries."""
    count = 1 + int(case.rng.binomial(4, case.graded(0.05, 0.45)))
    sites = []
    for number in range(count):
        x, y, z = case.rng.uniform(*LACUNES[case.place()])
        diameter = max(4.4, case.size_mm() * (case.uniform(0.5, 1) if number else 1))
        stretch = (case.uniform(0.75, 1.3), case.uniform(0.75, 1.3), case.uniform(0.75, 1.3))
        sites.append(((case.side()[1] * float(x), float(y), float(z)), diameter / 2, stretch, case.hu()))

    def paint(head: Head) -> None:
        for centre, radius, stretch, hu in sites:
            index, depth = head.ball(centre, radius, stretch=stretch, rough=0.12)
            brain = head.tissue_is("grey", "white", "scar")[index] & ~head.ventricular[index]
            # A narrow halo of gliosis softens the edge.
            head.paint(index, ramp(depth + 0.7, 1.6) * brain * np.float32(0.45), GLIOSIS_HU, "scar")
            head.paint(index, ramp(depth) * brain, hu, "scar", ["lacunar_infarct"])

    return paint


HOLES = {
    "frontobasal": ((8, -72, -14), (30, -58, 4)),
    "frontal": ((14, -70, 6), (38, -44, 40)),
    "temporal_pole": ((36, -30, -30), (48, -12, -16)),
    "temporal": ((48, -4, -20), (58, 24, -4)),
    "parietal": ((24, 20, 30), (48, 56, 52)),
    "occipital": ((10, 66, 0), (26, 80, 20)),
}
"""Corners of the box of the middle of old injuries, x positive."""


@lesion("encephalomalacia_gliosis")
def encephalomalacia(case: Case) -> Paint:
    """Ragged fluid-like loss of cortex and white matter, most often where contusions have been."""
    place = case.place()
    _, sign = case.side()
    radius, hu, amount = case.size_mm() / 2, case.hu(), case.graded(0.68, 1.0)
    both = place.startswith("front") and case.chance(0.3)
    spots: list[tuple[Point, float, int]] = []
    for each in (sign, -sign) if both else (sign,):
        x, y, z = case.rng.uniform(*HOLES[place])
        spots.append(
            ((each * float(x), float(y), float(z)), radius * case.uniform(0.75, 1.1), LEFT if each > 0 else RIGHT)
        )
    bends = [draw_ripple(case.rng, 10, 30) for _ in spots]
    for centre, reach, _ in spots:
        case.body.push(centre, reach, -0.18 * amount)

    def paint(head: Head) -> None:
        for (centre, reach, its), bend in zip(spots, bends, strict=True):
            _hole(head, centre, reach, its, bend, hu, amount)

    return paint


def _hole(head: Head, centre: Point, radius: float, side: int, bend: Ripple, hu: float, amount: float) -> None:
    index = head.near(centre, 1.6 * radius + 14)
    index = index[(head.skull[index] > 0) & ~head.at("cerebellum", "brainstem", "tentorium")[index]]
    at = (head.x[index], head.y[index], head.z[index])
    offset = [a - np.float32(c) for a, c in zip(at, centre, strict=True)]
    depth = np.float32(radius) - np.sqrt(sum(o * o for o in offset)) + np.float32(0.3 * radius) * bend(at)
    # The falx bounds it; the cortex goes first, so that it is widest at the surface.
    depth = np.minimum(depth, np.sign(centre[0]) * at[0] - 1) + np.clip(6 - head.skull[index], -6, 4) * np.float32(0.3)
    hollow(head, index, depth.astype(np.float32), bend, hu, amount, ["encephalomalacia_gliosis"])
    draw_out(head, index, depth.astype(np.float32), side, 0.16 * radius)


@mimic("lone_perivascular_space")
def lone_space(case: Case) -> Paint:
    """One smooth perivascular space of ordinary width beneath a lentiform nucleus or above it."""
    sign = case.side()[1]
    low, high = ((19, -20, -7), (24, -10, -3)) if case.chance(0.7) else ((20, -20, 22), (30, 16, 32))
    x, y, z = case.rng.uniform(low, high)
    radius = case.size_mm() / 2
    shape = (1.0, case.uniform(1, 1.6), case.uniform(1.4, 2.6))

    def paint(head: Head) -> None:
        index, depth = head.ball((sign * float(x), float(y), float(z)), radius, stretch=shape, rough=0.05)
        brain = head.tissue_is("grey", "white")[index]
        head.paint(index, ramp(depth) * brain, head.body.csf_hu, "csf")

    return paint


@mimic("wide_sulcus")
def wide_sulcus(case: Case) -> Paint:
    """One furrow of the convexity much wider than the others, with unharmed brain on both sides."""
    sign, width = case.side()[1], case.size_mm() / 2
    x, y, z = case.rng.uniform((30, -40, 30), (50, 50, 58))
    across = case.rng.normal(0, 1, 3) * (0.4, 1, 0.5)
    across /= np.linalg.norm(across)
    deep, long, bend = case.uniform(10, 20), case.uniform(8, 16), draw_ripple(case.rng, 18, 40)

    def paint(head: Head) -> None:
        index = head.near((sign * x, y, z), 30)
        index = index[(head.skull[index] > 0) & (head.skull[index] < 24) & head.tissue_is("grey", "white")[index]]
        at = (head.x[index], head.y[index], head.z[index])
        offset = [a - np.float32(c) for a, c in zip(at, (sign * x, y, z), strict=True)]
        plane = np.abs(sum(o * np.float32(c) for o, c in zip(offset, across, strict=True)) + 1.5 * bend(at))
        narrow = np.clip(1.2 - head.skull[index] / np.float32(deep), -1, 1)
        far = np.sqrt(sum(o * o for o in offset))
        depth = np.minimum(np.float32(width) * narrow - plane, np.float32(long + 8) - far)
        head.paint(index, ramp(depth.astype(np.float32), 1.2), head.body.csf_hu, "csf")

    return paint

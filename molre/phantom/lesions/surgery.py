"""What surgeons leave in vault and brain: flaps, defects, burr holes, cavities."""

from __future__ import annotations

import numpy as np

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import Lump, below_vault, fill, inside, lump, swell, vasogenic
from molre.phantom.lesions.opening import DEFECT, FLAP, Outline, ensure_opening, flap, hole, outline
from molre.phantom.lesions.registry import lesion, mimic
from molre.phantom.lesions.vault import direction
from molre.phantom.operation import Operation
from molre.phantom.shapes import Point, ramp

CAVITY = "resection_cavity_or_postsurgical_change"
SCALP_MM = 6.0
"""Thickness of the skin flap over a defect."""


@lesion("resection_cavity_or_postsurgical_change")
def cavity(case: Case) -> Paint:
    """A cavity that opens to the surface beneath the opening of the vault."""
    operation, radius = case.body.operation, case.size_mm()
    operation.settled = True
    recent = case.kind() == "recent"
    centre = below_vault(operation.towards, 0.75 * radius)
    solid = lump(case.rng, centre, radius, rough=0.16 if recent else 0.1, stretch=0.18)
    halo = case.graded(2, 9)
    scar = lump(case.rng, centre, radius + (0.4 if recent else 0.7) * halo, rough=0.16, stretch=0.1)
    blood = recent and case.chance(0.6)
    air = recent and case.chance(0.55)
    hu, side = case.hu(), LEFT if operation.sign > 0 else RIGHT
    if recent:
        extent = swell(case, centre, radius, 0.8 * halo)
        case.body.sulcus_mm[side] -= 0.3
    else:
        case.body.push(centre, radius, -0.25)
        case.body.ventricle_mm[side] += 0.06 * radius
    case.body.claims |= {"intraparenchymal_hemorrhage"} if blood else set()
    case.body.claims |= {"pneumocephalus"} if air else set()

    def paint(head: Head) -> None:
        if recent:
            vasogenic(head, extent, case.uniform(16, 20), 0.85)
        else:
            _gliosis(head, scar)
        fill(head, solid, hu, "cyst", [CAVITY])
        if blood:
            _lined(head, solid, case.uniform(50, 66))
        _thick_dura(head, operation, case.graded(0.8, 2.2))
        if air:
            _bubble(head, solid)
        ensure_opening(head, recent)

    return paint


def _gliosis(head: Head, scar: Lump) -> None:
    index, depth = scar.depth(head)
    white = head.tissue_is("white", "grey")[index] * inside(head, index)
    head.paint(index, ramp(depth, 4.0) * white * np.float32(0.8), 20.0, "scar", [CAVITY])


def _lined(head: Head, solid: Lump, hu: float) -> None:
    """Patches of blood along the wall."""
    index, depth = solid.depth(head)
    patch = np.minimum(1.8 - np.abs(depth - 0.5), 2.5 * (head.noise[index] - 0.2)).astype(np.float32)
    keys = [CAVITY, "intraparenchymal_hemorrhage"]
    head.paint(index, ramp(patch, 1.5) * inside(head, index), hu, "acute_blood", keys)


def _thick_dura(head: Head, operation: Operation, thick_mm: float) -> None:
    at = outline(head, operation, operation.size_mm, low_mm=-1.0, high_mm=4.0)
    index = at.chart.index
    depth = np.minimum(np.float32(thick_mm) - head.inner[index], at.edge / 4 + 1).astype(np.float32)
    head.paint(index, ramp(depth) * inside(head, index), 48.0, "dura", [CAVITY])


def _bubble(head: Head, solid: Lump) -> None:
    """Air that has risen to the front of the cavity, for the patient lies on the back."""
    index, depth = solid.depth(head)
    top = np.float32(solid.centre[1] - 0.45 * solid.radius_mm) - head.still[1][index]
    bubble = np.minimum(depth, np.minimum(top, head.inner[index])).astype(np.float32)
    head.paint(index, ramp(bubble), -960.0, "pathological_air", [CAVITY, "pneumocephalus"])


@lesion("craniotomy_or_cranioplasty", slot="vault")
def craniotomy(case: Case) -> Paint:
    """A flap put back, or what replaces it."""
    operation = case.body.operation
    operation.planned = True
    operation.size_mm = case.size_mm()
    kind, hu = case.kind(), case.hu()
    swollen = kind == "plated_flap" and case.chance(0.3)

    def paint(head: Head) -> None:
        flap(head, operation, operation.size_mm, kind, case.severity, hu)
        if swollen:
            _swollen_scalp(head, operation)

    return paint


def _swollen_scalp(head: Head, operation: Operation) -> None:
    """Fluid between galea and bone soon after the operation; it is part of the operation and no haematoma."""
    at = outline(head, operation, operation.size_mm, low_mm=-14.0, high_mm=-4.0)
    index = at.chart.index
    depth = np.minimum(np.minimum(at.above, 4 - at.above), at.edge / 3 + 2).astype(np.float32)
    soft = head.tissue_is("fat", "muscle")[index]
    head.paint(index, ramp(depth, 1.5) * soft, 24.0 + 4 * head.noise[index], "fluid", [FLAP])


@lesion("craniectomy_or_burr_hole", slot="vault")
def craniectomy(case: Case) -> Paint:
    """Vault missing over a wide window, or round holes."""
    kind, operation, size = case.kind(), case.body.operation, case.size_mm()
    if kind == "burr_holes":
        return _burr_holes(case, operation)
    operation.planned = True
    if kind == "suboccipital" and not operation.settled:
        operation.towards, size = (operation.sign * 0.28, 0.86, -0.42), 0.5 * size
    operation.size_mm = size
    middle = below_vault(operation.towards, 14.0)
    height = {"swollen": case.graded(3, 11), "sunken": -case.graded(4, 14)}.get(kind, 0.0)
    if height:
        x, y, z = (0.9 * height * np.asarray(operation.towards)).tolist()
        case.body.slide(middle, (x, y, z), 0.62 * size)

    def paint(head: Head) -> None:
        at = outline(head, operation, size, low_mm=-20.0, high_mm=20.0)
        _open(head, at, case.hu())
        if kind == "swollen":
            _bulge(head, at, height)
        elif kind == "sunken":
            _sink(head, at, -height)

    return paint


def _open(head: Head, at: Outline, hu: float) -> None:
    """Bone is missing; soft tissue fills its place."""
    index = at.chart.index
    head.paint(index, ramp(at.edge) * at.bone, hu + 5 * head.noise[index], "muscle", [DEFECT])
    head.bone[index[(at.edge > 0) & (at.bone > 0)]] = False


def _dome(at: Outline) -> np.ndarray:
    """1 over the middle of an opening, falling to 0 at its edge."""
    share = np.clip(at.edge / (0.55 * min(at.half)), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _bulge(head: Head, at: Outline, height_mm: float) -> None:
    """Brain stands out through the window."""
    index = at.chart.index
    top = np.minimum(np.float32(height_mm + 2) * _dome(at), np.float32(11))
    depth = top + at.chart.depth
    brain = ramp(depth) * (at.chart.depth < 0.5) * (head.skin[index] > 4)
    cortex = head.body.white_hu + (head.body.grey_hu - head.body.white_hu) * ramp(4 - depth, 2.0)
    value = (cortex + 2 * head.noise[index]).astype(np.float32)
    head.paint(index, brain.astype(np.float32), value, "grey", [DEFECT])
    dura = ramp(np.float32(0.8) - np.abs(depth)) * (top > 1)
    head.paint(index, dura.astype(np.float32), 46.0, "dura", [DEFECT])


def _sink(head: Head, at: Outline, depth_mm: float) -> None:
    """The skin has sunk through the window onto the brain."""
    index, dome = at.chart.index, _dome(at)
    floor = np.float32(depth_mm) * dome
    pull = dome * np.float32(depth_mm + 13 - SCALP_MM)
    scalp = ramp(floor - at.chart.depth) * (dome > 0) * (at.chart.depth > -2)
    head.paint(index, scalp.astype(np.float32), 40.0 + 6 * head.noise[index], "muscle", [DEFECT])
    fluid = ramp(np.float32(0.9) - np.abs(at.chart.depth - floor - 0.9)) * (dome > 0.05)
    head.paint(index, fluid.astype(np.float32), head.body.csf_hu, "csf")
    skin = head.skin[index]
    head.paint(index, ramp(pull + 2 - skin) * (pull > 1), 25.0, "skin")
    head.paint(index, ramp(pull - skin) * (pull > 1), -1000.0, "air", [DEFECT])


def _burr_holes(case: Case, operation: Operation) -> Paint:
    """One to three round holes, in front and behind on one side or on both."""
    radius = case.graded(4.2, 7.0)
    sides = [operation.sign, -operation.sign] if case.chance(0.3) else [operation.sign]
    places: list[Point] = []
    for sign in sides:
        for azimuth, height in ((-0.85, 0.75), (0.45, 0.7)):
            if not places or case.chance(0.65):
                x, y, z = direction(azimuth + case.uniform(-0.2, 0.2), height + case.uniform(-0.15, 0.15))
                places.append((sign * x, y, z))
    hu = case.hu()

    def paint(head: Head) -> None:
        for towards in places:
            hole(head, towards, radius, [DEFECT], hu)

    return paint


@mimic("parietal_foramina")
def parietal_foramina(case: Case) -> Paint:
    """A pair of small smooth holes beside the sagittal suture, there from birth."""
    radius = case.size_mm()
    height, away = case.uniform(0.95, 1.1), case.uniform(0.22, 0.32)

    def paint(head: Head) -> None:
        for sign in (1, -1):
            x, y, z = direction(np.pi / 2 - away, height)
            hole(head, (sign * x, y, z), radius, [], 20.0)

    return paint


@mimic("scalp_staples")
def scalp_staples(case: Case) -> Paint:
    """A row of staples in the skin, as after any laceration."""
    sign, towards = case.side()[1], direction(case.uniform(-1, 1), case.uniform(0.3, 0.9))
    end = direction(case.uniform(-1, 1), case.uniform(0.3, 0.9))
    steps = int(case.rng.integers(4, 10))
    rail = [np.asarray(towards) * (1 - t) + np.asarray(end) * t for t in np.linspace(0, 1, steps)]
    size = case.size_mm()

    def paint(head: Head) -> None:
        for way in rail:
            _on_skin(head, (sign * float(way[0]), float(way[1]), float(way[2])), (size, 0.8))

    return paint


@mimic("eeg_leads")
def eeg_leads(case: Case) -> Paint:
    """Round metal electrodes on the scalp."""
    size = case.size_mm()
    ways = [(case.uniform(-1.2, 1.2), case.uniform(0.1, 1.2), s) for s in (1, -1) for _ in range(4)]

    def paint(head: Head) -> None:
        for azimuth, height, sign in ways:
            x, y, z = direction(azimuth, height)
            _on_skin(head, (sign * x, y, z), (size, size))

    return paint


def _on_skin(head: Head, towards: Point, size_mm: tuple[float, float]) -> None:
    """A thin piece of metal in the skin."""
    unit = np.asarray(towards) / np.linalg.norm(towards)
    x, y, z = below_vault((float(unit[0]), float(unit[1]), float(unit[2])), -12.0)
    index = head.near((x, y, z), max(size_mm) + 8)
    offset = [a[index] - np.float32(c) for a, c in zip(head.still, (x, y, z), strict=True)]
    out = sum(o * np.float32(u) for o, u in zip(offset, unit, strict=True))
    level = np.sqrt(np.maximum(sum(o * o for o in offset) - out**2, 0))
    depth = np.minimum(np.float32(max(size_mm)) - level, np.float32(0.8) - np.abs(head.skin[index] - 1))
    depth = np.minimum(depth, np.float32(min(size_mm)) - np.abs(offset[2])).astype(np.float32)
    head.paint(index, ramp(depth, 0.8), 3071.0, "metal")

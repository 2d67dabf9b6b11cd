"""What surgeons leave behind: tubes, clips, coils, leads, probes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.mass import HYDROCEPHALUS_MM, below_vault, dilate, fill, lump, near
from molre.phantom.lesions.opening import DEFECT, METAL_HU, ensure_opening, hole
from molre.phantom.lesions.registry import lesion, mimic, pick
from molre.phantom.lesions.vascular import fork, winding
from molre.phantom.lesions.vault import direction
from molre.phantom.shapes import Point, capsule, ramp, tube
from molre.phantom.template import CENTRE_MM

SHUNT, CLIP, LEAD = (
    ["ventricular_shunt_or_drain"], ["aneurysm_clip_coil_or_embolization"], ["implanted_electrode_or_icp_monitor"],
)  # fmt: skip
HYDROCEPHALUS = "ventriculomegaly_or_communicating_hydrocephalus"
SUBTHALAMIC_MM: Point = (12.0, -3.0, -8.0)
"""The subthalamic nucleus on the left, 12 mm beside and 3 mm behind the middle of the commissures' line."""


def rod(head: Head, start: Point, end: Point, radius_mm: float, hu: float, tissue: str, keys: list[str]) -> None:
    """A straight rod, as far as it lies beneath the skin."""
    # A rod needs a length.
    end = (end[0], end[1], end[2] + 0.01)
    low, high = np.minimum(start, end) - radius_mm - 2, np.maximum(start, end) + radius_mm + 2
    x, y, z = head.still
    index = np.flatnonzero((z > low[2]) & (z < high[2]))
    index = index[(y[index] > low[1]) & (y[index] < high[1])]
    index = index[(x[index] > low[0]) & (x[index] < high[0]) & (head.skin[index] > 0.5)]
    depth = capsule((x[index], y[index], z[index]), start, end, radius_mm)
    head.paint(index, ramp(depth, 0.8), hu, tissue, keys)


def mirrored(azimuth: float, height: float, sign: int) -> Point:
    """A direction on the side of a sign."""
    x, y, z = direction(azimuth, height)
    return sign * x, y, z


@lesion("ventricular_shunt_or_drain")
def shunt(case: Case) -> Paint:
    """A catheter in a lateral ventricle, with a valve and a tube under the skin unless it is a drain."""
    kind, sign = case.kind(), case.side()[1]
    front = kind != "parietal_shunt"
    entry = (-1.0, 0.98) if front else (0.75, 0.5)
    towards = mirrored(entry[0] + case.uniform(-0.08, 0.08), entry[1] + case.uniform(-0.06, 0.06), sign)
    reach = case.uniform(-26, -18) if front else case.uniform(-34, -22)
    tip: Point = (sign * case.uniform(3, 8), reach, case.uniform(6, 12))
    radius, hu = case.graded(1.1, 1.6), case.hu()
    drain = kind == "frontal_drain"
    _ventricles(case, drain)
    case.body.claims |= set() if drain else {DEFECT}

    def paint(head: Head) -> None:
        hole(head, towards, 2.2 if drain else 5.5, [] if drain else [DEFECT])
        rod(head, tip, below_vault(towards, -13.0), radius, hu, "device", SHUNT)
        if not drain:
            _under_skin(head, towards, sign, radius, hu)

    return paint


def _ventricles(case: Case, drain: bool) -> None:
    """Wide in some, slits in others; what lies between is drawn as neither."""
    if case.body.claims & {HYDROCEPHALUS, "obstructive_hydrocephalus"}:
        return
    wide = case.size_mm()
    if case.chance(0.2 if drain else 0.4):
        dilate(case.body, -1.3, -0.8)
    elif wide >= HYDROCEPHALUS_MM:
        dilate(case.body, wide + 0.6, 1.8)
        case.body.claims.add(HYDROCEPHALUS)


def _under_skin(head: Head, towards: Point, sign: int, radius: float, hu: float) -> None:
    """The valve behind the burr hole and the tube down behind the ear."""
    ear = np.asarray(mirrored(0.75, -0.55, sign))
    ways = [np.asarray(towards) * (1 - t) + ear * t for t in np.linspace(0, 1, 9)]
    out = -(head.body.skull_mm + 2.6)
    points = [(*below_vault((float(w[0]), float(w[1]), float(w[2])), out), radius) for w in ways]
    plane = np.cross(np.asarray(towards), ear)
    plane /= np.linalg.norm(plane)
    index = np.flatnonzero((head.inner < -3) & (head.still[0] * sign > 0) & (head.skin > 0.5))
    offset = [a[index] - np.float32(c) for a, c in zip(head.still, CENTRE_MM, strict=True)]
    index = index[np.abs(sum(o * np.float32(n) for o, n in zip(offset, plane, strict=True))) < 9]
    at = (head.still[0][index], head.still[1][index], head.still[2][index])
    head.paint(index, ramp(tube(at, points), 0.8), hu, "device", SHUNT)
    valve = capsule(at, points[1][:3], points[2][:3], 3.6, 2.8)
    head.paint(index, ramp(valve), 0.5 * hu, "device", SHUNT)
    head.paint(index, ramp(valve - 2.4), METAL_HU, "metal", SHUNT)


@lesion("aneurysm_clip_coil_or_embolization")
def clip(case: Case) -> Paint:
    """Metal at a fork of the circle of Willis, or glue in a malformation."""
    kind = case.kind()
    if kind == "embolic_cast":
        return _cast(case)
    centre, radius = fork(case, case.place()), case.size_mm()
    return _coil(case, centre, radius) if kind == "coil" else _clips(case, centre, radius)


def _coil(case: Case, centre: Point, radius: float) -> Paint:
    solid = lump(case.rng, centre, radius, rough=0.12, stretch=0.15)
    hu = case.hu()

    def paint(head: Head) -> None:
        fill(head, solid, hu, "metal", CLIP, width_mm=0.8)

    return paint


def _clips(case: Case, centre: Point, radius: float) -> Paint:
    """One to three short blades under a pterional craniotomy."""
    operation, blades = case.body.operation, []
    operation.move("pterional", 1 if centre[0] > 0 else -1)
    operation.settled = True
    way = np.asarray(operation.towards) + case.rng.normal(0, 0.25, 3)
    for _ in range(1 + int(case.rng.integers(3) * (case.severity > 0.4))):
        lean = way + case.rng.normal(0, 0.15, 3)
        lean *= 2.0 * radius / np.linalg.norm(lean)
        start = np.asarray(centre) + case.rng.normal(0, 1.0, 3)
        blades.append((tuple(start.tolist()), tuple((start + lean).tolist())))
    thick, hu = case.graded(0.7, 1.3), case.hu()

    def paint(head: Head) -> None:
        for start, end in blades:
            rod(head, start, end, thick, hu, "metal", CLIP)
        ensure_opening(head, fresh=False)

    return paint


def _cast(case: Case) -> Paint:
    """Glue that fills winding vessels of a lobe; the malformation may be closed, so that it is no label of its own."""
    radius = 1.6 * case.size_mm() + 3
    centre = pick(case.rng, (12, -58, 0), (52, 62, 52), (8, 28), 0)
    loops = [winding(case.rng, centre, radius, 0.12 * radius + 0.4, 8) for _ in range(int(case.rng.integers(2, 5)))]
    hu = case.hu()

    def paint(head: Head) -> None:
        index = near(head, centre, 1.5 * radius + 3)
        at = (head.still[0][index], head.still[1][index], head.still[2][index])
        for loop in loops:
            depth = np.minimum(tube(at, loop), head.inner[index])
            head.paint(index, ramp(depth, 0.8), hu, "metal", CLIP)

    return paint


@lesion("implanted_electrode_or_icp_monitor")
def electrode(case: Case) -> Paint:
    """Deep leads, a pressure bolt, a subdural grid or depth electrodes."""
    kind = case.kind()
    if kind == "deep_brain_leads":
        return _deep_leads(case)
    if kind == "pressure_bolt":
        return _bolt(case)
    return _grid(case) if kind == "subdural_grid" else _depth_electrodes(case)


def _deep_leads(case: Case) -> Paint:
    """From frontal burr holes to the subthalamic nuclei, most on both sides, with wires under the skin."""
    signs = (1, -1) if case.chance(0.8) else (case.side()[1],)
    radius, hu = case.size_mm(), case.hu()
    x, y, z = SUBTHALAMIC_MM
    entries = [mirrored(-1.0 + case.uniform(-0.08, 0.08), 0.98 + case.uniform(-0.05, 0.05), s) for s in signs]
    tips = [(s * (x + case.uniform(-1.5, 1.5)), y + case.uniform(-2, 2), z + case.uniform(-2, 1)) for s in signs]
    case.body.claims.add(DEFECT)

    def paint(head: Head) -> None:
        for tip, towards, sign in zip(tips, entries, signs, strict=True):
            hole(head, towards, 6.5, [DEFECT], 150.0)
            rod(head, tip, below_vault(towards, -8.0), radius, hu, "metal", LEAD)
            _wire(head, towards, mirrored(0.7, 0.6, sign), radius, hu)

    return paint


def _wire(head: Head, start: Point, end: Point, radius: float, hu: float) -> None:
    """A lead between bone and galea."""
    out = -(head.body.skull_mm + 2.4)
    ways = [np.asarray(start) * (1 - t) + np.asarray(end) * t for t in np.linspace(0, 1, 6)]
    points = [below_vault((float(w[0]), float(w[1]), float(w[2])), out) for w in ways]
    for a, b in pairwise(points):
        rod(head, a, b, 0.9 * radius, hu, "metal", LEAD)


def _bolt(case: Case) -> Paint:
    """A metal bolt in the frontal bone, most on the right, with a thin probe two centimetres into the brain."""
    sign = -1 if case.chance(0.75) else 1
    towards = mirrored(-1.0 + case.uniform(-0.1, 0.1), 0.92 + case.uniform(-0.1, 0.1), sign)
    radius, hu, deep = case.size_mm(), case.hu(), case.graded(10, 24)

    def paint(head: Head) -> None:
        hole(head, towards, 2.6, [])
        rod(head, below_vault(towards, 1.0), below_vault(towards, -14.0), 2.4, METAL_HU, "metal", LEAD)
        rod(head, below_vault(towards, deep), below_vault(towards, 0.0), 0.8 * radius, hu, "metal", LEAD)

    return paint


def _grid(case: Case) -> Paint:
    """Rows of round contacts on the brain's surface, through a flap."""
    operation = case.body.operation
    operation.settled = True
    rows, columns = int(case.rng.integers(3, 7)), int(case.rng.integers(4, 9))
    hu, radius = case.hu(), 1.5 * case.size_mm()
    main = np.asarray(operation.towards)
    level = np.cross((0, 0, 1), main) / np.linalg.norm(np.cross((0, 0, 1), main))
    up = np.cross(main, level)

    def paint(head: Head) -> None:
        for a in range(rows):
            for b in range(columns):
                w = main + 0.13 * ((b - (columns - 1) / 2) * level + (a - (rows - 1) / 2) * up)
                w /= np.linalg.norm(w)
                spot = below_vault((float(w[0]), float(w[1]), float(w[2])), 1.5)
                rod(head, spot, spot, radius, hu, "metal", LEAD)
        ensure_opening(head, fresh=True)

    return paint


def _depth_electrodes(case: Case) -> Paint:
    """Straight rows of contacts from the temporal and frontal vault towards the midline."""
    sign, hu, radius = case.side()[1], case.hu(), case.size_mm()
    shafts = []
    for _ in range(int(case.rng.integers(3, 7))):
        towards = mirrored(case.uniform(-0.7, 0.6), case.uniform(-0.15, 0.5), sign)
        _, y, z = below_vault(towards, 0.0)
        shafts.append((towards, (sign * case.uniform(10, 22), y + case.uniform(-5, 5), z + case.uniform(-5, 5))))

    def paint(head: Head) -> None:
        for towards, tip in shafts:
            start, end = np.asarray(below_vault(towards, -11.0)), np.asarray(tip)
            count = int(np.linalg.norm(end - start) / 5)
            for n in range(count + 1):
                at = start + (end - start) * n / count
                to = at + (end - start) / np.linalg.norm(end - start) * 2.4
                rod(head, tuple(at.tolist()), tuple(to.tolist()), radius, hu, "metal", LEAD)

    return paint


@mimic("dental_metal")
def dental_metal(case: Case) -> Paint:
    """Crowns and fillings at the lower end of the scan, whose streaks reach it."""
    spots = [(case.side()[1] * case.uniform(16, 28), case.uniform(-82, -50), case.uniform(-80, -62)) for _ in range(3)]
    size = case.size_mm()

    def paint(head: Head) -> None:
        for spot in spots:
            rod(head, spot, spot, size, METAL_HU, "metal", [])

    return paint

"""What is wrong in an orbit: masses, swollen muscles, torn, bleeding or operated globes, infection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.normal.eye import GLOBE_MM, MUSCLES, RADIUS_MM
from molre.phantom.shapes import Coordinates, Field, ellipsoid, ramp, tube
from molre.phantom.swelling import Swelling

KEY = ["orbital_abnormality"]
FAT_LIMIT_HU = 15.0


@lesion("orbital_abnormality")
def orbit(case: Case) -> Paint:
    """One of the forms of ``FORMS`` on one side, swollen muscles mostly on both."""
    kind, sign = case.kind(), case.side()[1]
    signs = (sign, -sign) if kind == "thyroid" and case.chance(0.8) else (sign,)
    parts = [FORMS[kind](case, each) for each in signs]

    def paint(head: Head) -> None:
        for part in parts:
            part(head)

    return paint


def _region(head: Head, sign: int) -> tuple[Int64[np.ndarray, "m"], Coordinates]:
    """Voxels about an orbit, and the coordinates of their tissue as if it were the left one."""
    x = head.x * np.float32(sign)
    box = (np.abs(x - 32) < 24) & (np.abs(head.y + 68) < 36) & (np.abs(head.z + 42) < 24)
    index = np.flatnonzero(box)
    return index, (x[index], head.y[index], head.z[index])


def _protrude(case: Case, sign: int, by_mm: float) -> None:
    """Push the globe and the lids forwards."""
    x, _, z = GLOBE_MM
    case.body.swellings.append(Swelling(centre=(sign * x, -62.0, z), outwards=(0.2 * sign, -0.98, 0.0),
                                        height_mm=by_mm, reach_mm=17.0, run_mm=max(22.0, 3 * by_mm)))  # fmt: skip


def _mass(case: Case, sign: int) -> Paint:
    """A round or lobed mass beside the nerve, outside the muscles or at the lacrimal gland."""
    size, place = case.size_mm(), case.place()
    hu, rough = case.hu(), case.uniform(0.02, 0.2)
    x, y, z = {
        "intraconal": (27.0, -60.0, -42.0),
        "extraconal": (21.0, -62.0, -54.0),
        "lacrimal": (45.0, -80.0, -31.0),
    }[place]
    centre = (x + case.uniform(-2, 2), y + case.uniform(-3, 3), z + case.uniform(-2, 2))
    stretch = (case.uniform(0.8, 1.05), case.uniform(0.95, 1.3), case.uniform(0.8, 1.05))
    if size > 5:
        _protrude(case, sign, 0.45 * size)

    def paint(head: Head) -> None:
        index, at = _region(head, sign)
        depth = ellipsoid(at, centre, (size * stretch[0], size * stretch[1], size * stretch[2]))
        depth = depth + np.float32(rough * 4) * head.noise[index]
        soft = head.at("orbit_fat", "orbit_soft")[index] & ~head.bone[index]
        head.paint(index, ramp(depth) * soft, hu + 2 * head.noise[index], "tumour", KEY)

    return paint


def _thyroid(case: Case, sign: int) -> Paint:
    """Thick bellies of the muscles, inferior and medial first, with free tendons, and a globe pushed forwards."""
    order = (3, 0, 2, 1)
    count = 2 + round(2 * case.severity * case.uniform(0.6, 1.2))
    thick = case.graded(1.3, 3.4)
    _protrude(case, sign, case.graded(1.0, 6.5))

    def paint(head: Head) -> None:
        index, at = _region(head, sign)
        depth = np.full(len(index), -9, np.float32)
        for number in order[: max(count, 1)]:
            first, second, third, last = MUSCLES[number]
            wide = tuple((*p[:3], p[3] + thick * share) for p, share in zip((second, third), (0.9, 1.0), strict=True))
            depth = np.maximum(depth, tube(at, (first, *wide, (*last[:3], last[3] + 0.5 * thick))))
        soft = head.at("orbit_fat", "orbit_soft")[index]
        head.paint(index, ramp(depth) * soft, 50 + 3 * head.noise[index], "muscle", KEY)

    return paint


def _globe(index_at: Coordinates, smaller_mm: float = 1.3) -> Field:
    return ellipsoid(index_at, GLOBE_MM, (RADIUS_MM - smaller_mm,) * 3)


def _vitreous(case: Case, sign: int) -> Paint:
    """Blood behind the lens, settled at the back or all through; or oil in its place."""
    oil = case.chance(0.3)
    hu = case.uniform(95, 125) if oil else case.graded(28, 68)
    level = GLOBE_MM[1] + (case.uniform(-11, -5) if oil else 10 - 20 * case.graded(0.2, 1.0))

    def paint(head: Head) -> None:
        index, at = _region(head, sign)
        rest = np.float32(0) if oil else 2.5 * head.noise[index]
        depth = np.minimum(_globe(at), at[1] - np.float32(level) + rest)
        eye = head.at("vitreous")[index]
        head.paint(index, ramp(depth.astype(np.float32)) * eye, hu, "fluid" if oil else "acute_blood", KEY)

    return paint


def _rupture(case: Case, sign: int) -> Paint:
    """A globe that has lost its roundness and volume, with blood in it and about it."""
    shrink, hu = case.graded(0.93, 0.66), case.hu()
    flat = (case.uniform(0.9, 1.05), case.uniform(0.75, 1.0), case.uniform(0.9, 1.05))
    dent = case.rng.normal(0, 1, 3)
    dent /= np.linalg.norm(dent)
    return _reshaped(
        sign, shrink, flat, dent, lambda head, index, depth: _bloody(head, index, depth, hu, case.severity)
    )


def _phthisis(case: Case, sign: int) -> Paint:
    """A small, thick-walled globe with calcified coats."""
    shrink, hu = case.graded(0.82, 0.55), case.uniform(250, 800)

    def scarred(head: Head, index: Int64[np.ndarray, "m"], depth: Field) -> None:
        head.paint(index, ramp(depth), 44 + 4 * head.noise[index], "eye", KEY)
        patchy = np.clip(head.noise[index] + np.float32(0.5), 0, 1)
        wall = ramp(np.float32(1.1) - np.abs(depth - np.float32(1.2))) * patchy
        head.paint(index, wall.astype(np.float32), hu, "calcification", KEY)

    return _reshaped(sign, shrink, (1.0, 0.95, 1.0), np.zeros(3), scarred)


def _reshaped(
    sign: int, shrink: float, flat: tuple[float, float, float], dent: np.ndarray,
    content: Callable[[Head, Int64[np.ndarray, "m"], Field], None],
) -> Paint:  # fmt: skip
    """Put a smaller, dented globe in place of the round one."""

    def paint(head: Head) -> None:
        index, at = _region(head, sign)
        eye = head.at("vitreous", "sclera", "lens")[index]
        radii = [RADIUS_MM * shrink * f for f in flat]
        depth = ellipsoid(at, GLOBE_MM, (radii[0], radii[1], radii[2])) + np.float32(0.6) * head.noise[index]
        along = sum((a - np.float32(c)) * np.float32(d) for a, c, d in zip(at, GLOBE_MM, dent, strict=True))
        depth = np.minimum(depth, np.float32(0.72 * RADIUS_MM * shrink) - along) if dent.any() else depth
        about = (ramp(-depth) * eye).astype(np.float32)
        # Fat and some fluid follow where the globe has shrunk.
        head.paint(index, about, -55 + 35 * head.noise[index], "fat", KEY)
        there = np.flatnonzero((depth > -1) & eye)
        content(head, index[there], depth[there].astype(np.float32))

    return paint


def _bloody(head: Head, index: Int64[np.ndarray, "m"], depth: Field, hu: float, severity: float) -> None:
    head.paint(index, ramp(depth), 46.0, "eye", KEY)
    share = np.clip(np.float32(severity) + np.float32(0.5) * head.noise[index], 0, 1)
    value = 12 + (np.float32(hu) - 12) * share
    head.paint(index, ramp(depth - np.float32(1.4)), value.astype(np.float32), "acute_blood", KEY)


def _cellulitis(case: Case, sign: int) -> Paint:
    """Swollen lids and cheek, and in the worse ones streaky orbital fat and a globe pushed forwards."""
    behind = case.severity > 0.4 and case.chance(0.7)
    _protrude(case, sign, case.graded(1.0, 6.0))
    hu, share = case.uniform(22, 42), case.graded(0.35, 0.9)

    def paint(head: Head) -> None:
        index, at = _region(head, sign)
        front = at[1] < -84 + np.float32(0.35) * (at[0] - 20)
        where = front | (head.at("orbit_fat")[index] if behind else False)
        fat = (head.hu[index] < FAT_LIMIT_HU) & (head.skin[index] > 0.5) & ~head.tissue_is("air_space", "air")[index]
        strands = np.clip(np.float32(share) + np.float32(0.35) * head.noise[index], 0, 1) * np.where(front, 1, 0.6)
        weight = strands * (where & fat) * np.clip((23 - np.abs(at[0] - 32)) / 6, 0, 1)
        head.paint(index, weight.astype(np.float32), hu + 4 * head.noise[index], "fluid", KEY)

    return paint


def _buckle(case: Case, sign: int) -> Paint:
    """A band of silicone about the globe's equator, at times a dark sponge beneath it."""
    hu = case.uniform(-700, -300) if case.chance(0.2) else case.uniform(120, 380)
    width, y = case.graded(1.3, 2.6), GLOBE_MM[1] + case.uniform(-1, 4)
    half = case.chance(0.3)

    def paint(head: Head) -> None:
        index, at = _region(head, sign)
        far = np.hypot(at[0] - np.float32(GLOBE_MM[0]), at[2] - np.float32(GLOBE_MM[2]))
        off = np.hypot(far - np.float32(RADIUS_MM + 0.6), (at[1] - np.float32(y)) * np.float32(0.6))
        depth: Float32[np.ndarray, "m"] = (np.float32(width) - off).astype(np.float32)
        if half:
            depth = np.where(at[2] > GLOBE_MM[2], np.float32(-9), depth)
        head.paint(index, ramp(depth), hu, "device", KEY)

    return paint


FORMS: dict[str, Callable[[Case, int], Paint]] = {
    "mass": _mass, "thyroid": _thyroid, "vitreous": _vitreous, "rupture": _rupture, "phthisis": _phthisis,
    "cellulitis": _cellulitis, "buckle": _buckle,
}  # fmt: skip
"""Each form of the table's ``kinds`` and what draws it."""

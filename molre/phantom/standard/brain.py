"""The standard brain's regions: which structure each place belongs to, and the cisterns about the stem."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from molre.phantom.shapes import Coordinates, Field, box, capsule, cut, ellipsoid, join, meet, union
from molre.phantom.standard import nuclei as deep
from molre.phantom.standard.cortex import callosal_mm, sylvian_mm, tentorial_edge_mm, tentorium_mm
from molre.phantom.standard.structures import S
from molre.phantom.standard.vessel import arteries, falx_mm, sinuses, straight_sinus, tentorium_sheet_mm

Structures = UInt8[np.ndarray, "z y x"]


def midbrain(at: Coordinates) -> Field:
    """Tectum and the two peduncles, with the notch between them in front."""
    x, y, z = at
    peduncle = ellipsoid((x, y - np.float32(0.35) * (x - 9), z), (9.5, 1, -14), (6.5, 9, 15))
    tectum = union(ellipsoid(at, (0, 11, -13), (12, 8, 15)), capsule(at, (5, 18, -8), (5, 18, -15), 4), 2)
    return union(tectum, peduncle, 3)


def pons(at: Coordinates) -> Field:
    """The pons with the middle cerebellar peduncles."""
    body = ellipsoid(at, (0, 11, -33), (16, 12.2, 13), 2.3)
    return union(body, capsule(at, (12, 14, -35), (23, 29, -37), 7.5, 6.5), 4)


def medulla(at: Coordinates) -> Field:
    """Medulla and the cord beneath it."""
    return join(capsule(at, (0, 16, -44), (0, 27, -66), 9, 7.5), capsule(at, (0, 27, -66), (0, 31, -125), 7.5, 6))


def callosum(at: Coordinates) -> Field:
    """The arch of the corpus callosum, thickest at genu and splenium, fanning out into the hemispheres."""
    x, y, _ = at
    outer = callosal_mm(at)
    thick = 5 + 4 * np.exp(-(((y + 48) / 9) ** 2)) + 4.5 * np.exp(-(((y - 25) / 9) ** 2))
    return meet(outer, thick - outer, np.float32(11) - x, at[2] - np.where(y < -10, -1, 6))


def _perimesencephalic(at: Coordinates) -> Field:
    """The ambient and quadrigeminal cisterns: a thin mantle about the midbrain, wide behind it."""
    x, y, z = at
    wide = np.float32(0.35) + np.clip((y - 7) / 9, 0, 1) * np.float32(1.1)
    around = meet(wide - np.abs(midbrain(at) + wide), z + 24, -z)
    roof = meet(ellipsoid((x, y - np.float32(0.05) * x * x, z), (0, 23.5, -3), (15, 3.6, 9)), -midbrain(at))
    return join(around, roof)


def cisterns(at: Coordinates) -> Field:
    """Distance into the cisterns at the base of the brain."""
    x, _, _ = at
    star = join(
        ellipsoid(at, (0, -15, -22), (7.5, 7.5, 6.5)),
        capsule(at, (3, -18, -22), (26, -22, -17), 4.0, 1.0),
        capsule(at, (3, -11, -22), (17, 1, -20), 3.8, 0.9),
        capsule(at, (0, -20, -22), (0, -37, -20), 3.0, 0.8),
    )
    peduncle = ellipsoid(at, (0, -5, -19), (5, 6.5, 7))
    front = meet(capsule(at, (0, -5, -26), (0, 9, -58), 3.4, 4), np.float32(17) - x)
    angle = join(capsule(at, (12, 0, -36), (24, 10, -39), 3.4, 2.4), capsule(at, (9, 10, -50), (18, 16, -54), 3, 2))
    magna = join(ellipsoid(at, (0, 56, -62), (10, 14, 7)), capsule(at, (0, 40, -62), (0, 34, -72), 6, 5))
    velum = meet(ellipsoid(at, (0, 16, 8), (5, 12, 2.6)), np.float32(5) - x)
    sylvian = np.float32(0.5) + np.clip((-at[1] - 8) / 25, 0, 1) * np.float32(0.5) - sylvian_mm(at)
    return join(star, _perimesencephalic(at), peduncle, front, angle, magna, velum, sylvian)


def cerebellum(at: Coordinates, cavity: Field) -> Field:
    """What lies beneath the tentorium and behind the stem and the petrous bones."""
    x, y, _ = at
    behind = y - 15 - np.float32(0.35) * np.maximum(x - 18, 0)
    return meet(-tentorium_mm(at) - np.float32(0.8), join(tentorial_edge_mm(at) - 1, y - 26), behind, cavity)


def brain(at: Coordinates, structure: Structures, cavity: Field) -> None:
    """Enter the brain's structures, small ones over large ones."""
    x, y, z = at
    hind = cerebellum(at, cavity) > 0
    fissure = (x < 10) & (callosal_mm(at) < 0) & (tentorium_mm(at) > 0) & (z > -24) & ((y < -18) | (z > -2))
    _enter(structure, {
        "midline": fissure & (cavity > 0),
        "cerebellum": hind,
        "vermis": hind & (x < 7) & (y > 26),
    })  # fmt: skip
    inner = box(at, (0, -62, -126), (50, 70, 46))
    _enter(structure[inner], _deep(cut(at, inner)))
    _enter(structure, {
        "tentorium": tentorium_sheet_mm(at, cavity) > -0.4,
        "falx": falx_mm(at, cavity) > -0.4,
        "venous_sinus": sinuses(at, cavity) > -0.4,
    })  # fmt: skip
    middle = box(at, (0, -64, -76), (54, 92, 48))
    small = cut(at, middle)
    _enter(structure[middle], {
        "straight_sinus": straight_sinus(small) > -0.4,
        "artery": arteries(small) > -0.4,
        "sella": ellipsoid(small, (0, -14, -33), (6, 5.5, 4)) > 0,
    })  # fmt: skip


def _enter(structure: Structures, found: dict[str, np.ndarray]) -> None:
    for name, where in found.items():
        structure[np.broadcast_to(where, structure.shape)] = S[name]


def _deep(at: Coordinates) -> dict[str, np.ndarray]:
    return {
        "dentate": np.abs(ellipsoid(at, (15, 41, -37), (8, 7, 5))) < 1.2,
        "medulla": medulla(at) > 0,
        "pons": pons(at) > 0,
        "midbrain": midbrain(at) > 0,
        "callosum": callosum(at) > 0,
        "fornix": capsule(at, (1.5, -14, 6), (2, 6, 16), 1.6) > 0,
        "capsule": _capsule(at) > 0,
        "hippocampus": deep.hippocampus(at) > 0,
        "insula": ellipsoid(at, (37, -14, 4), (4, 23, 14)) > 0,
        "caudate": deep.caudate(at) > 0,
        "thalamus": deep.thalamus(at) > 0,
        "lentiform": deep.putamen(at) > 0,
        "pallidum": deep.pallidum(at) > 0,
        "choroid": capsule(at, (22, 25, 12), (25, 30, 6), 3.0) > 0,
        "pineal": ellipsoid(at, (0, 19, -1), (3, 4, 2.6)) > 0,
    }


def _capsule(at: Coordinates) -> Field:
    """The internal capsule: between caudate and thalamus within and the lens without."""
    hull = ellipsoid(at, (18, -12, 5), (12, 30, 13))
    return meet(hull, -deep.nuclei(at))

"""What a lesion is, the registry of those the phantom can draw, and what each finding implies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molre.errors import ConfigError
from molre.findings import index
from molre.phantom.body import LEFT, RIGHT, Body
from molre.phantom.geometry import lookup
from molre.phantom.head import Head
from molre.phantom.shapes import Number, Point
from molre.phantom.template import DISTANCES, S

Paint = Callable[[Head], None]
"""Paints the lesion over the normal tissue and marks its voxels under its key."""
Draw = Callable[[np.random.Generator, Body], Paint]
"""Chooses the lesion's place and size, changes the body accordingly, and returns what paints it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesion:
    """One finding that can be drawn.

    Attributes:
        key: the finding.
        draw: chooses and paints it.
        weight: how often it is drawn relative to the others.
        slot: lesions of one slot do not occur together, for they would claim the same place.
    """

    key: str
    draw: Draw
    weight: float
    slot: str


RARE = 0.2
"""Weight of findings that are small, rare, or often implied by others; the rest then occur some ten times in 120."""

LESIONS: dict[str, Lesion] = {}
"""Every finding that can be drawn; the rest only follow from these or never occur."""

IMPLIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "intraparenchymal_hemorrhage",
            "intraventricular_hemorrhage",
            "subarachnoid_hemorrhage",
            "acute_subdural_hematoma",
            "subacute_chronic_subdural_hematoma",
            "acute_on_chronic_subdural_hematoma",
            "epidural_hematoma",
        ),
        ("intracranial_hemorrhage_any",),
    ),
    "aneurysmal_pattern_subarachnoid_hemorrhage": ("subarachnoid_hemorrhage",),
    "traumatic_subarachnoid_hemorrhage": ("subarachnoid_hemorrhage",),
    "brain_contusion": ("intraparenchymal_hemorrhage",),
    "hemorrhagic_transformation": ("intracranial_hemorrhage_any",),
    "early_ischemic_signs": ("acute_infarct",),
    "displaced_or_depressed_skull_fracture": ("calvarial_fracture",),
    "chronic_territorial_infarct": ("encephalomalacia_gliosis",),
    **dict.fromkeys(
        (
            "intra_axial_tumor",
            "extra_axial_mass_other",
            "meningioma",
            "intracranial_metastasis",
            "pituitary_or_sellar_mass",
            "posterior_fossa_or_cpa_mass",
            "arachnoid_cyst",
            "colloid_cyst",
            "intracranial_lipoma",
        ),
        ("intracranial_mass_any",),
    ),
    "subfalcine_herniation": ("midline_shift",),
    "midline_shift": ("mass_effect",),
    "sulcal_or_cisternal_effacement": (),
}
"""Findings that a finding brings with it; the mask of the implied one is the union of those that imply it."""


def lesion(key: str, *, weight: float = 1.0, slot: str = "") -> Callable[[Draw], Draw]:
    """Register a function as the one that draws a finding."""
    index(key)

    def register(draw: Draw) -> Draw:
        LESIONS[key] = Lesion(key=key, draw=draw, weight=weight, slot=slot)
        return draw

    return register


def lesion_named(key: str) -> Lesion:
    """The lesion of a finding.

    Raises:
        ConfigError: the phantom does not draw it.
    """
    if key not in LESIONS:
        raise ConfigError(f"the phantom does not draw {key!r}: choose from {', '.join(sorted(LESIONS))}")
    return LESIONS[key]


def implied(keys: set[str]) -> set[str]:
    """The findings and all that they imply."""
    found: set[str] = set()
    queue = list(keys)
    while queue:
        key = queue.pop()
        if key not in found:
            found.add(key)
            queue.extend(IMPLIES.get(key, ()))
    return found


def any_side(rng: np.random.Generator) -> tuple[int, int]:
    """A random hemisphere: its position in per-side settings, and the sign of its x."""
    return (LEFT, 1) if rng.random() < 0.5 else (RIGHT, -1)


def pick(
    rng: np.random.Generator, low: Point, high: Point, depth_mm: tuple[Number, Number], clear_mm: Number = 2.0
) -> Point:
    """A random point of brain in a box (x of one side, mirrored at random), at a depth below the skull.

    Args:
        rng: source of chance.
        low: corner of the box in head coordinates, x positive.
        high: the opposite corner.
        depth_mm: least and greatest depth below the inner table.
        clear_mm: distance kept from ventricles and cisterns.
    """
    points = rng.uniform(low, high, (400, 3))
    record = lookup(points.T)
    depth, vent, cist = (record[n] / DISTANCES[n][1] - DISTANCES[n][0] for n in ("skull", "ventricle", "cistern"))
    fine = (depth > depth_mm[0]) & (depth < depth_mm[1]) & (vent < -clear_mm) & (cist < -clear_mm)
    fine &= record["structure"] != S["cerebellum"] if high[2] > -8 else fine
    chosen = points[np.flatnonzero(fine)[0]] if fine.any() else points[int(np.argmax(depth))]
    return float(chosen[0] * any_side(rng)[1]), float(chosen[1]), float(chosen[2])


def side_of(point: Point) -> int:
    """Hemisphere of a point."""
    return LEFT if point[0] > 0 else RIGHT


def bulk(rng: np.random.Generator, body: Body, side: int, burden: float) -> None:
    """Mass effect of a large supratentorial lesion: furrows and ventricle close; the midline shifts.

    Args:
        rng: source of chance.
        body: the head to change.
        side: hemisphere of the lesion.
        burden: 0 none; from 0.35 the furrows close; from 0.6 the midline shifts by 6 mm and more.
    """
    if burden < 0.35:
        return
    body.efface(side, min(0.55 + 0.5 * burden, 1.0))
    body.claims |= {"mass_effect", "sulcal_or_cisternal_effacement"}
    if burden >= 0.6:
        shift = float(np.clip(rng.normal(12 * burden, 1.2), 6.0, 14.0))
        body.shift(shift, side)
        # Shift of the septum beyond 5 mm is a cingulate gyrus pushed beneath the falx.
        body.claims |= {"midline_shift", "subfalcine_herniation"}

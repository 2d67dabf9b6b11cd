"""Clot in the arteries at the base of the brain."""

from __future__ import annotations

import numpy as np

from molre.phantom.body import LEFT
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.course import ARTERIES, box_about, stretch
from molre.phantom.lesions.infarct import stroke_of
from molre.phantom.lesions.registry import lesion, mimic
from molre.phantom.lesions.territory import TERRITORIES
from molre.phantom.shapes import ramp, tube

LEAST_RISE_HU = 7.0
"""Of clot above the patient's own blood."""


@lesion("hyperdense_artery_sign")
def hyperdense_artery(case: Case) -> Paint:
    """A stretch of the artery that feeds the study's infarct is dense and a little wide."""
    territory, side = stroke_of(case.body)
    if case.body.infarct is not None:
        territory, side = case.body.infarct.territory, case.body.infarct.side
    sign = 1 if side == LEFT else -1
    course = ARTERIES[TERRITORIES[territory].artery]
    low, high = case.entry.hu
    hu = float(np.clip(case.graded(low, high - 6) + case.uniform(-3, 8), case.body.blood_hu + LEAST_RISE_HU, 95))
    clot = stretch(course, case.uniform(0, 12), case.size_mm(), case.graded(0.0, 0.5) + case.uniform(-0.1, 0.2))

    def paint(head: Head) -> None:
        index = box_about(head, clot, sign)
        depth = tube((head.x[index] * np.float32(sign), head.y[index], head.z[index]), clot)
        inside = head.inner[index] > 0
        head.paint(index, ramp(depth) * inside, hu + head.noise[index], "acute_blood", ["hyperdense_artery_sign"])

    return paint


@mimic("dense_blood")
def dense_blood(case: Case) -> Paint:
    """All arteries and sinuses alike are dense where the haematocrit is high."""
    case.body.blood_hu = max(case.body.blood_hu, case.hu())
    return lambda head: None

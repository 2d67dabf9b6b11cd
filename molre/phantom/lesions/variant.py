"""Normal variants that look like blood or like displaced tissue."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import mimic
from molre.phantom.shapes import ramp


def _nothing(head: Head) -> None:
    """Nothing is painted: the body alone differs."""


@mimic("dense_falx")
def dense_falx(case: Case) -> Paint:
    """A thick or chalky falx, in the middle and as thick on both sides."""
    hu, half = case.hu(), case.graded(0.9, 1.7)
    chalk = case.chance(0.35)
    start = case.uniform(-70, 20)

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.at("midline") & (np.abs(head.x) < 4) & (head.skull > 0))
        depth = half * (1 + 0.3 * head.noise[index]) - np.abs(head.x[index])
        head.paint(index, ramp(depth), hu, "dura")
        if chalk:
            plate = np.minimum(depth + 0.6, 1.5 * (head.noise[index] - 0.3))
            plate = np.where(np.abs(head.y[index] - start) < 14, plate, -5)
            head.paint(index, ramp(plate.astype(np.float32)), 260.0, "calcification")

    return paint


@mimic("uneven_ventricles")
def uneven(case: Case) -> Paint:
    """One lateral ventricle larger than the other from birth, the septum where it belongs."""
    side = case.side()[0]
    wider = 0.25 * case.size_mm()
    case.body.ventricle_mm[side] += wider
    case.body.ventricle_mm[1 - side] -= 0.4 * wider
    return _nothing


@mimic("skull_base_partial_volume")
def partial_volume(case: Case) -> Paint:
    """Brain beside sloping bone that shares its voxels: bright without blood."""
    hu, thick = case.hu(), case.size_mm()

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.inner > 0) & (head.inner < thick) & (head.z < -12) & (head.y < 10))
        weight = np.float32(0.55) * np.clip(1 - head.inner[index] / np.float32(thick), 0, 1)
        weight *= np.clip(0.4 + 0.6 * head.noise[index], 0, 1)
        head.hu[index] += weight * np.maximum(hu - head.hu[index], 0)

    return paint

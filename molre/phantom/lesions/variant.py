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


@mimic("dense_sinuses")
def dense_sinuses(case: Case) -> Paint:
    """All sinuses a little dense, as with a high haematocrit."""
    hu = case.hu()

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.at("venous_sinus"))
        head.hu[index] = np.maximum(head.hu[index], hu)

    return paint


@mimic("cavum_septi_pellucidi")
def cavum(case: Case) -> Paint:
    """Fluid between the two leaves of the septum pellucidum, to the back as a cavum vergae in some."""
    half, back = 0.5 * case.size_mm(), case.uniform(10, 22) if case.chance(0.3) else -8.0

    def paint(head: Head) -> None:
        index = np.flatnonzero((np.abs(head.x) < half + 2) & (head.y > -48) & (head.y < back + 2) & (head.z > -2) & (head.z < 26))
        index = index[head.ventricular[index] | head.at("callosum")[index] | (np.abs(head.x[index]) < half)]
        x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
        roof = 14 + 0.22 * (y + 26)
        depth = np.minimum.reduce([half - x, y + 41, back - y, roof - z, z - (4 + 0.2 * (y + 26))])
        head.paint(index, ramp(np.minimum(depth + 0.8, 0.8 - depth).astype(np.float32)), head.body.white_hu, "white")
        head.paint(index, ramp(depth.astype(np.float32)), head.body.csf_hu, "csf")

    return paint


@mimic("uneven_ventricles")
def uneven(case: Case) -> Paint:
    """One lateral ventricle larger than the other from birth, the septum where it belongs."""
    side = case.side()[0]
    wider = 0.25 * case.size_mm()
    case.body.ventricle_mm[side] += wider
    case.body.ventricle_mm[1 - side] -= 0.4 * wider
    return _nothing


@mimic("dense_choroid")
def dense_choroid(case: Case) -> Paint:
    """Chalky choroid plexus in both trigones."""
    case.body.choroid_calcified = True
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

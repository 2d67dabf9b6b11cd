"""The brain after an arrest of its circulation."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.ripple import draw_ripple
from molre.phantom.shapes import ramp

SWOLLEN = 0.45
"""Swelling from which closed furrows are plain."""


@lesion("hypoxic_ischemic_injury", slot="infarct")
def hypoxic(case: Case) -> Paint:
    """Grey matter at or below the density of white on both sides, or dark deep nuclei; the hindbrain stays bright."""
    return _diffuse(case) if case.place() == "diffuse" else _ganglia(case)


def _diffuse(case: Case) -> Paint:
    """Loss of all differences; the densest furrows between swollen gyri look like blood, and are not."""
    body = case.body
    fade, drop = case.graded(0.4, 1.0), case.graded(0.2, 2.6) + case.uniform(-0.2, 0.6)
    swelling = float(np.clip(case.graded(0.1, 1.0) + case.uniform(-0.1, 0.1), 0, 1))
    ripple = draw_ripple(case.rng, 30, 90)
    _swell(case, swelling)

    def paint(head: Head) -> None:
        spared = head.at("cerebellum", "brainstem", "tentorium")
        index = np.flatnonzero(head.tissue_is("grey", "white") & (head.skull > 0) & ~spared)
        at = (head.x[index], head.y[index], head.z[index])
        uneven = np.clip(1 + np.float32(0.12) * ripple(at), 0.6, 1.3)
        level = np.float32(body.white_hu)
        excess = np.maximum(head.hu[index] - level, 0)
        head.hu[index] -= excess * np.minimum(np.float32(fade) * uneven, 1.25) + np.float32(drop) * uneven
        if swelling > SWOLLEN:
            _dense_furrows(head, swelling)
        head.mark(index, ["hypoxic_ischemic_injury", "cerebral_edema"])

    return paint


def _swell(case: Case, swelling: float) -> None:
    body = case.body
    for side in (0, 1):
        body.efface(side, float(np.clip(swelling + case.uniform(-0.05, 0.05), 0, 1)))
    body.gap_mm *= 1 - 0.8 * swelling
    body.cistern_mm -= (0.9 + max(body.cistern_mm, 0)) * swelling
    body.fourth_mm -= 0.4 * swelling
    if swelling > SWOLLEN:
        body.claims |= {"sulcal_or_cisternal_effacement", "cerebral_edema"}


def _dense_furrows(head: Head, swelling: float) -> None:
    """Full veins in narrow cisterns raise their density towards 30-40 HU."""
    index = np.flatnonzero(head.tissue_is("csf") & ~head.ventricular & (head.inner > 0) & (head.z > -40))
    hu = np.float32(25 + 12 * swelling)
    head.hu[index] += np.maximum(hu - head.hu[index], 0) * np.float32(0.75 * swelling)


def _ganglia(case: Case) -> Paint:
    """Lentiform and caudate nuclei dark on both sides, the cortex a little blurred."""
    body, hu = case.body, case.hu()
    amount, blur = case.graded(0.4, 1.0), case.graded(0.1, 0.5)
    swelling = 0.35 * case.severity
    _swell(case, swelling)

    def paint(head: Head) -> None:
        nuclei = np.flatnonzero(head.at("lentiform", "caudate") & head.tissue_is("grey", "white"))
        head.paint(nuclei, np.full(len(nuclei), amount, np.float32), hu + head.noise[nuclei], "infarct")
        head.mark(nuclei, ["hypoxic_ischemic_injury"])
        cortex = np.flatnonzero(
            head.tissue_is("grey") & (head.skull > 0) & ~head.at("cerebellum", "brainstem", "thalamus", "midline")
        )
        excess = np.maximum(head.hu[cortex] - np.float32(body.white_hu), 0)
        head.hu[cortex] -= excess * np.float32(blur) * ramp(head.y[cortex] + 10, 40.0)

    return paint

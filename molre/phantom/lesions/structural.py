"""A swollen brain, and ventricles under pressure."""

from __future__ import annotations

import numpy as np

from molre.phantom.body import Body
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.shapes import ramp
from molre.phantom.tissue import T


@lesion("cerebral_edema", slot="infarct")
def swelling(case: Case) -> Paint:
    """The whole brain swells: furrows close, ventricles become slits, then the cisterns go."""
    body, drop = case.body, case.graded(1.5, 8.5)
    for side in (0, 1):
        body.efface(side, case.graded(0.35, 1.0))
    body.gap_mm *= case.graded(0.7, 0.2)
    body.cistern_mm -= case.graded(0.3, 1.6)
    body.third_mm -= case.graded(0.2, 1.0)
    body.contrast *= case.graded(0.9, 0.4)
    if case.severity > 0.3:
        body.claims.add("sulcal_or_cisternal_effacement")
    if case.severity > 0.8 and case.chance(0.6):
        _descend(body, case.uniform(5, 8))

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.tissue_is("grey", "white") & (head.skull > 0) & ~head.at("cerebellum", "brainstem"))
        head.hu[index] -= np.float32(drop)
        head.mark(index, ["cerebral_edema"])

    return paint


def _descend(body: Body, mm: float) -> None:
    """Both inner temporal lobes slip through the tentorial notch."""
    for sign in (1, -1):
        body.slide((sign * 17.0, -6.0, -18.0), (-sign * mm, 0.4 * mm, -0.3 * mm), 9.0)
    body.claims |= {"transtentorial_herniation", "mass_effect"}


def dilate(body: Body, mm: float, third_mm: float) -> None:
    """Widen both lateral ventricles and, as given, the third."""
    body.ventricle_mm = [each + mm for each in body.ventricle_mm]
    body.third_mm += third_mm


@lesion("obstructive_hydrocephalus", slot="ventricles")
def obstructive(case: Case) -> Paint:
    """Round, tense ventricles above the block, fluid that seeps into white matter, tight furrows."""
    body, place, grown = case.body, case.place(), case.size_mm()
    dilate(body, grown, {"foramen": 0.0, "aqueduct": 0.65 * grown, "fourth_outlets": 0.6 * grown}[place])
    body.fourth_mm += 0.45 * grown if place == "fourth_outlets" else -0.6
    for side in (0, 1):
        body.sulcus_mm[side] -= case.graded(0.15, 0.6)
    body.gap_mm *= case.graded(0.9, 0.4)
    body.claims.add("obstructive_hydrocephalus")
    wide, hu = case.graded(1.0, 6.0), case.uniform(15, 20)

    def paint(head: Head) -> None:
        # Fluid seeps out most at the horns.
        horn = np.clip(np.abs(head.y - 2) / 30, 0.25, 1)
        rim = head.ventricle + np.float32(max(body.ventricle_mm)) + np.float32(wide) * horn + 1.2 * head.noise
        index = np.flatnonzero((rim > -2) & head.tissue_is("white") & (np.abs(head.x) > 5) & (head.z > -6))
        weight = ramp(rim[index], 4.0) * np.float32(0.85)
        head.paint(index, weight.astype(np.float32), hu, "oedema", ["obstructive_hydrocephalus"])

    return paint


@lesion("ventriculomegaly_or_communicating_hydrocephalus", slot="ventricles")
def communicating(case: Case) -> Paint:
    """All ventricles wide out of proportion to the furrows; in some wide Sylvian fissures and a tight vertex."""
    body, grown = case.body, case.size_mm()
    normal_pressure = case.kind() == "normal_pressure"
    dilate(body, grown, 0.5 * grown)
    body.fourth_mm += 0.35 * grown
    body.claims.add("ventriculomegaly_or_communicating_hydrocephalus")
    if normal_pressure:
        body.cistern_mm += case.graded(0.5, 1.8)
    tight = case.graded(0.5, 0.95) if normal_pressure else 0.0

    def paint(head: Head) -> None:
        if tight:
            _close_vertex(head, tight)

    return paint


def _close_vertex(head: Head, share: float) -> None:
    """Furrows of the high convexity and the medial surface are squeezed shut."""
    fluid = head.tissue_is("csf", "grey") & ~head.ventricular & (head.z > 30) & (head.skull > 1.2)
    index = np.flatnonzero(fluid & (head.skull < 26))
    weight = np.float32(share) * np.clip((head.z[index] - 32) / 14, 0, 1)
    lacking = np.maximum(np.float32(head.body.grey_hu - 1) - head.hu[index], 0)
    head.hu[index] += lacking * weight
    head.tissue[index[(weight > 0.5) & (lacking > 4)]] = T["grey"]

"""Displaced tissue, swelling, and ventricles under pressure."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.hemorrhage import crescent
from molre.phantom.lesions.mass import dilate
from molre.phantom.lesions.registry import any_side, lesion
from molre.phantom.shapes import ramp


@lesion("cerebral_edema", slot="infarct")
def swelling(case: Case) -> Paint:
    """The whole brain swells: furrows and cisterns close, ventricles become slits.

    Yoshino et al. 1985, Neurosurgery 16:193.
    """
    rng, body = case.rng, case.body
    for side in (0, 1):
        body.efface(side, 1.0)
    body.gap_mm, body.cistern_mm = 0.1, -1.2
    body.contrast *= float(rng.uniform(0.3, 0.6))
    drop = float(rng.uniform(3.0, 5.5))
    body.claims.add("sulcal_or_cisternal_effacement")

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.tissue_is("grey", "white") & (head.skull > 0) & ~head.at("cerebellum", "brainstem"))
        head.hu[index] -= np.float32(drop)
        head.mark(index, ["cerebral_edema"])

    return paint


@lesion("obstructive_hydrocephalus", slot="ventricles")
def obstructive(case: Case) -> Paint:
    """Wide lateral and third ventricles, a small fourth, fluid seeping into white matter, tight furrows.

    Maller and Gray 2016, Semin Ultrasound CT MR 37:109.
    """
    rng, body = case.rng, case.body
    grown = float(rng.uniform(4.0, 7.5))
    dilate(body, grown, third=4.0)
    body.fourth_mm -= 0.8
    for side in (0, 1):
        body.sulcus_mm[side] -= 0.45
    body.claims.add("obstructive_hydrocephalus")
    wide = float(rng.uniform(2.5, 5))

    def paint(head: Head) -> None:
        rim = head.ventricle + np.float32(body.ventricle_mm[0] + wide) + head.noise
        index = np.flatnonzero((rim > 0) & head.tissue_is("white") & (np.abs(head.x) > 4) & (head.z > -4))
        head.paint(index, ramp(rim[index], 3.0) * np.float32(0.85), 17.0, "oedema", ["obstructive_hydrocephalus"])

    return paint


@lesion("ventriculomegaly_or_communicating_hydrocephalus", slot="ventricles")
def communicating(case: Case) -> Paint:
    """All four ventricles wide, out of proportion to the furrows (Relkin et al. 2005, Neurosurgery 57:S4)."""
    rng, body = case.rng, case.body
    dilate(body, float(rng.uniform(3.8, 6.5)), third=3.0)
    body.fourth_mm += 2.5
    body.claims.add("ventriculomegaly_or_communicating_hydrocephalus")
    return lambda head: None


@lesion("extra_axial_collection_or_hygroma", slot="collection")
def hygroma(case: Case) -> Paint:
    """Fluid of 5-12 HU beneath the frontal vault on both sides (Lee 1998, Brain Inj 12:595)."""
    rng, body = case.rng, case.body
    thickness, hu = float(rng.uniform(6, 12)), float(rng.uniform(6, 11))
    both = rng.random() < 0.6
    only = any_side(rng)[0]
    for side in (0, 1):
        body.sulcus_mm[side] -= 0.3

    def paint(head: Head) -> None:
        for side in (0, 1) if both else (only,):
            index, depth = crescent(head, side, (0.7 if side == 0 else -0.7, -0.65, 0.4), thickness, 1.1)
            depth = np.where(head.z[index] > -6, depth, -5).astype(np.float32)
            head.paint(index, ramp(depth), hu, "csf", ["extra_axial_collection_or_hygroma"])

    return paint

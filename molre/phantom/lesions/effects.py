"""What follows from displaced tissue: shift, mass effect, herniation, closed furrows, tense ventricles."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.head import Head

VENTRICULAR = ("obstructive_hydrocephalus", "ventriculomegaly_or_communicating_hydrocephalus")


def mark_effects(head: Head) -> None:
    """Mark the voxels in which a reader sees what the displaced tissue brings about."""
    claims = head.body.claims
    if claims & {"midline_shift", "mass_effect", "transtentorial_herniation"}:
        _mark_moved(head)
    if "sulcal_or_cisternal_effacement" in claims:
        _mark_closed(head)
    for key in VENTRICULAR:
        if key in claims:
            head.mark(np.flatnonzero(head.ventricular), [key])


def _mark_moved(head: Head) -> None:
    claims, shift = head.body.claims, head.body.shift_mm / head.body.scale[0]
    brain = np.flatnonzero((head.skull > 0) & (head.inner > 0) & head.tissue_is("grey", "white", "csf", "dura"))
    moved = [a[brain] - b[brain] for a, b in zip(head.still, (head.x, head.y, head.z), strict=True)]
    if "midline_shift" in claims:
        septal = (np.abs(head.x[brain]) < 2.5) & (moved[0] * np.sign(shift) > 0.6 * abs(shift))
        head.mark(brain[septal & (head.z[brain] > -10)], ["midline_shift"])
    if "subfalcine_herniation" in claims:
        # Brain of the mass's side that has come to lie beyond the middle, beneath the falx.
        crossed = (head.x[brain] * shift < 0) & (head.still[0][brain] * shift > 0) & (head.z[brain] > 8)
        head.mark(brain[crossed & (np.abs(head.x[brain]) < 12)], ["subfalcine_herniation"])
    distance = np.sqrt(sum(m * m for m in moved))
    if "transtentorial_herniation" in claims:
        head.mark(brain[_notch(head, brain) & (distance > 2)], ["transtentorial_herniation"])
    if "mass_effect" in claims:
        _mark_pressed(head, brain, distance.astype(np.float32))


def _notch(head: Head, brain: np.ndarray) -> np.ndarray:
    """Forebrain and midbrain that have slid at the tentorial notch."""
    found = np.zeros(len(brain), bool)
    at = [a[brain] for a in (head.x, head.y, head.z)]
    for slide in head.body.slides:
        near = (
            sum((a - np.float32(c)) ** 2 for a, c in zip(at, slide.centre, strict=True)) < (1.2 * slide.radius_mm) ** 2
        )
        found |= near & (abs(slide.centre[2] + 17) < 4)
    return found & ~head.at("cerebellum")[brain]


def _mark_pressed(head: Head, brain: np.ndarray, moved_mm: Float32[np.ndarray, "m"]) -> None:
    """Displaced brain; where none has moved far, that beneath the closed furrows."""
    far = moved_mm > 3.0
    if not far.any():
        far = head.side(_closed(head))[brain] & (head.skull[brain] < 20) & (head.z[brain] > -10)
    head.mark(brain[far], ["mass_effect"])


def _closed(head: Head) -> int:
    return int(np.argmin(head.body.sulcus_mm))


def _mark_closed(head: Head) -> None:
    body = head.body
    shallow = (head.skull > 0) & (head.skull < 12) & (head.z > -5) & head.tissue_is("grey")
    if abs(body.sulcus_mm[0] - body.sulcus_mm[1]) > 0.2:
        shallow &= head.side(_closed(head))
    head.mark(np.flatnonzero(shallow), ["sulcal_or_cisternal_effacement"])

"""What follows from displaced tissue: shift, mass effect, closed furrows, tense ventricles."""

from __future__ import annotations

import numpy as np

from molre.phantom.displacement import shift_share
from molre.phantom.head import Head


def mark_effects(head: Head) -> None:
    """Mark what displaced tissue shows: shifted midline, mass effect, closed furrows, tense ventricles."""
    claims, body = head.body.claims, head.body
    if "midline_shift" in claims:
        midline = head.at("midline", "callosum", "sella") & (np.abs(head.x) < 2.0)
        midline |= (np.abs(head.x) < 2.0) & (head.skull > 20) & (head.z > -5)
        share = shift_share(np.stack([head.x, head.y, head.z]).astype(np.float64))
        head.mark(np.flatnonzero(midline & (share > 0.5)), ["midline_shift", "subfalcine_herniation"])
    if "mass_effect" in claims:
        pressed = -body.shift_mm if body.shift_mm else 0.0
        half = head.x > 0 if pressed > 0 else head.x < 0
        near = (head.skull > 10) & (head.skull < 23) & (head.z > -5) & (head.z < 40)
        head.mark(np.flatnonzero(near & half), ["mass_effect"])
    if "sulcal_or_cisternal_effacement" in claims:
        closed = int(np.argmin(body.sulcus_mm))
        shallow = head.side(closed) if body.sulcus_mm[0] != body.sulcus_mm[1] else np.ones(len(head.x), bool)
        head.mark(
            np.flatnonzero(shallow & head.tissue_is("grey") & (head.skull > 0) & (head.skull < 12) & (head.z > -5)),
            ["sulcal_or_cisternal_effacement"],
        )
    for key in ("obstructive_hydrocephalus", "ventriculomegaly_or_communicating_hydrocephalus"):
        if key in claims:
            head.mark(np.flatnonzero(head.ventricular), [key])

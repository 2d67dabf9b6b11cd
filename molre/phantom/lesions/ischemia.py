"""Brain without arterial blood, from the first hours to the third week."""

from __future__ import annotations

import numpy as np

from molre.phantom.body import Body
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.infarct import (
    close_furrows,
    darken,
    draw_infarct,
    fresh_infarct,
    infarct_depth,
    proportionate_mm,
    stroke_of,
)
from molre.phantom.lesions.registry import bulk, lesion, mimic
from molre.phantom.lesions.territory import TERRITORIES
from molre.phantom.shapes import Field, ellipsoid, ramp
from molre.phantom.stroke import Infarct
from molre.phantom.tissue import T

EARLY_HU = 7.0
"""Fall of grey matter up to which an infarct shows early signs and no plain hypodensity."""
EFFACED_MM = 40.0
"""Extent along the cortex from which closed furrows are called effacement."""

WHOLE = ("mca_complete", "mca_superior", "mca_inferior")
"""Territories whose swelling presses on the whole hemisphere."""


def _swell(case: Case, infarct: Infarct, swelling: float) -> None:
    """Mass effect by the size of what swells: furrows and ventricle of the side first, then the midline."""
    body, territory = case.body, TERRITORIES[infarct.territory]
    share = infarct.extent_mm / 130
    # Towards the deep half of the wedge, so that the swelling meets the ventricle and not the vault.
    x, y, z = 0.55 * np.array(infarct.middle) + 0.45 * np.array(territory.stem)
    if territory.region == "forebrain" and share > 0.2:
        body.push((infarct.sign * x, y, z), 0.3 * infarct.extent_mm, 0.28 * swelling)
        if infarct.territory in WHOLE:
            bulk(case.rng, body, infarct.side, 0.85 * share * swelling)
    elif territory.region == "cerebellum" and infarct.extent_mm > 35:
        body.push((infarct.sign * x, y, z), 0.5 * infarct.extent_mm, 0.4 * swelling)
        body.fourth_mm -= 1.4 * swelling
        if infarct.extent_mm > 45 and swelling > 0.6:
            body.claims.add("mass_effect")


def _efface(body: Body, infarct: Infarct, closing: float) -> list[str]:
    """Findings that furrows closed over an infarct amount to."""
    if TERRITORIES[infarct.territory].region != "forebrain" or infarct.extent_mm < EFFACED_MM or closing < 0.5:
        return []
    body.claims.add("sulcal_or_cisternal_effacement")
    body.sulcus_mm[infarct.side] -= 0.25
    return ["sulcal_or_cisternal_effacement"]


@lesion("acute_infarct", slot="infarct")
def acute(case: Case) -> Paint:
    """Grey and white matter fall towards one density over three hours to three days; gyri swell."""
    infarct = fresh_infarct(case, proportionate_mm(case))
    hu, amount = case.hu(), float(np.clip(case.graded(0.28, 0.92) + case.uniform(-0.06, 0.06), 0.2, 0.95))
    closing = float(np.clip(case.graded(0.0, 0.85) + case.uniform(-0.15, 0.1), 0, 0.9))
    if amount > 0.5:
        _swell(case, infarct, float(np.clip(case.graded(0.2, 1.0) + case.uniform(-0.1, 0.15), 0, 1)))
    effaced = _efface(case.body, infarct, closing)
    keys = ["acute_infarct"]
    if infarct.territory.startswith("mca") and amount * (case.body.grey_hu - hu) < EARLY_HU:
        case.body.claims.add("early_ischemic_signs")
        keys.append("early_ischemic_signs")

    def paint(head: Head) -> None:
        closed = close_furrows(head, infarct, closing)
        head.mark(closed, effaced)
        darken(head, infarct, hu, amount, keys)

    return paint


@lesion("early_ischemic_signs", slot="infarct")
def early(case: Case) -> Paint:
    """The insular ribbon, the lentiform nucleus and the cortical ribbon fade to white matter."""
    body, share = case.body, case.graded(0.25, 0.75)
    _, side = stroke_of(body)
    infarct = draw_infarct(case.rng, side, "mca_complete", case.size_mm())
    body.infarct = infarct
    signs = _signs(case)
    closing = max(0.0, share - 0.4)

    def paint(head: Head) -> None:
        if "cortex" in signs:
            close_furrows(head, infarct, closing)
        index, depth = infarct_depth(head, infarct, 99)
        at = (head.x[index] * np.float32(infarct.sign), head.y[index], head.z[index])
        weight = np.maximum.reduce([ramp(_sign_depth(sign, at, depth), 5.0) for sign in signs])
        grey = head.tissue_is("grey")[index] & ~head.at("thalamus", "callosum")[index]
        white = head.tissue_is("white")[index]
        target = np.float32(body.white_hu + 1.0)
        head.hu[index[grey]] += (target - head.hu[index[grey]]) * weight[grey] * np.float32(share)
        head.hu[index[white]] -= weight[white] * np.float32(1.5 * share)
        shown = index[(weight > 0.5) & (grey | white)]
        head.tissue[shown] = T["infarct"]
        head.mark(shown, ["early_ischemic_signs", "acute_infarct"])

    return paint


def _signs(case: Case) -> list[str]:
    """Which of the signs there are, at least one."""
    drawn = [sign for sign, share in case.entry.places.items() if case.chance(share)]
    return drawn or [case.place()]


def _sign_depth(sign: str, at: tuple[Field, Field, Field], infarct: Field) -> Field:
    x, y, z = at
    if sign == "lentiform":
        return ellipsoid(at, (23, -15, 3), (9, 20, 13))
    if sign == "insula":
        return np.minimum.reduce([x - 30, 42 - x, y + 42, 12 - y, z + 10, 20 - z]).astype(np.float32)
    return np.minimum(infarct, x - 36).astype(np.float32)


@lesion("subacute_infarct", slot="infarct")
def subacute(case: Case) -> Paint:
    """A sharper wedge, darker in white matter, with stretches of cortex as bright as before; hardly any swelling."""
    infarct = fresh_infarct(case, proportionate_mm(case))
    hu, amount = case.hu(), float(np.clip(case.graded(0.3, 1.0) + case.uniform(-0.08, 0.08), 0.25, 1))
    ribbon = case.uniform(0.35, 0.85)
    if case.severity > 0.6 and case.chance(0.4):
        _swell(case, infarct, case.uniform(0.3, 0.55))

    def paint(head: Head) -> None:
        index, depth = infarct_depth(head, infarct)
        grey = head.tissue_is("grey")[index]
        at = (head.x[index] * np.float32(infarct.sign), head.y[index], head.z[index])
        # Fogging comes and goes along the cortex; deep grey matter joins in less.
        fog = ramp(2 * infarct.ripple(at) + head.noise[index], 3.0) * grey * np.float32(ribbon)
        weight = ramp(depth, 2.0) * (1 - fog) * np.float32(amount)
        brain = grey | head.tissue_is("white")[index]
        weight *= brain
        head.hu[index] += (np.float32(hu) + 1.5 * head.noise[index] - head.hu[index]) * weight
        shown = index[(depth > 0) & brain]
        head.tissue[shown] = T["infarct"]
        head.mark(shown, ["subacute_infarct"])

    return paint


@mimic("temporal_pole_averaging")
def temporal_pole_averaging(case: Case) -> Paint:
    """The tips of the temporal lobes look dark where a slice averages them with fluid and the floor of the fossa."""
    falls = (case.graded(2.0, 6.0), case.graded(2.0, 6.0) * case.uniform(0.2, 1.0))
    falls = falls if case.chance(0.5) else (falls[1], falls[0])

    def paint(head: Head) -> None:
        for sign, fall in zip((1, -1), falls, strict=True):
            index, depth = head.ball((sign * 40.0, -33.0, -36.0), 11.0, stretch=(1.1, 1.0, 0.7), rough=0.3)
            brain = head.tissue_is("grey", "white")[index]
            head.hu[index] -= np.float32(fall) * ramp(depth, 6.0) * brain

    return paint

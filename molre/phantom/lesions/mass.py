"""Tumours, cysts and other things that grow inside the skull."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import Body
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, bulk, lesion, pick, side_of
from molre.phantom.shapes import Point, ramp


def vasogenic(head: Head, centre: Point, radius_mm: float, hu: float, keys: list[str]) -> None:
    """Oedema that spreads in white matter like fingers and spares the cortex.

    Pronin et al. 1997, Neuroradiology 39:407.
    """
    index, depth = head.ball(centre, radius_mm, rough=0.25)
    white = head.tissue_is("white")[index] & (head.skull[index] > 0)
    head.paint(index, ramp(depth, 5.0) * white, np.float32(hu) + head.noise[index], "oedema", keys)


@lesion("intra_axial_tumor", slot="mass")
def glioma(case: Case) -> Paint:
    """A mass of uneven density with a dark middle and much oedema (Ricci 1999, Neuroimaging Clin N Am 9:651)."""
    rng, body = case.rng, case.body
    centre = pick(rng, (18, -52, -4), (46, 46, 44), (16, 34))
    radius, swelling = float(rng.uniform(12, 20)), float(rng.uniform(9, 16))
    inner = body.push(centre, radius, 0.5)
    bulk(rng, body, side_of(centre), (radius + swelling - 10) / 28)
    body.claims.add("cerebral_edema")
    rim, core = float(rng.uniform(40, 47)), float(rng.uniform(16, 24))

    def paint(head: Head) -> None:
        vasogenic(head, centre, inner + swelling, 19.0, ["cerebral_edema"])
        index, depth = head.ball(centre, inner, rough=0.18)
        mix = np.clip((depth - inner * 0.32) / 3 + head.noise[index] * 0.5, 0, 1)
        head.paint(
            index, ramp(depth, 1.5), (rim + (core - rim) * mix).astype(np.float32), "tumour", ["intra_axial_tumor"]
        )

    return paint


@lesion("meningioma", slot="mass2")
def meningioma(case: Case) -> Paint:
    """An even, bright half-ball with a wide base on the dura, sometimes calcified.

    Buetow et al. 1991, Radiographics 11:1087.
    """
    rng, body = case.rng, case.body
    centre = pick(rng, (30, -70, 0), (66, 60, 62), (3, 9), -20)
    radius, hu = float(rng.uniform(10, 19)), float(rng.uniform(48, 58))
    calcified = rng.random() < 0.25
    if radius > 14:
        bulk(rng, body, side_of(centre), (radius - 6) / 22)

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, radius, rough=0.06)
        depth = np.where(head.skull[index] > 0, depth, -5).astype(np.float32)
        head.paint(index, ramp(depth), hu + 1.5 * head.noise[index], "tumour", ["meningioma"])
        if calcified:
            speck = np.minimum(depth, 3 * (head.noise[index] - 0.5)).astype(np.float32)
            head.paint(index, ramp(speck), 160.0, "calcification", ["meningioma"])

    return paint


@lesion("intracranial_metastasis", slot="mass3")
def metastases(case: Case) -> Paint:
    """Several round nodules at the border of grey and white matter, each in oedema.

    Fink and Fink 2013, Surg Neurol Int 4:S209.
    """
    rng, body = case.rng, case.body
    count = int(rng.integers(2, 6))
    sites = [(pick(rng, (14, -64, -8), (56, 66, 56), (8, 18)), float(rng.uniform(5, 9.5))) for _ in range(count)]
    hu = float(rng.uniform(44, 56))
    body.claims.add("cerebral_edema")

    def paint(head: Head) -> None:
        for centre, radius in sites:
            vasogenic(head, centre, radius + 10, 17.5, ["cerebral_edema"])
        for centre, radius in sites:
            index, depth = head.ball(centre, radius, rough=0.08)
            brain = (head.skull[index] > 0).astype(np.float32)
            head.paint(
                index,
                ramp(depth) * brain,
                hu - 14 * np.clip((depth - 3.5) / 3, 0, 1),
                "tumour",
                ["intracranial_metastasis"],
            )

    return paint


@lesion("arachnoid_cyst", slot="collection")
def arachnoid_cyst(case: Case) -> Paint:
    """A sharp pool of fluid in the middle fossa, at a convexity or behind the cerebellum.

    Osborn and Preece 2006, Radiology 239:650.
    """
    rng, body = case.rng, case.body
    side, sign = any_side(rng)
    place = int(rng.choice(3, p=[0.6, 0.2, 0.2]))
    centre = ((sign * 45.0, -30.0, -22.0), (sign * 48.0, float(rng.uniform(-40, 40)), 34.0), (0.0, 74.0, -38.0))[place]
    radius = float(rng.uniform(14, 23)) * (1.0, 0.9, 0.85)[place]
    del side

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, radius, stretch=(0.85, 1.15, 0.9), rough=0.04)
        depth = np.where(head.skull[index] > 0, depth, -5).astype(np.float32)
        head.paint(index, ramp(depth), head.body.csf_hu, "cyst", ["arachnoid_cyst"])

    return paint


@lesion("colloid_cyst", slot="ventricles")
def colloid_cyst(case: Case) -> Paint:
    """A round bright cyst at the foramina of Monro that dams both lateral ventricles.

    Armao et al. 2000, AJNR 21:1470.
    """
    rng, body = case.rng, case.body
    radius, hu = float(rng.uniform(5, 9)), float(rng.uniform(52, 66))
    dilate(body, float(rng.uniform(2.8, 4.6)), third=-0.5)
    body.claims.add("obstructive_hydrocephalus")

    def paint(head: Head) -> None:
        index, depth = head.ball((0.0, -19.0, 9.0), radius, rough=0.02)
        head.paint(index, ramp(depth), hu, "cyst", ["colloid_cyst"])

    return paint


def dilate(body: Body, mm: float, third: float) -> None:
    """Widen both lateral ventricles and, as given, the third."""
    body.ventricle_mm = [each + mm for each in body.ventricle_mm]
    body.third_mm += third


@lesion("intracranial_lipoma")
def lipoma(case: Case) -> Paint:
    """Fat of -50 to -100 HU about the corpus callosum or the quadrigeminal plate.

    Truwit and Barkovich 1990, AJNR 11:665.
    """
    rng, body = case.rng, case.body
    centre = [(0.0, -46.0, 8.0), (0.0, 6.0, 31.0), (0.0, 27.0, -4.0)][int(rng.integers(3))]
    radius, hu = float(rng.uniform(5, 9)), float(rng.uniform(-105, -70))

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, radius, stretch=(0.7, 1.3, 0.9), rough=0.1)
        head.paint(index, ramp(depth), hu, "fat", ["intracranial_lipoma"])

    return paint


@lesion("pituitary_or_sellar_mass")
def sellar(case: Case) -> Paint:
    """A bright mass that widens the sella and fills the suprasellar cistern.

    Rennert and Doerfler 2007, Clin Neurol Neurosurg 109:111.
    """
    rng, body = case.rng, case.body
    radius, hu = float(rng.uniform(9, 14)), float(rng.uniform(46, 58))

    def paint(head: Head) -> None:
        index, depth = head.ball((0.0, -15.0, -26.0), radius, stretch=(0.95, 0.85, 1.0), rough=0.06)
        head.paint(index, ramp(depth), hu + 1.5 * head.noise[index], "tumour", ["pituitary_or_sellar_mass"])

    return paint


@lesion("posterior_fossa_or_cpa_mass")
def posterior_fossa(case: Case) -> Paint:
    """A mass of the cerebellum with oedema, or a bright ball at the porus.

    Bonneville et al. 2007, Eur Radiol 17:2472.
    """
    rng, body = case.rng, case.body
    sign = any_side(rng)[1]
    angle = rng.random() < 0.4
    centre = (
        (sign * 25.0, 17.0, -38.0) if angle else (sign * float(rng.uniform(12, 28)), float(rng.uniform(44, 60)), -34.0)
    )
    radius, hu = float(rng.uniform(9, 14)), float(rng.uniform(44, 54))
    body.fourth_mm -= 1.2

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, radius + 6, rough=0.15)
        soft = head.tissue_is("grey", "white")[index]
        head.paint(
            index,
            ramp(depth, 5.0) * soft * np.float32(0 if angle else 0.85),
            21.0,
            "oedema",
            ["posterior_fossa_or_cpa_mass"],
        )
        index, depth = head.ball(centre, radius, rough=0.08)
        inside = (head.skull[index] > 0).astype(np.float32)
        value: Float32[np.ndarray, "m"] = hu - 10 * np.clip((depth - 6) / 3, 0, 1)
        head.paint(index, ramp(depth) * inside, value, "tumour", ["posterior_fossa_or_cpa_mass"])

    return paint

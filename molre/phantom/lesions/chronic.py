"""What age and old disease leave behind."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, lesion, pick
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import S


@lesion("cerebral_atrophy")
def atrophy(case: Case) -> Paint:
    """Wide furrows, fissures and ventricles, beyond Pasquier's grade 2 (Pasquier et al. 1996, Eur Neurol 36:268)."""
    rng, body = case.rng, case.body
    body.age_years = max(body.age_years, float(rng.uniform(64, 90)))
    body.age_brain(float(rng.uniform(0.8, 1.2)))

    def paint(head: Head) -> None:
        fluid = head.tissue_is("csf") & (head.skull > 0) & (head.z > -20)
        head.mark(np.flatnonzero(fluid), ["cerebral_atrophy"])

    return paint


@lesion("cerebellar_atrophy")
def cerebellar(case: Case) -> Paint:
    """Wide folia, fourth ventricle and fluid around a small cerebellum.

    Huang et al. 1993, Radiol Clin North Am 31:1.
    """
    rng, body = case.rng, case.body
    body.cerebellar_atrophy = float(rng.uniform(1.4, 2.4))
    body.fourth_mm += 1.8
    spacing = float(rng.uniform(5.0, 6.5))

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.at("cerebellum") & (head.skull < 22) & (head.z < -12))
        wave = np.sin(
            (head.skull[index] * 0.25 + head.y[index] * 0.6 - head.z[index] * 0.8) * np.float32(2 * np.pi / spacing)
            + head.noise[index]
        )
        head.paint(index, ramp((wave - 0.62).astype(np.float32) * 3, 2.0), head.body.csf_hu, "csf")
        head.mark(np.flatnonzero(head.at("cerebellum") & head.tissue_is("csf")), ["cerebellar_atrophy"])

    return paint


@lesion("small_vessel_ischemic_disease")
def small_vessel(case: Case) -> Paint:
    """Patches of dark white matter about the horns and in the centrum semiovale (Fazekas et al. 1987, AJR 149:351)."""
    rng, body = case.rng, case.body
    width, hu = float(rng.uniform(4, 11)), float(rng.uniform(17, 22))

    def paint(head: Head) -> None:
        grown = np.where(head.x > 0, body.ventricle_mm[0], body.ventricle_mm[1]).astype(np.float32)
        cap = head.ventricle + grown + width * (0.75 + 0.5 * head.noise)
        high = (
            np.minimum(head.skull - 15, (head.noise - 0.25) * 6 + width * 0.2)
            - np.where(head.z > 24, 0, 50)
            - np.where(np.abs(head.x) < 7, 50, 0)
        )
        depth = np.maximum(cap, high)
        where = head.tissue_is("white") & (head.z > -2) & (np.abs(head.x) > 3) & ~head.at("callosum", "brainstem")
        index = np.flatnonzero(where & (depth > -2))
        head.paint(
            index,
            ramp(depth[index].astype(np.float32), 4.0) * np.float32(0.9),
            hu + head.noise[index],
            "scar",
            ["small_vessel_ischemic_disease"],
        )

    return paint


@lesion("encephalomalacia_gliosis")
def encephalomalacia(case: Case) -> Paint:
    """A ragged near-fluid hole under the cortex of a pole, as after an old contusion.

    Wardlaw et al. 2013, Lancet Neurol 12:822.
    """
    rng, body = case.rng, case.body
    sign = any_side(rng)[1]
    y, z = (
        (float(rng.uniform(-74, -62)), float(rng.uniform(-8, 8)))
        if rng.random() < 0.6
        else (float(rng.uniform(50, 68)), float(rng.uniform(4, 24)))
    )
    centre, radius, hu = (
        (sign * float(rng.uniform(16, 34)), y, z),
        float(rng.uniform(10, 17)),
        float(rng.uniform(8, 15)),
    )

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, radius, rough=0.3)
        brain = head.tissue_is("grey", "white")[index] & (head.skull[index] > 0)
        head.paint(index, ramp(depth, 3.0) * brain, hu + 2.5 * head.noise[index], "scar", ["encephalomalacia_gliosis"])

    return paint


@lesion("basal_ganglia_calcification")
def ganglia(case: Case) -> Paint:
    """Chalk in both pallida, 80-400 HU (Cohen et al. 1980, AJR 134:965)."""
    rng, body = case.rng, case.body
    hu, size = float(rng.uniform(110, 300)), float(rng.uniform(0.7, 1.2))

    def paint(head: Head) -> None:
        for sign in (1, -1):
            index, depth = head.ball((sign * 21.0, -15.0, 1.0), 5.0 * size, stretch=(0.7, 1.5, 1.0), rough=0.35)
            head.paint(
                index, ramp(depth), hu + 30 * head.noise[index], "calcification", ["basal_ganglia_calcification"]
            )

    return paint


@lesion("other_intracranial_calcification")
def calcification(case: Case) -> Paint:
    """Chalky nodules in brain, such as old cysticerci not of pineal, choroid or ganglia.

    Grech et al. 2012, Insights Imaging 3:463.
    """
    rng, body = case.rng, case.body
    sites = [
        (pick(rng, (14, -64, 0), (54, 66, 54), (6, 30)), float(rng.uniform(2.2, 4.5)))
        for _ in range(int(rng.integers(1, 5)))
    ]
    hu = float(rng.uniform(180, 500))

    def paint(head: Head) -> None:
        for centre, radius in sites:
            index, depth = head.ball(centre, radius, rough=0.2)
            inside = head.skull[index] > 0
            head.paint(index, ramp(depth) * inside, hu, "calcification", ["other_intracranial_calcification"])

    return paint


@lesion("intracranial_atherosclerosis")
def atherosclerosis(case: Case) -> Paint:
    """Chalk in the walls of the carotid siphons and the vertebral arteries (Babiarz et al. 2003, AJNR 24:1285)."""
    rng, body = case.rng, case.body
    hu, thick = float(rng.uniform(350, 750)), float(rng.uniform(1.1, 1.9))

    def paint(head: Head) -> None:
        for sign in (1, -1):
            for centre in ((sign * 10.0, -14.0, -31.0), (sign * 8.0, -22.0, -27.0), (sign * 6.0, 12.0, -58.0)):
                index, depth = head.ball(centre, 3.4, stretch=(1.0, 1.3, 1.4), rough=0.25)
                wall = thick - np.abs(depth - 0.6)
                arc = (head.noise[index] > -0.6) & (head.skull[index] > -4)
                head.paint(
                    index, ramp(wall.astype(np.float32)) * arc, hu, "calcification", ["intracranial_atherosclerosis"]
                )

    return paint


@lesion("enlarged_perivascular_spaces")
def perivascular(case: Case) -> Paint:
    """Groups of fluid-filled tubes of 3-8 mm below the lentiform nuclei (Kwee and Kwee 2007, Radiographics 27:1071)."""
    rng, body = case.rng, case.body
    radii = rng.uniform(2.6, 3.6, 8)

    def paint(head: Head) -> None:
        for number, radius in enumerate(radii):
            sign = 1 if number % 2 else -1
            centre = (sign * (18.0 + 3.5 * (number // 2 % 2)), -24.0 + 5.5 * (number // 2), -6.0)
            index, depth = head.ball(centre, float(radius), stretch=(1, 1, 2.0), rough=0.05)
            brain = head.structure[index] != S["brainstem"]
            head.paint(index, ramp(depth) * brain, head.body.csf_hu, "csf", ["enlarged_perivascular_spaces"])

    return paint

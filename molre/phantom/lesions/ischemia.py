"""Brain without blood flow, from the first hours to the scar."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, bulk, lesion, pick
from molre.phantom.shapes import ramp, tube

MIDDLE, POSTERIOR, ANTERIOR = "middle", "posterior", "anterior"


def _wedge(head: Head, side: int, territory: str, size: float) -> tuple[np.ndarray, Float32[np.ndarray, "m"]]:
    """Voxels of a hemisphere and their depth in mm inside a part of an arterial territory.

    Damasio 1983, Arch Neurol 40:138.
    """
    index = np.flatnonzero(head.side(side) & (head.skull > 0) & (head.z > -26) & ~head.at("brainstem", "cerebellum"))
    x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
    rough = 3.5 * head.noise[index] + 4 * np.sin(y * 0.13 + z * 0.11) + 3 * np.sin(z * 0.21 - y * 0.07 + x * 0.1)
    if territory == MIDDLE:
        front, back = -12 - 30 * size, -12 + 44 * size
        depth = np.minimum.reduce([y - front + (60 - x) * 0.35, back - y + (60 - x) * 0.35, x - 30, 14 + 46 * size - z])
    elif territory == POSTERIOR:
        depth = np.minimum.reduce([y - 62 + 32 * size, 44 - x, 26 - z, z + 20])
    else:
        depth = np.minimum.reduce([20 - x, 30 * size - y, z - 4 - np.maximum(y + 40, 0) * 0.5])
    return index, (depth + rough).astype(np.float32)


def _stroke(rng: np.random.Generator) -> tuple[int, str, float]:
    side = any_side(rng)[0]
    territory = str(rng.choice([MIDDLE, POSTERIOR, ANTERIOR], p=[0.68, 0.22, 0.10]))
    return side, territory, float(rng.uniform(0.45, 1.0))


@lesion("acute_infarct", slot="infarct")
def acute(case: Case) -> Paint:
    """Grey and white matter alike at 20-26 HU in an arterial wedge, furrows closing.

    Von Kummer 2001, Radiology 219:95.
    """
    rng, body = case.rng, case.body
    side, territory, size = _stroke(rng)
    hu = float(rng.uniform(17.0, 22.5))
    if territory == MIDDLE and size > 0.6:
        bulk(rng, body, side, (size - 0.35) * float(rng.uniform(0.7, 1.15)))

    def paint(head: Head) -> None:
        index, depth = _wedge(head, side, territory, size)
        brain = head.tissue_is("grey", "white")[index] & ~(head.at("midline")[index] & (np.abs(head.x[index]) < 1))
        head.paint(
            index,
            ramp(depth, 4.0) * brain * np.float32(0.9),
            np.float32(hu) + head.noise[index],
            "infarct",
            ["acute_infarct"],
        )

    return paint


@lesion("early_ischemic_signs", slot="infarct")
def early(case: Case) -> Paint:
    """The insular ribbon and the lentiform nucleus fade to white matter.

    Truwit 1990, Radiology 176:801; Tomura 1988, 168:463.
    """
    rng, body = case.rng, case.body
    side = any_side(rng)[0]
    drop = float(rng.uniform(6, 9.5))
    reach = float(rng.uniform(34, 48))

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.side(side) & (head.skull > 0))
        x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
        depth = np.minimum.reduce([x - 17, reach + 10 - x, y + 42, 16 - y, z + 12, 24 - z]) + 2 * head.noise[index]
        brain = head.tissue_is("grey", "white")[index] & ~head.at("thalamus", "caudate", "brainstem")[index]
        grey = head.tissue_is("grey")[index]
        value = np.where(grey, head.body.white_hu - drop * 0.45, head.body.white_hu - drop * 0.35).astype(np.float32)
        head.paint(
            index,
            ramp(depth.astype(np.float32), 3.0) * brain * np.float32(0.9),
            value,
            "infarct",
            ["early_ischemic_signs"],
        )

    return paint


@lesion("hyperdense_artery_sign")
def hyperdense_artery(case: Case) -> Paint:
    """A clot in the first part of the middle cerebral artery, 60-90 HU against 40 (Koo et al. 2000, AJNR 21:1827)."""
    rng, body = case.rng, case.body
    side, hu, radius = any_side(rng)[0], float(rng.uniform(72, 92)), float(rng.uniform(1.9, 2.6))
    course = [(5, -19, -21, radius), (20, -21, -17, radius), (36, -20, -12, radius)]

    def paint(head: Head) -> None:
        near = np.flatnonzero(
            head.side(side) & (head.skull > 0) & (np.abs(head.y + 20) < 9) & (np.abs(head.z + 16) < 12)
        )
        at = (np.abs(head.x[near]), head.y[near], head.z[near])
        depth = tube(at, course)
        head.paint(near, ramp(depth), hu, "acute_blood", ["hyperdense_artery_sign"])

    return paint


@lesion("subacute_infarct", slot="infarct")
def subacute(case: Case) -> Paint:
    """A wedge darker and sharper than the acute one, with a ribbon of brighter cortex.

    Becker et al. 1979, AJR 133:459.
    """
    rng, body = case.rng, case.body
    side, territory, size = _stroke(rng)
    hu = float(rng.uniform(14, 18.5))

    def paint(head: Head) -> None:
        index, depth = _wedge(head, side, territory, size)
        brain = head.tissue_is("grey", "white")[index]
        ribbon = head.tissue_is("grey")[index] & (head.noise[index] > 0.1)
        value = np.where(ribbon, np.float32(29), np.float32(hu)) + head.noise[index]
        head.paint(index, ramp(depth, 2.0) * brain, value.astype(np.float32), "infarct", ["subacute_infarct"])

    return paint


@lesion("chronic_territorial_infarct", slot="infarct")
def chronic_infarct(case: Case) -> Paint:
    """Near-fluid density with lost volume: wide furrows, the ventricle drawn out towards it.

    Naidich et al. 1986, Radiology 160:1.
    """
    rng, body = case.rng, case.body
    side, territory, size = _stroke(rng)
    hu = float(rng.uniform(8.5, 13.5))
    body.ventricle_mm[side] += 2.0 * size
    body.shift(-1.5 * size, side)

    def paint(head: Head) -> None:
        index, depth = _wedge(head, side, territory, size)
        brain = head.tissue_is("grey", "white")[index] & ~head.at("thalamus")[index]
        value = np.float32(hu) + 2.0 * head.noise[index] + 6 * np.exp(-((depth - 1.5) ** 2) / 4)
        head.paint(index, ramp(depth, 2.5) * brain, value.astype(np.float32), "scar", ["chronic_territorial_infarct"])

    return paint


@lesion("lacunar_infarct")
def lacunar(case: Case) -> Paint:
    """Round holes of 3-15 mm in deep grey matter, capsule or pons (Wardlaw et al. 2013, Lancet Neurol 12:822)."""
    rng, body = case.rng, case.body
    sites = [
        (pick(rng, (8, -26, -2), (30, 12, 20), (20, 99), 2.5), float(rng.uniform(3.2, 6.5)))
        for _ in range(int(rng.integers(1, 4)))
    ]
    hu = float(rng.uniform(9, 16))

    def paint(head: Head) -> None:
        for centre, radius in sites:
            index, depth = head.ball(centre, radius, rough=0.1)
            brain = head.tissue_is("grey", "white")[index]
            head.paint(index, ramp(depth) * brain, hu, "scar", ["lacunar_infarct"])

    return paint


@lesion("hypoxic_ischemic_injury", slot="infarct")
def hypoxic(case: Case) -> Paint:
    """Grey and white matter no longer differ, furrows close, cerebellum stays bright.

    Torbey et al. 2000, Stroke 31:2163.
    """
    rng, body = case.rng, case.body
    body.contrast = float(rng.uniform(-0.1, 0.25))
    drop = float(rng.uniform(6.5, 9.5))
    for side in (0, 1):
        body.efface(side, float(rng.uniform(0.8, 1.0)))
    body.gap_mm, body.cistern_mm = 0.2, body.cistern_mm - 0.8
    body.claims |= {"sulcal_or_cisternal_effacement", "cerebral_edema"}

    def paint(head: Head) -> None:
        spared = head.at("cerebellum", "brainstem", "tentorium")
        index = np.flatnonzero(head.tissue_is("grey", "white") & (head.skull > 0) & ~spared)
        head.hu[index] = np.minimum(head.hu[index], head.body.grey_hu) - np.float32(drop)
        ganglia = np.flatnonzero(head.at("caudate", "lentiform", "thalamus"))
        head.hu[ganglia] -= 1.5
        head.mark(index, ["hypoxic_ischemic_injury", "cerebral_edema"])

    return paint


@lesion("cerebral_venous_sinus_thrombosis")
def venous(case: Case) -> Paint:
    """A dense, full sinus at 65-85 HU (Linn et al. 2009, AJNR 30:946: above 62 HU)."""
    rng, body = case.rng, case.body
    hu, side = float(rng.uniform(70, 86)), any_side(rng)[0]

    def paint(head: Head) -> None:
        inside = (head.skull > -0.5) & (head.z > -20)
        sagittal = (
            inside
            & (np.abs(head.x) < 5.5 - 0.55 * head.skull)
            & (head.skull < 7.5)
            & ((head.z > 30) | (head.y > 40))
            & (head.z > -6)
        )
        transverse = inside & head.side(side) & head.at("venous_sinus") & (head.z < 0)
        index = np.flatnonzero(sagittal | transverse)
        head.paint(index, np.ones(len(index), np.float32), hu, "acute_blood", ["cerebral_venous_sinus_thrombosis"])

    return paint

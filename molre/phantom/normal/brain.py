"""Normal tissue inside the skull: brain with furrows, ventricles and cisterns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.head import Head
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import S
from molre.phantom.tissue import T

CORTEX_MM = 2.8
"""Mean thickness of the cortex (Fischl and Dale 2000, PNAS 97:11050)."""


def _per_side(head: Head, index: np.ndarray, values: list[float]) -> Float32[np.ndarray, "m"]:
    """A setting of each hemisphere, blended across the midline."""
    left = np.clip(head.x[index] * np.float32(1 / 8) + np.float32(0.5), 0, 1)
    return left * np.float32(values[LEFT]) + (1 - left) * np.float32(values[RIGHT])


def _furrow(head: Head, index: np.ndarray, depth: Float32[np.ndarray, "m"]) -> Float32[np.ndarray, "m"]:
    """Distance to the wall of the nearest furrow; furrows narrow as they deepen and end at their own depth."""
    body = head.body
    direction = head.direction[index]
    # Furrows of the medial surface deepen away from the falx.
    medial = np.where(head.structure[index] == S["midline"], np.abs(head.x[index]) + np.float32(7), depth)
    below = np.maximum(np.minimum(depth, medial) - body.fold_depth_mm[direction], 0)
    width = _per_side(head, index, body.sulcus_mm) * (np.float32(1.25) - depth * np.float32(0.03))
    return np.hypot(body.folds_mm[direction], below) - width


def fill_brain(head: Head, index: np.ndarray) -> None:
    body, structure = head.body, head.structure[index]
    depth, x = head.skull[index], np.abs(head.x[index])
    cerebellum, stem = structure == S["cerebellum"], structure == S["brainstem"]
    deep = (structure >= S["caudate"]) & (structure <= S["thalamus"]) | (structure == S["callosum"])
    cortical = ~(cerebellum | stem | deep)
    pial = depth - np.float32(body.gap_mm)
    furrow = _furrow(head, index, depth)
    pial = np.where(
        cortical, np.minimum(pial, furrow), pial - np.where(cerebellum, np.float32(2.0 * body.cerebellar_atrophy), 0)
    )
    cistern = -head.cistern[index] - np.float32(body.cistern_mm)
    pial = np.minimum(pial, np.where(deep, cistern + 1.5, cistern))
    midline = structure == S["midline"]
    wide = np.float32(0.9 + 0.5 * body.gap_mm) * (1 + np.float32(0.6) * head.noise[index])
    pial = np.where(midline, np.minimum(pial, x - wide), pial)
    grey_hu, white_hu = (
        np.float32(body.grey_hu),
        np.float32(body.grey_hu + (body.white_hu - body.grey_hu) * body.contrast),
    )
    grey = np.where(cortical, ramp(CORTEX_MM - pial, 1.6), np.float32(0))
    grey[deep & (structure != S["callosum"])] = 1
    grey[cerebellum] = np.clip(
        0.62 + 0.22 * np.sin(head.z[index[cerebellum]] * 1.4 + head.noise[index[cerebellum]]), 0, 1
    )
    grey[stem] = 0.30
    fluid = ramp(-pial, 1.2)
    ventricle = ramp(_dilated(head, index), 1.0)
    hu = white_hu + (grey_hu - white_hu) * grey
    hu += np.float32(0.5) * head.noise[index]
    hu += (np.float32(body.csf_hu) - hu) * np.maximum(fluid, ventricle)
    tissue = np.where(grey > 0.5, T["grey"], T["white"])
    tissue[np.maximum(fluid, ventricle) > 0.5] = T["csf"]
    head.ventricular[index[ventricle > 0.5]] = True
    _dura_and_vessels(head, structure, x, midline, hu, tissue, ventricle)
    head.hu[index], head.tissue[index] = hu, tissue


def _dilated(head: Head, index: np.ndarray) -> Float32[np.ndarray, "m"]:
    """Depth inside the ventricles as they are in this head."""
    body = head.body
    x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
    lateral = _per_side(head, index, body.ventricle_mm)
    fourth = (z < -22) & (y > 14)
    third = (x < 5) & (z < 11) & (y < 14)
    grow = np.where(fourth, np.float32(body.fourth_mm), np.where(third, np.float32(body.third_mm * 0.6), lateral))
    # The septum and the fornix stay between the lateral ventricles however wide they are.
    return np.minimum(head.ventricle[index] + grow, np.where(fourth | third, np.float32(40), x - np.float32(0.5)))


def _dura_and_vessels(
    head: Head,
    structure: np.ndarray,
    x: np.ndarray,
    midline: np.ndarray,
    hu: np.ndarray,
    tissue: np.ndarray,
    ventricle: np.ndarray,
) -> None:
    falx = np.where(midline, ramp(np.float32(0.6) - x, 0.7), 0)
    hu += (np.float32(50) - hu) * falx
    tissue[falx > 0.5] = T["dura"]
    for name, value, kind in (
        ("tentorium", 43.0, "dura"),
        ("venous_sinus", 50.0, "vessel"),
        ("artery", 42.0, "vessel"),
        ("sella", 40.0, "grey"),
    ):
        found = structure == S[name]
        hu[found], tissue[found] = value, T[kind]
    choroid = (structure == S["choroid"]) & (ventricle > 0.3)
    pineal = structure == S["pineal"]
    for found, calcified in ((choroid, head.body.choroid_calcified), (pineal, head.body.pineal_calcified)):
        hu[found] = 190.0 if calcified else 42.0
        tissue[found] = T["calcification"] if calcified else T["grey"]

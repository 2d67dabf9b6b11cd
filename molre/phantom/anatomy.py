"""Normal tissue of one head: brain with furrows, ventricles and cisterns; skull; face; scalp."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.head import Head
from molre.phantom.shapes import ramp
from molre.phantom.template import STRUCTURES, S
from molre.phantom.tissue import AIR, FAT, MUSCLE, SKIN, T

CORTEX_MM = 2.8
"""Mean thickness of the cortex (Fischl and Dale 2000, PNAS 97:11050)."""

_OUTSIDE = {
    "face_bone": (650.0, "bone"),
    "maxillary": (AIR, "air_space"),
    "ethmoid": (AIR, "air_space"),
    "sphenoid": (AIR, "air_space"),
    "frontal": (AIR, "air_space"),
    "nasal": (-980.0, "air_space"),
    "mucosa": (40.0, "muscle"),
    "mastoid_air": (-880.0, "air_space"),
    "petrous": (1250.0, "bone"),
    "muscle": (MUSCLE, "muscle"),
    "ear_air": (AIR, "air_space"),
    "vitreous": (8.0, "eye"),
    "sclera": (48.0, "eye"),
    "lens": (95.0, "eye"),
    "orbit_soft": (42.0, "muscle"),
    "orbit_fat": (FAT, "fat"),
    "sella": (42.0, "grey"),
}
_HU = np.array([_OUTSIDE.get(name, (FAT + 10, "fat"))[0] for name in STRUCTURES], np.float32)
_TISSUE = np.array([T[_OUTSIDE.get(name, (FAT, "fat"))[1]] for name in STRUCTURES], np.uint8)


def fill(head: Head) -> None:
    """Lay out the normal tissue of every voxel inside the skin."""
    inside = head.skull > 0
    _brain(head, np.flatnonzero(inside))
    _outside(head, np.flatnonzero(~inside))


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


def _brain(head: Head, index: np.ndarray) -> None:
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


def _outside(head: Head, index: np.ndarray) -> None:
    body, structure = head.body, head.structure[index]
    depth, skin, noise = head.skull[index], head.skin[index], head.noise[index]
    hu, tissue = _HU[structure], _TISSUE[structure]
    none = structure == S["none"]
    flesh = none & (skin > 9) & (noise > -0.5)
    hu[flesh], tissue[flesh] = MUSCLE - 8, T["muscle"]
    rind = none & (skin < 2.0)
    hu[rind], tissue[rind] = SKIN, T["skin"]
    thick = np.float32(body.skull_mm) * (1 + body.bone[head.direction[index]])
    shell = none | (structure == S["muscle"]) | (structure == S["petrous"]) | (structure == S["face_bone"])
    part = np.where(shell, ramp(thick + depth, 1.0), np.float32(0))
    layer = -depth / thick
    table = np.maximum(
        np.float32(1) - np.abs(layer - np.float32(0.1)) * 5, np.float32(1) - np.abs(layer - np.float32(0.9)) * 5
    )
    bone = np.where(head.z[index] > -15, 620 + 780 * np.clip(table, 0, 1), np.float32(1150)) + 60 * noise
    bone = np.where(structure == S["petrous"], np.float32(1500), bone)
    hu += (bone - hu) * part
    hard = part > 0.5
    tissue[hard] = T["bone"]
    hard |= (structure == S["face_bone"]) | (structure == S["petrous"])
    head.bone[index[hard]] = True
    speck = (tissue == T["fat"]) | (tissue == T["muscle"])
    hu[speck] += 6 * noise[speck]
    head.hu[index], head.tissue[index] = hu, tissue

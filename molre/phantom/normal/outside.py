"""Normal tissue outside the brain's cavity: skull, face, scalp."""

from __future__ import annotations

import numpy as np

from molre.phantom.head import Head
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import STRUCTURES, S
from molre.phantom.tissue import AIR, FAT, MUSCLE, SKIN, T

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


def fill_outside(head: Head, index: np.ndarray) -> None:
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

"""The structures told apart in the standard head."""

from __future__ import annotations

import numpy as np

STRUCTURES = (
    "none", "caudate", "lentiform", "thalamus", "brainstem", "cerebellum", "midline", "tentorium", "choroid", "pineal",
    "venous_sinus", "vitreous", "sclera", "lens", "orbit_soft", "orbit_fat", "face_bone", "maxillary", "ethmoid",
    "sphenoid", "frontal", "nasal", "mucosa", "mastoid_air", "petrous", "muscle", "ear_air", "artery", "sella",
    "callosum",
)  # fmt: skip
"""Structures told apart in the standard head; a voxel holds the position of its structure in this tuple."""
S = {name: np.uint8(position) for position, name in enumerate(STRUCTURES)}

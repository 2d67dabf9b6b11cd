"""The structures told apart in the standard head."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Bool

STRUCTURES = (
    "none", "caudate", "lentiform", "thalamus", "brainstem", "cerebellum", "midline", "tentorium", "choroid", "pineal",
    "venous_sinus", "vitreous", "sclera", "lens", "orbit_soft", "orbit_fat", "face_bone", "maxillary", "ethmoid",
    "sphenoid", "frontal", "nasal", "mucosa", "mastoid_air", "petrous", "muscle", "ear_air", "artery", "sella",
    "callosum", "pallidum", "capsule", "insula", "hippocampus", "midbrain", "pons", "medulla", "vermis", "dentate",
    "falx", "straight_sinus", "fornix", "vein",
    "gland", "pharynx", "foramen", "zygoma", "nasal_bone", "mandible", "vertebra", "orbital_wall",
)  # fmt: skip
"""Structures told apart in the standard head; a voxel holds the position of its structure in this tuple."""
S = {name: np.uint8(position) for position, name in enumerate(STRUCTURES)}
GROUPS = {
    "lentiform": ("lentiform", "pallidum"),
    "brainstem": ("brainstem", "midbrain", "pons", "medulla"),
    "cerebellum": ("cerebellum", "vermis", "dentate"),
    "venous_sinus": ("venous_sinus", "straight_sinus"),
    "midline": ("midline", "falx"),
}
"""Names that stand for several structures, among them one of the same name: the rest of it."""


@cache
def members(*names: str) -> Bool[np.ndarray, "structures"]:
    """Which structures any of the names, or of the groups so named, comprises."""
    found = np.zeros(len(STRUCTURES), bool)
    for name in names:
        for one in GROUPS.get(name, (name,)):
            found[S[one]] = True
    return found

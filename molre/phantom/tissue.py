"""The tissues told apart in a phantom's voxel map, and their Hounsfield units."""

from __future__ import annotations

import numpy as np

from molre.phantom.standard.structures import STRUCTURES

TISSUES: tuple[str, ...] = (
    "air", "skin", "fat", "muscle", "bone", "air_space", "grey", "white", "csf", "vessel", "dura", "eye",
    "acute_blood", "old_blood", "oedema", "infarct", "scar", "tumour", "cyst", "calcification", "pathological_air",
    "metal", "fluid", "device",
)  # fmt: skip
"""Name of each value of ``PhantomStudy.tissue``.

``air`` surrounds the head, ``air_space`` fills sinuses, mastoid and nose, ``pathological_air`` lies where no air
belongs. ``acute_blood`` includes fresh clot in vessels and scalp, ``fluid`` fills sinuses and mastoid cells, ``scar``
is gliosis and encephalomalacia, ``device`` is plastic or bone cement.
"""

T = {name: np.uint8(position) for position, name in enumerate(TISSUES)}

AIR, FAT, MUSCLE, SKIN = -1000.0, -95.0, 55.0, 25.0
"""HU of normal soft tissue (Prokop and Galanski 2003, Spiral and Multislice CT of the Body, ch. 5)."""
GREY, CSF = 38.5, 8.0
"""HU of normal brain at 120 kV: grey 37-41, white 20-34, fluid 0-15 (Osborn's Brain, 2nd ed., 2018)."""
CONTRAST_HU = (10.0, 12.0)
"""Grey minus white matter of pure tissue; 6-12 HU at 120 kV (Osborn's Brain, 2nd ed., 2018), less by partial volume."""
DURA_HU, PITUITARY_HU = 50.0, 44.0
"""Falx and tentorium are denser than brain, the pituitary like grey matter (Osborn's Brain, 2nd ed., 2018)."""
BLOOD_HU_BY_HAEMATOCRIT = (8.0, 0.95)
"""HU of flowing blood = first + second * haematocrit in percent, near one HU a percent (Norman et al. 1977, Radiology
123:641)."""
_OFFSETS_HU = {"pallidum": 1.0, "caudate": 0.6, "lentiform": 0.3, "thalamus": -1.2, "pons": -1.0, "medulla": -0.5,
               "capsule": -0.6, "callosum": -0.6, "insula": 0.4}  # fmt: skip
OFFSETS_HU = np.array([_OFFSETS_HU.get(name, 0.0) for name in STRUCTURES], np.float32)
"""How structures differ from grey or white matter at large; the thalamus holds much white matter, and tightly packed
fibres attenuate a little less (Osborn's Brain, 2nd ed., 2018)."""

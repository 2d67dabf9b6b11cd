"""The tissues told apart in a phantom's voxel map, and their Hounsfield units."""

from __future__ import annotations

import numpy as np

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
GREY, CSF = 39.0, 8.0
"""HU of normal brain at 120 kV: grey 37-41, white 20-34, fluid 0-15 (Osborn's Brain, 2nd ed., 2018)."""

"""How much brain and fluid a head holds."""

from __future__ import annotations

import numpy as np

from molre.phantom.geometry import Geometry
from molre.phantom.head import Head


def volumes_ml(head: Head, geometry: Geometry) -> dict[str, float]:
    """Volumes of ``brain``, ``fluid`` inside the skull, and ``ventricles`` of a head whose tissue is laid out, in mL.

    Adults have 1,100-1,500 mL of brain (Ruigrok et al. 2014, Neurosci Biobehav Rev 39:34).
    """
    slices = head.where // int(np.prod(head.shape[1:])) // head.fine
    voxel_ml = (geometry.thickness_mm * geometry.pixel_mm**2 / head.fine / 1000)[slices]
    inner = head.inner > 0
    found = {
        "brain": inner & head.tissue_is("grey", "white"),
        "fluid": inner & head.tissue_is("csf"),
        "ventricles": head.ventricular,
    }
    return {name: float(voxel_ml[where].sum()) for name, where in found.items()}

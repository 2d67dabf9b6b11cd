"""Normal tissue inside the skull: brain with furrows, ventricles and cisterns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.body import LEFT, RIGHT
from molre.phantom.head import Head
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import S, members
from molre.phantom.tissue import DURA_HU, OFFSETS_HU, PITUITARY_HU, T

CORTEX_MM = 2.8
"""Mean thickness of the cortex (Fischl and Dale 2000, PNAS 97:11050)."""
CLEAR_MM = 7.0
"""Nearest that furrows come to ventricles and deep grey matter."""
FOLLOWED = 0.8
"""Share of the depth by which a point is taken outwards to where its fold is read; below 1, folds bend on their way."""


def _per_side(x: np.ndarray, values: list[float]) -> Float32[np.ndarray, "m"]:
    """A setting of each hemisphere, blended across the midline."""
    left = np.clip(x * np.float32(1 / 8) + np.float32(0.5), 0, 1)
    return left * np.float32(values[LEFT]) + (1 - left) * np.float32(values[RIGHT])


def _furrow(head: Head, index: np.ndarray, hull: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Distance to the wall of the nearest furrow; furrows narrow as they deepen and end at their own depth.

    Args:
        head: the head.
        index: positions in ``head.inside``.
        hull: their depth beneath the brain's outer surface.
        clear: distance from what no furrow reaches.
    """
    voxels = head.inside[index]
    normal = head.brain.subset(index).slope("hull")
    out = np.float32(FOLLOWED) * np.clip(hull, 0, 30) / (np.sqrt(sum(n * n for n in normal)) + np.float32(1e-3))
    at = [a[voxels] - out * n for a, n in zip((head.x, head.y, head.z), normal, strict=True)]
    fold, deep = head.body.folds.at((at[0], at[1], at[2]))
    # On the medial face few furrows but the named ones are deep.
    deep *= np.clip(np.float32(0.15) + np.abs(at[0]) * np.float32(0.055), 0, 1)
    below = np.maximum(hull - deep, np.float32(CLEAR_MM) - clear)
    width = _per_side(at[0], head.body.sulcus_mm) * (np.float32(1.2) - hull * np.float32(0.03))
    return np.hypot(fold, np.maximum(below, 0)) - width


def _pial(head: Head, index: np.ndarray, hind: np.ndarray, deep: np.ndarray) -> Float32[np.ndarray, "m"]:
    """Depth below the brain's surface, with its furrows."""
    body, depth, hull = head.body, head.skull[index], head.brain["hull"]
    pial = depth - np.float32(body.gap_mm)
    pial = pial - np.where(hind, np.float32(2.0 * body.cerebellar_atrophy), 0)
    folded = np.flatnonzero(~(hind | deep) & (hull < 30))
    clear = -np.maximum(head.ventricle[index[folded]] + np.float32(1.5), head.brain.subset(folded)["nucleus"])
    furrow = _furrow(head, folded, hull[folded], clear)
    wide = np.float32(0.55 + 0.5 * body.gap_mm) * (1 + np.float32(0.5) * head.noise[index[folded]])
    pial[folded] = np.minimum(np.minimum(pial[folded], furrow), hull[folded] - wide)
    cistern = -head.cistern[index] - np.float32(body.cistern_mm) - np.float32(0.45) * head.noise[index]
    return np.minimum(pial, np.where(deep, cistern + 1.5, cistern))


def fill_brain(head: Head, index: np.ndarray) -> None:
    """Grey and white matter, fluid, dura and vessels of the voxels inside the skull."""
    body, structure = head.body, head.structure[index]
    nucleus = head.brain["nucleus"]
    cerebellum, stem = members("cerebellum").take(structure), members("brainstem").take(structure)
    hind = cerebellum | stem
    deep = (nucleus > -0.8) | members("callosum", "capsule", "fornix").take(structure)
    pial = _pial(head, index, hind, deep)
    grey = ramp(CORTEX_MM - pial, 1.4)
    grey[deep] = 0
    grey = np.maximum(grey, ramp(nucleus, 1.4))
    grey[stem] = 0.35
    pial = _folia(head, cerebellum, pial, grey)
    white_hu = body.grey_hu + (body.white_hu - body.grey_hu) * body.contrast
    hu = np.float32(white_hu) + np.float32(body.grey_hu - white_hu) * grey
    hu += OFFSETS_HU.take(structure)
    hu[structure == S["pallidum"]] += np.float32(0.04 * max(body.age_years - 40, 0))
    hu += np.float32(0.45) * head.noise[index]
    ventricle = ramp(_dilated(head, index), 1.0)
    fluid = np.maximum(ramp(-pial, 1.1), ventricle)
    hu += (np.float32(body.csf_hu) - hu) * fluid
    tissue = np.where(grey > 0.5, T["grey"], T["white"])
    tissue[fluid > 0.5] = T["csf"]
    head.ventricular[index[ventricle > 0.5]] = True
    _dura_and_vessels(head, structure, hu, tissue)
    _calcified(head, structure, ventricle, hu, tissue)
    head.hu[index], head.tissue[index] = hu, tissue


def _folia(head: Head, cerebellum: np.ndarray, pial: np.ndarray, grey: np.ndarray) -> Float32[np.ndarray, "m"]:
    """The cerebellum's cortex: leaves some 4 mm thick about the fourth ventricle, its white core and the dentate.

    Returns:
        The depth below the surface with the cerebellum's fissures, one between every second pair of leaves.
    """
    there = np.flatnonzero(cerebellum)
    voxels = head.inside[there]
    x, y, z = (a[voxels] for a in (head.x, head.y, head.z))
    leaf = np.hypot(y - 26 + np.float32(0.004) * x * x, (z + 34) * np.float32(1.15)) + head.noise[voxels]
    core = np.float32(1) - np.hypot((np.abs(x) - 16) / 15, np.hypot((y - 38) / 10, (z + 37) / 6))
    value = np.float32(0.72) + np.float32(0.2) * np.sin(leaf * np.float32(2 * np.pi / 4.2))
    value -= np.float32(0.75) * np.clip(core * 4 + np.float32(0.5), 0, 1)
    value[head.structure[voxels] == S["dentate"]] = 0.75
    value[head.structure[voxels] == S["vermis"]] += 0.12
    grey[there] = np.clip(value, 0.05, 1)
    across = np.abs((leaf / np.float32(8.4)) % 1 - np.float32(0.5)) * np.float32(8.4)
    wide = np.float32(0.1 + 0.5 * head.body.atrophy + 0.8 * head.body.cerebellar_atrophy)
    below = np.maximum(pial[there] - 5 - 2 * head.noise[voxels], 0)
    pial[there] = np.minimum(pial[there], np.hypot(across, below) - wide)
    return pial


def _dilated(head: Head, index: np.ndarray) -> Float32[np.ndarray, "m"]:
    """Depth inside the ventricles as they are in this head."""
    body = head.body
    x, y, z = np.abs(head.x[index]), head.y[index], head.z[index]
    lateral = _per_side(head.x[index], body.ventricle_mm)
    # The temporal horns, and less so the occipital ones, widen last.
    horn = np.clip((z + 2) * np.float32(0.1), 0, 1) * np.clip((60 - y) * np.float32(0.05), 0.3, 1)
    lateral = np.where(lateral > 0, lateral * (np.float32(0.35) + np.float32(0.65) * horn), lateral)
    fourth = (z < -22) & (y > 14)
    third = (x < 5) & (z < 11) & (y < 14)
    grow = np.where(fourth, np.float32(body.fourth_mm), np.where(third, np.float32(body.third_mm * 0.6), lateral))
    # The septum and the fornix stay between the lateral ventricles however wide they are.
    septum = x - np.float32(0.5)
    if body.cavum_mm > 0:
        leaf = np.abs(x - np.float32(body.cavum_mm + 0.5)) - np.float32(0.5)
        septum = np.where((z > 4) & (y < -14), leaf, septum)
    return np.minimum(head.ventricle[index] + grow, np.where(fourth | third, np.float32(40), septum))


def _dura_and_vessels(head: Head, structure: np.ndarray, hu: np.ndarray, tissue: np.ndarray) -> None:
    """Thin sheets and tubes, each with its share of the voxel."""
    body = head.body
    for name, value, kind, width in (("dura", DURA_HU, "dura", 0.8), ("vessel", body.blood_hu, "vessel", 0.9)):
        index = np.flatnonzero(head.brain.coarse(name) > -1.2)
        share = ramp(head.brain.subset(index)[name], width)
        hu[index] += (np.float32(value) - hu[index]) * share
        tissue[index[share > 0.5]] = T[kind]
    sella = structure == S["sella"]
    hu[sella], tissue[sella] = PITUITARY_HU, T["grey"]


def _calcified(head: Head, structure: np.ndarray, ventricle: np.ndarray, hu: np.ndarray, tissue: np.ndarray) -> None:
    """Choroid plexus and pineal gland, and the calcium that they and the falx hold in many old people."""
    body, grain = head.body, head.noise[head.inside]
    choroid = (structure == S["choroid"]) & (ventricle > 0.3)
    pineal = structure == S["pineal"]
    falx = (structure == S["falx"]) & (head.z[head.inside] > 20)
    for soft in (choroid, pineal):
        hu[soft], tissue[soft] = 40.0, T["grey"]
    for where, calcified, least in (
        (choroid, body.choroid_calcified, -0.2),
        (pineal, body.pineal_calcified, -0.2),
        (falx, body.falx_calcified, 1.1),
    ):
        if calcified:
            stone = where & (grain > least)
            hu[stone] = 130 + 50 * grain[stone]
            tissue[stone] = T["calcification"]

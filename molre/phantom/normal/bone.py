"""Normal bone: the vault with its tables, sutures and grooves, the base, the face, the upper neck."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.head import Head
from molre.phantom.lookup import lookup
from molre.phantom.shapes import ramp
from molre.phantom.standard.skull import MIDDLE_MM
from molre.phantom.standard.structures import S
from molre.phantom.standard.sutures import GROOVES, off_arc, suture_mm
from molre.phantom.tissue import T

Values = Float32[np.ndarray, "m"]
CORTEX_MM = 1.5
"""Thickness of compact bone."""
CORTEX_HU, SPONGY_HU, PETROUS_HU = 1150.0, 330.0, 1700.0
"""Facial and basal bone (Prokop and Galanski 2003, Spiral and Multislice CT of the Body, ch. 5); the otic capsule is
the densest bone there is."""
FLOOR_MM = -66.0
"""Below it the cavity is the spinal canal, which the vertebrae surround and no skull."""


BASE_MM = -15.0
"""Below it bone slopes every way."""
VERTEX_MM = 30.0
"""Above it the inner table slopes so much that a voxel's height counts."""


def fill_bone(head: Head, index: np.ndarray, outer: Values, facial: Values) -> None:
    """Lay out bone, given the depth of voxels below the outer table and in bones other than the vault."""
    inner = -head.skull[index]
    outer = outer - 1.5 * np.maximum(np.float32(FLOOR_MM) - head.z[index], 0)
    outer = np.where(head.structure[index] == S["foramen"], np.float32(-9), outer)
    part = np.flatnonzero(np.maximum(outer, facial) > -0.6)
    index, inner, outer, facial = index[part], inner[part], outer[part], facial[part]
    vault = np.minimum(inner, outer)
    gap = np.zeros(len(index), np.float32)
    dome = np.flatnonzero((outer > -0.6) & (head.z[index] > -48))
    hollowed, gap[dome] = _marks(head, index[dome], inner[dome], outer[dome])
    vault[dome] = np.minimum(vault[dome], hollowed)
    depth = np.maximum(vault, facial)
    # What bone has left free beneath the outer table is filled by vessels, dura and granulations.
    bare = index[outer > 0]
    head.hu[bare], head.tissue[bare] = 28.0, T["vessel"]
    blur_mm = _blur_mm(head, index, vault >= facial)
    share = np.clip(depth / blur_mm + np.float32(0.5), 0, 1) * (1 - gap)
    hu = _density(head, index, depth, vault >= facial, blur_mm)
    head.hu[index] += (hu - head.hu[index]) * share
    hard = index[share > 0.5]
    head.tissue[hard], head.bone[hard] = T["bone"], True


def fill_inner_table(head: Head, index: np.ndarray) -> None:
    """Lay out what of the inner table lies within the cavity: ridges between the imprints of gyri, and slopes."""
    near = index[head.inner[index] < 3]
    inner, noise = head.inner[near], head.noise[near]
    x, y, z = (a[near] for a in head.still)
    a, b, c = (np.float32(p) for p in head.body.cranium.phases[6:9])
    wave = (
        np.sin(x * np.float32(0.21) + a + noise) + np.sin(y * np.float32(0.19) + b) + np.sin(z * np.float32(0.17) + c)
    )
    # The imprints are deepest on the frontal and temporal floor (juga cerebralia).
    high = np.float32(0.45) + 0.45 * np.clip((-z - 5) * np.float32(0.1), 0, 1) * (y < 5)
    ridge = high * (wave + np.float32(0.7) * noise) - np.float32(0.35)
    ridge[(np.abs(x) < 7) | (z < FLOOR_MM + 22) & (y > 0)] = -2
    blur_mm = _blur_mm(head, near, np.ones(len(near), bool))
    # At a slope the voxel holds bone that begins beneath its middle.
    share = np.clip((ridge - inner) / blur_mm + np.float32(0.5), 0, 1)
    flat = (blur_mm > 1.2) & (z > VERTEX_MM)
    share = np.maximum(share, np.where(flat, np.clip(np.float32(0.5) - inner / blur_mm, 0, 1), 0))
    head.hu[near] += (np.float32(head.body.cranium.table_hu) - head.hu[near]) * share
    hard = near[share > 0.5]
    head.tissue[hard], head.bone[hard] = T["bone"], True


def _blur_mm(head: Head, index: np.ndarray, vault: np.ndarray) -> Values:
    """Depth of bone that one voxel takes in: where a surface slopes, more than its width in plane."""
    slab_mm = np.float32(np.ptp(head.z) / head.shape[0])
    up = np.abs(head.z[index] - np.float32(MIDDLE_MM[2])) * np.float32(1 / 85)
    low = np.flatnonzero(head.z[index] < BASE_MM)
    there = index[low]
    samples = lookup((head.x[there], head.y[there], head.z[there]))
    up[low] = np.maximum(np.abs(samples.slope("skull")[2]), np.where(vault[low], 0, np.abs(samples.slope("facial")[2])))
    return np.maximum(np.float32(0.9), slab_mm * np.minimum(up, 1))


def _density(head: Head, index: np.ndarray, depth: Values, vault: np.ndarray, blur_mm: Values) -> Values:
    """HU by the depth in bone: compact tables or cortex, diploe or spongy bone between them."""
    cranium, noise = head.body.cranium, head.noise[index]
    thick = np.where(vault, np.float32(CORTEX_MM), np.float32(CORTEX_MM)) + np.float32(0.25) * noise
    compact = np.clip((thick - depth) / (blur_mm + np.float32(0.2)) + np.float32(0.5), 0, 1)
    spongy = np.where(vault, np.float32(cranium.diploe_hu), np.float32(SPONGY_HU)) + 110 * noise
    cortex = np.where(vault, np.float32(cranium.table_hu), np.float32(CORTEX_HU))
    petrous = (head.structure[index] == S["petrous"]) & ~vault & (np.abs(head.x[index]) > 17)
    within = petrous & (np.abs(head.x[index]) < 48) & (head.z[index] > -56)
    spongy = np.where(petrous, np.where(within, np.float32(PETROUS_HU) + 90 * noise, 700 + 120 * noise), spongy)
    return np.maximum(spongy + (cortex - spongy) * compact, np.float32(120))


def _marks(head: Head, index: np.ndarray, inner: Values, outer: Values) -> tuple[Values, Values]:
    """Depth left in the vault beneath its grooves, pits and foramina, and the share of sutures in each voxel."""
    cranium = head.body.cranium
    offset = [a[index] - np.float32(c) for a, c in zip((head.x, head.y, head.z), MIDDLE_MM, strict=True)]
    radius = np.sqrt(sum(o * o for o in offset))
    sx, y, z = (o / radius for o in offset)
    x = np.abs(sx)
    left = np.full(len(index), 99, np.float32)
    noise = head.noise[index]
    if len(index):
        lateral = np.flatnonzero((x > 0.3) & (inner < 3))
        unit = (x[lateral], y[lateral], z[lateral])
        groove = np.full(len(lateral), 9, np.float32)
        for one in GROOVES:
            off, past = off_arc(unit, one)
            bent = off + np.float32(0.012) * noise[lateral] + 0.02 * np.sin(9 * unit[2] + cranium.phases[0])
            groove = np.minimum(groove, np.hypot(bent, past))
        depth = 1.5 - (np.float32(80) * groove) ** 2
        left[lateral] = inner[lateral] - np.maximum(depth, 0)
        for px, py, pz, radius_mm, deep in cranium.pits:
            cosine = sx * np.float32(px) + y * np.float32(py) + z * np.float32(pz)
            near = np.flatnonzero(cosine > np.cos(radius_mm / 60))
            away = np.float32(85) * np.sqrt(np.maximum(2 - 2 * cosine[near], 0)) + np.float32(0.6) * noise[near]
            dip = np.float32(deep) * (1 - (away / np.float32(radius_mm)) ** 2)
            left[near] = np.minimum(left[near], inner[near] - np.maximum(dip, 0))
        for side, hole_mm in zip((1, -1), cranium.foramina, strict=True):
            if hole_mm > 0:
                away = np.float32(85) * np.hypot(sx - np.float32(0.10 * side), np.where(z > 0, y - np.float32(0.62), 9))
                left = np.minimum(left, away - np.float32(hole_mm))
    return left, _suture(head, (x, y, z), inner, outer, noise)


def _suture(head: Head, unit: tuple[Values, Values, Values], inner: Values, outer: Values, noise: Values) -> Values:
    """Share of suture: a jagged line through the outer table and the diploe, straight through the inner table."""
    cranium = head.body.cranium
    x, y, z = unit
    away = suture_mm(x, y, z)
    near = np.flatnonzero(away < 6)
    share = np.zeros(len(x), np.float32)
    x, y, z = x[near], y[near], z[near]
    a, b = (np.float32(p) for p in cranium.phases[4:6])
    along = np.float32(85) * (x + np.where(x < 0.08, y, np.float32(0.4) * z))
    jag = _teeth(along / np.float32(4.6) + a) * 1.5 + _teeth(along / np.float32(1.9) + b) * 0.8 + noise[near] * 0.7
    # Suture teeth interlock in the outer table alone.
    jag *= np.clip(inner[near] / np.maximum(inner[near] + outer[near], np.float32(1)) * 1.6 - 0.2, 0.1, 1)
    off = np.abs(away[near] - np.abs(jag))
    wide = np.float32(0.25 + 0.4 * cranium.suture)
    share[near] = ramp(wide - off, 0.9) * np.float32(0.85 * cranium.suture)
    return share


def _teeth(phase: Values) -> Values:
    """A triangle wave between -1 and 1."""
    return np.abs(phase % 2 - 1) * 2 - 1

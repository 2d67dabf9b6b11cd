"""Air outside the brain: sinuses, nose, pharynx, middle ear, mastoid cells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.head import Head
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import S, members
from molre.phantom.tissue import AIR, T

WALL_HU = 650.0
MUCOSA_HU = 42.0
CARTILAGE_HU = 110.0


def fill_air(head: Head, index: np.ndarray, hollow: Float32[np.ndarray, "m"], facial: Float32[np.ndarray, "m"]) -> None:
    """Lay out air among voxels that may hold some, given the depth in the largest spaces and in bone."""
    _mastoid(head, index, facial)
    near = hollow > -1.0
    index, hollow = index[near], hollow[near]
    structure = head.structure[index]
    depth = hollow - _smaller(head, index, structure)
    wall = np.full(len(index), -9, np.float32)
    for name, distance in (("ethmoid", _ethmoid), ("frontal", _frontal), ("sphenoid", _sphenoid), ("nasal", _septum)):
        part = np.flatnonzero(structure == S[name])
        wall[part] = distance(head, index[part])
    nose = structure == S["nasal"]
    solid = (hollow > 0) & members("frontal", "maxillary", "ethmoid", "sphenoid").take(structure)
    filled = index[solid]
    head.hu[filled], head.tissue[filled], head.bone[filled] = WALL_HU - 100, T["bone"], True
    share = ramp(np.minimum(depth, -wall), 0.9)
    _septal_soft(head, index, nose, wall)
    head.hu[index] += (np.float32(AIR) - head.hu[index]) * share
    airy = index[share > 0.5]
    head.tissue[airy], head.bone[airy] = T["air_space"], False
    firm = index[(share <= 0.5) & solid]
    head.structure[firm] = S["face_bone"]


def _smaller(head: Head, index: np.ndarray, structure: np.ndarray) -> Float32[np.ndarray, "m"]:
    """By how much each space is smaller than the largest."""
    left = head.x[index] > 0
    found = np.zeros(len(index), np.float32)
    cranium = head.body.cranium
    sizes = {"frontal": cranium.frontal_mm, "maxillary": cranium.maxillary_mm, "sphenoid": cranium.sphenoid_mm,
             "nasal": cranium.nose_mm, "mucosa": cranium.nose_mm}  # fmt: skip
    for name, (first, second) in sizes.items():
        found = np.where(structure == S[name], np.where(left, np.float32(first), np.float32(second)), found)
    uneven = np.where(structure == S["frontal"], np.float32(1.1), np.float32(0.25))
    return found + uneven * head.noise[index]


def _ethmoid(head: Head, index: np.ndarray) -> Float32[np.ndarray, "m"]:
    """Depth in the walls of the ethmoid cells: two rows of cells of 5-9 mm, another pattern on each side."""
    x, y, z, noise = head.x[index], head.y[index], head.z[index], head.noise[index]
    phase = np.where(x > 0, np.float32(head.body.cranium.phases[0]), np.float32(head.body.cranium.phases[1]))
    row = np.abs(x) > np.float32(6.2) + noise
    along = (
        y + np.where(row, np.float32(3.1), np.float32(0)) + 1.2 * np.sin(z / np.float32(5)) + 1.8 * noise + 3 * phase
    )
    across = np.abs(np.abs(along % np.float32(10.4) - np.float32(5.2)) - np.float32(5.2))
    shelf = np.abs((z + phase + np.float32(0.25) * y) % np.float32(14) - 7)
    lengthwise = np.abs(np.abs(x) - np.float32(6.2) - noise)
    return np.float32(0.22) - np.minimum(np.minimum(across, shelf), lengthwise)


def _frontal(head: Head, index: np.ndarray) -> Float32[np.ndarray, "m"]:
    off = head.body.cranium.septum_mm[1] * 0.8
    return np.float32(0.7) - np.abs(head.x[index] - np.float32(off) + np.float32(0.15) * (head.z[index] + 18))


def _sphenoid(head: Head, index: np.ndarray) -> Float32[np.ndarray, "m"]:
    off = head.body.cranium.septum_mm[1]
    bent = np.float32(off) * np.clip((head.y[index] + 44) / 16, 0, 1)
    return np.float32(0.55) - np.abs(head.x[index] - bent)


def _septum(head: Head, index: np.ndarray) -> Float32[np.ndarray, "m"]:
    """Depth in the nasal septum with its mucosa, bent by its own deviation."""
    y, z = head.y[index], head.z[index]
    bend = np.sin((y + 96) / np.float32(19)) * np.exp(-(((z + 68) / np.float32(16)) ** 2))
    off = np.float32(head.body.cranium.septum_mm[0]) * bend
    return np.float32(1.7) - np.abs(head.x[index] - off)


def _septal_soft(head: Head, index: np.ndarray, nose: np.ndarray, wall: Float32[np.ndarray, "m"]) -> None:
    """Mucosa of the septum with cartilage in front and bone behind within it."""
    part = np.flatnonzero(nose & (wall > -0.6))
    there, depth = index[part], wall[part]
    core = np.where(head.y[there] > -84 + 4 * head.noise[there], np.float32(WALL_HU), np.float32(CARTILAGE_HU))
    head.hu[there] = np.float32(MUCOSA_HU) + (core - np.float32(MUCOSA_HU)) * ramp(depth - np.float32(1.2), 1.0)
    head.tissue[there] = T["muscle"]
    head.structure[there[depth > 0]] = S["mucosa"]


def _mastoid(head: Head, index: np.ndarray, facial: Float32[np.ndarray, "m"]) -> None:
    """A honeycomb of cells under a cortex, as far as the mastoid is pneumatised."""
    part = np.flatnonzero(head.structure[index] == S["mastoid_air"])
    there, depth = index[part], facial[part]
    x, y, z, noise = head.x[there], head.y[there], head.z[there], head.noise[there]
    cranium = head.body.cranium
    left = x > 0
    full = np.where(left, np.float32(cranium.mastoid[0]), np.float32(cranium.mastoid[1]))
    first, second = (np.where(left, np.float32(cranium.phases[i]), np.float32(cranium.phases[i + 2])) for i in (2, 3))
    pitch = np.float32(1.25) - np.float32(0.03) * np.clip(-z - 48, 0, 14)
    u, v, w = (pitch * a + p + np.float32(1.2) * noise for a, p in ((x, first), (y, second), (z, first + second)))
    # The gyroid: a sponge of cells that all join up.
    cell = np.sin(u) * np.cos(v) + np.sin(v) * np.cos(w) + np.sin(w) * np.cos(u)
    reach = np.minimum(depth - np.float32(1.1), (full - np.float32(0.45)) * 9 - np.hypot(y - 24, z + 46) * 0.22 + 5.0)
    share = ramp(np.minimum(cell - np.float32(0.1) + np.float32(0.55) * full, reach), 0.9)
    share *= np.float32(0.97)
    head.hu[there] += (np.float32(AIR) - head.hu[there]) * share
    airy = share > 0.5
    head.tissue[there[airy]], head.bone[there[airy]] = T["air_space"], False
    head.structure[there[~airy]] = S["petrous"]

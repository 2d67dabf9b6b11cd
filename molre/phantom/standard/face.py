"""The standard face: its bones, the orbits and the sinuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, tube, union
from molre.phantom.standard.neck import flesh, mandible, vertebrae
from molre.phantom.standard.orbit import orbit, wall_mm
from molre.phantom.standard.solids import Rod, Solids
from molre.phantom.standard.structures import S
from molre.phantom.standard.temporal import canals, mastoid_cells, temporal_air, temporal_bone

ZYGOMA = (
    ((50, -72, -24, 3.8), (51, -71, -36, 2.4), (50.5, -71, -50, 2.8), (50, -71, -58, 4.6)),
    ((50, -71, -58, 5.6), (47, -71, -66, 4.6), (40, -70, -80, 3.4)),
    (
        (50, -72, -58, 4.6),
        (60, -62, -60, 3.2),
        (68, -45, -61, 2.2),
        (71, -28, -60, 2.0),
        (69, -12, -58, 2.4),
        (65, 0, -56, 3.2),
    ),
)
"""Frontal process, body, arch."""
NASAL_BONE = (
    ((0.5, -97, -33), (0.5, -9, -18), (6.5, 5, -2), 0.9),
    ((7.5, -92.5, -36), (8, 4, -44), (4, 5, -3), 1.0),
    ((0, -96, -31), (10, 4, 0), (0, 3, -6), 2.4),
)
"""Nasal bone, frontal process of the maxilla, nasion: corner, two edges and half the thickness of plates."""
WINGS = (
    ((26, -40, -46, 2.2), (40, -42, -48, 2.0), (54, -40, -40, 1.8)),
    ((12, -27, -27, 2.0), (22, -40, -25, 2.0), (36, -47, -22, 2.2), (52, -48, -16, 2.4)),
)
"""Greater and lesser wings of the sphenoid."""


def maxillary(at: Coordinates) -> Field:
    """Distance to the wall of the maxillary antrum: a pyramid with its base at the nose."""
    x, y, z = at
    sides: list[Field] = [
        x - np.float32(17.5) - np.float32(0.10) * (z + 70),
        np.float32(0.46) * (20 - x) + np.float32(0.888) * (y + 84),
        np.float32(-0.76) * (x - 46.5) - np.float32(0.65) * (y + 69),
        np.float32(-0.94) * (z + 57.5) - np.float32(0.2) * (x - 30) + np.float32(0.2) * (y + 60),
        np.float32(0.93) * (z + 90) - np.float32(0.36) * (x - 26),
        -y - np.float32(45.5),
    ]
    outside: Field = -sides[0]
    for side in sides[1:]:
        outside = union(outside, -side, 4.0)
    return -outside


def nasal(at: Coordinates) -> Field:
    """Distance to the wall of the nasal cavity down to the palate, from the nostrils to the choanae."""
    x, y, z = at
    wide = 14.5 - 8 * np.clip((z + 62) / 26, 0, 1) - 8 * np.clip((-y - 80) / 18, 0, 1)
    roof = -33 - z - np.float32(0.8) * np.maximum(-y - 84, 0)
    front = np.float32(0.85) * (y + 97) - np.float32(0.42) * (z + 52)
    nostril = np.maximum(front, np.float32(10) - np.hypot(y + 101, z + 80))
    walls = np.minimum(np.minimum(wide - x, nostril), np.minimum(roof, z + 89))
    return np.minimum(walls, -30 - y).astype(np.float32)


def pharynx(at: Coordinates) -> Field:
    """The nasopharynx and what is below it."""
    air = tube(at, ((0, -33, -70, 10), (0, -26, -66, 8), (0, -20, -74, 7), (0, -18, -112, 8)))
    return np.maximum(air, capsule(at, (6, -17, -69), (13, -13, -69), 2.2))


def frontal(at: Coordinates, cavity: Field) -> Field:
    """The frontal sinus at its largest: between the tables above the brow."""
    x = at[0]
    lobes = 1.3 * np.cos(x / np.float32(3.6))
    space = ellipsoid(at, (8, -93.5, -18), (22, 5.2, 13), 2.3) + lobes
    deep = capsule(at, (3.5, -88, -36), (6, -93, -26), 3.5, 4)
    return np.minimum(np.maximum(space, deep), -cavity - np.float32(2.2))


def turbinates(at: Coordinates) -> Field:
    """Distance into the mucosa of the turbinates and of the cavity's lining."""
    return np.maximum.reduce([
        tube(at, ((8, -86, -77, 3.4), (8.8, -70, -78, 5.0), (8.8, -44, -77, 4.4))),
        tube(at, ((10.5, -84, -72, 2.2), (11, -60, -72, 3.2), (11, -44, -72, 3.0))),
        tube(at, ((6.4, -82, -62, 2.8), (7.8, -66, -66, 4.2), (7.8, -42, -66, 3.8))),
        tube(at, ((6.2, -80, -57, 2.6), (6.8, -66, -58, 3.5), (6.5, -42, -58, 3.2))),
        tube(at, ((5.0, -60, -50, 1.8), (5, -44, -52, 2.2))),
    ])  # fmt: skip


def face(at: Coordinates, structure: UInt8[np.ndarray, "z y x"], cavity: Field, skin: Field) -> dict[str, Field]:
    """Lay out all outside the skull's cavity.

    Returns:
        Distances in mm: ``facial`` inside the bones of face, skull base and neck, ``hollow`` inside spaces that hold
        air, ``flesh`` inside muscle and glands.
    """
    outside = cavity < 0
    eye = orbit(at)
    air, spaces = _air(at, cavity, eye)
    bone, parts = _bones(at, eye, air, spaces)
    muscle, glands = flesh(at, skin, cavity)
    muscle = np.maximum(muscle, glands)
    muscle = np.maximum(muscle, np.minimum(_walls_of_air(spaces), skin - 2))
    hollow = np.minimum(air.field, -cavity - np.float32(0.4))
    conchae = (spaces["nasal"] > -2) & (spaces["pharynx"] < 0)
    hollow = np.where(conchae, np.minimum(hollow, -turbinates(at)), hollow)
    facial = np.minimum(np.minimum(bone.field, -hollow), -cavity)
    facial = np.where(eye > 0, np.minimum(facial, -eye), facial)
    structure[outside & (muscle > 0)] = S["muscle"]
    structure[outside & (glands > 0) & (glands >= muscle)] = S["gland"]
    structure[outside & (eye > 0)] = S["orbit_fat"]
    for name, part in parts.items():
        structure[outside & (facial > -0.4) & (part > -1)] = S[name]
    for name, space in spaces.items():
        structure[outside & (space > -0.6) & (hollow > -0.8)] = S[name]
    structure[outside & (mastoid_cells(at) > 0) & (facial > -1)] = S["mastoid_air"]
    structure[outside & (spaces["nasal"] > 0) & (hollow < 0)] = S["mucosa"]
    structure[outside & (canals(at) > -0.3)] = S["foramen"]
    return {"facial": facial, "hollow": hollow, "flesh": np.where(eye > -0.5, np.minimum(muscle, -eye), muscle)}


def _walls_of_air(spaces: dict[str, Field]) -> Field:
    """Soft tissue about pharynx and nose, which have muscle and mucosa for walls where they have no bone."""
    return np.maximum(spaces["pharynx"] + np.float32(5), spaces["nasal"] + np.float32(2.0))


def _air(at: Coordinates, cavity: Field, eye: Field) -> tuple[Solids, dict[str, Field]]:
    x = at[0]
    ear = Solids(at)
    temporal_air(ear)
    cells = ellipsoid(at, (6.5, -66, -41), (7.2, 23, 12), 4)
    cells = np.minimum(np.maximum(cells, ellipsoid(at, (9, -52, -46), (6, 10, 8), 3)), x - np.float32(1.6))
    ball = ellipsoid(at, (7.5, -29, -43), (8.5, 14, 10), 2.8)
    ball = np.maximum(ball, ellipsoid(at, (12, -26, -47), (6, 9, 5), 2.4))
    spaces = {
        "frontal": frontal(at, cavity),
        "maxillary": np.minimum(maxillary(at), -eye - np.float32(0.8)),
        "ethmoid": np.minimum(np.minimum(cells, -eye - np.float32(0.7)), -cavity - np.float32(0.9)),
        "sphenoid": np.minimum(ball, -cavity - np.float32(1.2)),
        "nasal": nasal(at),
        "pharynx": pharynx(at),
        "ear_air": ear.field,
    }
    spaces["nasal"] = np.minimum(spaces["nasal"], -cells - np.float32(0.8))
    air = Solids(at)
    air.field = np.maximum.reduce(list(spaces.values()))
    return air, spaces


def _bones(at: Coordinates, eye: Field, air: Solids, spaces: dict[str, Field]) -> tuple[Solids, dict[str, Field]]:
    """All bones, and by name the distance into each group of them, in order of precedence."""
    parts = {}
    for name, build in _PARTS.items():
        solid = Solids(at, blend_mm=2.0)
        build(solid)
        parts[name] = solid.field
    parts["orbital_wall"] = np.where(eye < 6, eye + wall_mm(at), -14).astype(np.float32)
    walls = (("maxillary", 0.8), ("ethmoid", 0.6), ("sphenoid", 1.2), ("frontal", 2.4))
    nose = np.float32(0.6) - np.abs(spaces["nasal"])
    shells = [parts["face_bone"], nose, *(spaces[name] + np.float32(w) for name, w in walls)]
    parts["face_bone"] = np.maximum.reduce(shells)
    # Nose and mouth have no bone in front.
    opening = (at[1] < -92) & (at[2] < -52) & (parts["nasal_bone"] < 0)
    parts["face_bone"] = np.where(opening, -14, parts["face_bone"])
    parts["orbital_wall"] = np.minimum(parts["orbital_wall"], at[1] + np.float32(94.0) - np.float32(0.42) * at[0])
    bone = Solids(at)
    for part in parts.values():
        bone.field = union(bone.field, part, 1.6)
    return bone, parts


def _middle(bone: Solids) -> None:
    """Wings and plates of the sphenoid, septum, palate and teeth."""
    for wing in WINGS:
        bone.tube(wing)
    bone.ellipsoid((20, -37, -50), (6, 4.5, 9))
    bone.plate((22, -41, -27), (20, -18, 0), (0, 0, -26), 1.3)
    bone.plate((39, -57, -26), (9, -11, 0), (0, 0, -28), 1.9)
    bone.plate((18, -42, -56), (9, 8, -1), (2, 3, -34), 0.8)
    bone.plate((15, -41, -56), (-1, 10, 0), (-1, 0, -34), 0.7)
    bone.plate((0, -92, -90), (18, 0, 0), (0, 46, 0), 1.8)
    bone.tube(((2, -98, -94, 4.5), (14, -92, -94, 5), (23, -76, -94, 5.5), (26, -54, -93, 5.5)))
    bone.tube(((5, -88, -30, 3.5), (14, -93, -23, 4), (30, -92, -19, 4.5), (44, -82, -19, 4.5), (51, -72, -24, 4.2)))
    bone.plate((9.5, -80, -78), (0, 32, 0), (2, 0, 3), 0.6)
    bone.plate((7.5, -76, -61), (0, 28, 0), (1, 0, -4), 0.5)


def _nose(bone: Solids) -> None:
    for corner, along, across, half_mm in NASAL_BONE:
        bone.plate(corner, along, across, half_mm)


def _each(tubes: Sequence[Rod]) -> Callable[[Solids], None]:
    def build(bone: Solids) -> None:
        for one in tubes:
            bone.tube(one)

    return build


_PARTS = {
    "face_bone": _middle,
    "petrous": temporal_bone,
    "zygoma": _each(ZYGOMA),
    "nasal_bone": _nose,
    "mandible": mandible,
    "vertebra": vertebrae,
}

"""Openings of the vault: flaps, defects, holes, and what closes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from molre.phantom.head import Head
from molre.phantom.lesions.mass import Index
from molre.phantom.lesions.vault import Chart, chart, thickness_mm
from molre.phantom.operation import Operation
from molre.phantom.shapes import Point, ramp
from molre.phantom.table import entries

METAL_HU = 3071.0
"""Titanium and steel saturate the 12-bit scale of CT."""
PARTIAL_HU = 95.0
"""Soft tissue measures less: such a voxel holds bone."""
FLAP, DEFECT = "craniotomy_or_cranioplasty", "craniectomy_or_burr_hole"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """Voxels of the vault about an opening.

    Attributes:
        chart: where they lie on the vault.
        u, v: mm along the opening's own axes.
        half: half width and half height, mm.
        edge: distance inside the edge, mm, negative outside.
        above: height above the outer table, mm.
        bone: share that is bone.
    """

    chart: Chart
    u: Float32[np.ndarray, "m"]
    v: Float32[np.ndarray, "m"]
    half: tuple[float, float]
    edge: Float32[np.ndarray, "m"]
    above: Float32[np.ndarray, "m"]
    bone: Float32[np.ndarray, "m"]

    def corner(self, angle: float) -> tuple[float, float]:
        """The point of the edge in a direction."""
        c, s = float(np.cos(angle)), float(np.sin(angle))
        reach = (abs(c / self.half[0]) ** 3 + abs(s / self.half[1]) ** 3) ** (-1 / 3)
        return reach * c, reach * s


def outline(head: Head, operation: Operation, size_mm: float, low_mm: float = -16.0, high_mm: float = 2.0) -> Outline:
    """The vault about an opening of half a width."""
    half = (size_mm, size_mm * operation.tall)
    place = chart(head, operation.towards, 1.45 * max(half) + 9, low_mm, high_mm)
    c, s = float(np.cos(operation.turn_rad)), float(np.sin(operation.turn_rad))
    u, v = place.u * c + place.v * s, place.v * c - place.u * s
    bend = np.float32(1) + 0.05 * np.sin(3 * np.arctan2(v, u) + operation.seed % 6)
    ratio = np.cbrt(np.abs(u / half[0]) ** 3 + np.abs(v / half[1]) ** 3) * bend
    return Outline(
        chart=place,
        u=u,
        v=v,
        half=half,
        edge=((1 - ratio) * min(half)).astype(np.float32),
        above=-place.depth - thickness_mm(head, place.index),
        bone=vault_bone(head, place.index),
    )


def vault_bone(head: Head, index: Index) -> Float32[np.ndarray, "m"]:
    """1 in bone of the vault, and in voxels that it fills in part; what it shares with the orbits is left out."""
    _, y, z = head.still
    bone = head.bone[index] | ((head.hu[index] > PARTIAL_HU) & (head.skin[index] > 2.5))
    bone &= (head.inner[index] < 1.5) & ((z[index] > -16) | (y[index] > -36))
    return bone.astype(np.float32)


def flap(head: Head, operation: Operation, size_mm: float, kind: str, severity: float, hu: float) -> None:
    """A piece of vault cut out and put back, or replaced."""
    rng, keys = np.random.default_rng(operation.seed), [FLAP]
    at = outline(head, operation, size_mm)
    index, where = at.chart.index, at.edge > -9
    healed = kind == "healed_flap"
    gap = (0.5 + 0.5 * severity) * float(rng.uniform(0.8, 1.3)) * (0.7 if healed else 1.0)
    cut = np.float32(gap) - np.abs(at.edge)
    if healed:
        # Bone bridges parts of an old gap.
        cut = np.minimum(cut, np.float32(1.1) - head.noise[index])
    if kind == "bone_cement":
        head.paint(index, ramp(at.edge) * at.bone, hu + 12 * head.noise[index], "device", keys)
    elif kind == "titanium_mesh":
        _mesh(head, at)
    head.paint(index, ramp(cut, 0.8) * at.bone * where, 190.0 if healed else 35.0, "muscle", keys)
    corners = [at.corner(a + float(rng.normal(0, 0.15))) for a in (0.8, 2.4, 3.9, 5.5)[: int(rng.integers(2, 5))]]
    for u, v in corners:
        hole = np.float32(rng.uniform(4.5, 6.5)) - np.hypot(at.u - u, at.v - v)
        head.paint(index, ramp(hole) * at.bone, 40.0, "muscle", keys)
    if not healed or rng.random() < 0.4:
        for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))):
            _plate(head, at, float(angle))


def _plate(head: Head, at: Outline, angle: float) -> None:
    """A small plate of titanium across the gap, with a screw at each end."""
    u, v = at.corner(angle)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    across, along = (at.u - u) * c + (at.v - v) * s, (at.v - v) * c - (at.u - u) * s
    waist = np.float32(1.3) + np.clip(np.abs(across) - 3, 0, 1.4)
    plate = np.minimum(np.minimum(7 - np.abs(across), waist - np.abs(along)), 0.65 - np.abs(at.above - 0.4))
    screw = 0.9 - np.hypot(np.abs(across) - 5, along)
    screw = np.minimum(screw, np.minimum(at.above + 4, 1.2 - at.above))
    both = np.maximum(plate, screw).astype(np.float32)
    head.paint(at.chart.index, ramp(both, 0.8), METAL_HU, "metal", [FLAP])


def _mesh(head: Head, at: Outline) -> None:
    """A sheet of titanium with holes in place of bone."""
    index = at.chart.index
    head.paint(index, ramp(at.edge) * at.bone, 42.0, "muscle", [FLAP])
    head.bone[index[(at.edge > 0) & (at.bone > 0)]] = False
    web = np.float32(1.7) - np.minimum(np.abs(np.mod(at.u, 5) - 2.5), np.abs(np.mod(at.v, 5) - 2.5))
    web = np.maximum(web - np.float32(1.0), 0.6 - np.abs(at.edge + 4))
    sheet = np.minimum(np.minimum(web, at.edge + 5), 0.6 - np.abs(at.above + 0.2)).astype(np.float32)
    head.paint(index, ramp(sheet, 0.8), METAL_HU, "metal", [FLAP])


def ensure_opening(head: Head, fresh: bool) -> None:
    """Draw a flap over an operation if no other finding of the study opens the vault there."""
    operation = head.body.operation
    if not operation.planned:
        operation.planned = True
        head.body.claims.add(FLAP)
        hu = float(np.mean(entries()[FLAP].hu))
        flap(head, operation, operation.size_mm, "plated_flap" if fresh else "healed_flap", 0.7, hu)


def hole(head: Head, towards: Point, radius_mm: float, keys: list[str], hu: float = 38.0) -> None:
    """A round hole through both tables."""
    at = chart(head, towards, radius_mm + 4)
    depth = np.float32(radius_mm) - np.hypot(at.u, at.v)
    bone = vault_bone(head, at.index)
    head.paint(at.index, ramp(depth) * bone, hu, "muscle", keys)
    head.bone[at.index[(bone > 0) & (depth > 0)]] = False

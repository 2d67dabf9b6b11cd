"""The ways in which lesions move tissue, each of which a body may hold several of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from molre.phantom.shapes import Number, Point
from molre.phantom.template import CENTRE_MM
from molre.phantom.vault import Points, Values, polar, vault_mm


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """A swelling ball, or with a negative share a shrinking one.

    Attributes:
        centre: of the tissue that swells, mm.
        radius_mm: of the ball in the scan.
        share: part of its volume that displaces tissue; below 0, volume that was lost.
    """

    centre: Point
    radius_mm: Number
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Slide:
    """Tissue about a point that has moved along a vector.

    Attributes:
        centre: of the tissue before it moved, mm.
        vector_mm: how far it moved.
        radius_mm: distance at which 60 % of the motion is left.
    """

    centre: Point
    vector_mm: Point
    radius_mm: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What lies between the vault and the brain: a crescent or a lens.

    Attributes:
        towards: direction of its thickest part from the middle of the brain.
        reach_rad: half its angular width to the front, the back, the vertex and the base.
        thickness_mm: greatest thickness.
        power: 2 for a lens, 3 and more for a crescent.
        side: sign of x of the hemisphere whose falx bounds it; 0 where it may cross the midline.
        ripple: uneven thickness: share of the thickness, waves a radian, phase.
        above: lies above the tentorium and the skull base; else beneath the tentorium.
    """

    towards: Point
    reach_rad: tuple[Number, Number, Number, Number]
    thickness_mm: Number
    power: float = 3.0
    side: int = 0
    ripple: tuple[Number, Number, Number] = (0.0, 0.0, 0.0)
    above: bool = True

    def thickness(self, unit: Points, vault: Values) -> Values:
        """Thickness in mm along directions in which the vault is so far away."""
        main = np.array(self.towards, np.float32) / np.float32(np.linalg.norm(self.towards))
        back = np.array((-main[0] * main[1], 1 - main[1] ** 2, -main[2] * main[1]), np.float32)
        back /= np.linalg.norm(back)
        up = np.cross(main, back)
        up *= np.float32(1 if up[2] >= 0 else -1)
        cosine, along, high = (np.einsum("c,cn->n", axis.astype(np.float32), unit) for axis in (main, back, up))
        stretch = np.arccos(np.clip(cosine, -1, 1)) / np.maximum(np.hypot(along, high), np.float32(1e-3))
        along, high = along * stretch, high * stretch
        front, rear, top, base = (np.float32(1 / reach) for reach in self.reach_rad)
        out = np.hypot(along * np.where(along < 0, front, rear), high * np.where(high > 0, top, base))
        profile = 1 - np.minimum(out, 1) ** np.float32(self.power)
        share, waves, phase = (np.float32(value) for value in self.ripple)
        profile *= 1 + share * np.sin(waves * along + phase) * np.cos(waves * np.float32(0.8) * high + phase * 2)
        return (np.float32(self.thickness_mm) * profile * self._bounds(unit, vault)).astype(np.float32)

    def _bounds(self, unit: Points, vault: Values) -> Values:
        """Falls to zero towards the falx, the tentorium and the skull base."""
        x, y, z = (unit[axis] * vault + np.float32(CENTRE_MM[axis]) for axis in range(3))
        tentorium = np.clip((y - 5) / 40, 0, 1)
        floor = np.float32(-26) + 20 * tentorium
        if self.above:
            share = np.clip((z - floor) / 9, 0, 1)
        else:
            share = np.clip((floor - 4 - z) / 7, 0, 1) * np.clip((z + 58) / 8, 0, 1) * np.clip(y / 20, 0, 1)
        if self.side:
            share = share * np.clip((x * self.side - 1) / 9, 0, 1)
        return share


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """What lies beside the falx.

    Attributes:
        side: sign of x of the hemisphere that has receded.
        thickness_mm: greatest thickness.
        front_mm: y of its front end.
        back_mm: y of its back end.
    """

    side: int
    thickness_mm: Number
    front_mm: float
    back_mm: float

    def thickness(self, points: Points) -> Values:
        """Thickness in mm at points of the falx; nothing below its free edge."""
        _, y, z = points
        middle, half = (self.front_mm + self.back_mm) / 2, (self.back_mm - self.front_mm) / 2
        profile = 1 - np.clip(np.abs(y - np.float32(middle)) / np.float32(half), 0, 1) ** 3
        edge = np.hypot((y - 2) / np.float32(1.35), z + 4) - 31
        free = np.where((y < -14) | (z > -6), np.clip(edge / 6, 0, 1), 0) * np.clip((z + 14) / 8, 0, 1)
        return (np.float32(self.thickness_mm) * profile * free).astype(np.float32)


def total_thickness(layers: list[Layer], unit: Points, vault: Values) -> Values:
    """Thickness of several layers together, at most half the way to the middle."""
    total: Float32[np.ndarray, "n"] = np.zeros(unit.shape[1], np.float32)
    for layer in layers:
        total += layer.thickness(unit, vault)
    return np.minimum(total, np.float32(0.45) * vault)


def depth_in(layer: Layer, points: Points) -> Values:
    """Depth in mm of points of the head in a layer, from the brain's side: negative where brain is."""
    unit, radius = polar(points)
    vault = vault_mm(unit)
    return radius - vault + layer.thickness(unit, vault)

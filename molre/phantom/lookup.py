"""What the standard head holds at given points."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32, Shaped

from molre.phantom.template import AZIMUTH, CODINGS, LOW_MM, POLAR, SHAPE, STEP_MM, template

_FIELDS = {"structure", "direction", "near"}


class Samples:
    """The standard head at points: ``samples["skull"]`` and the like.

    Distances (names of ``template.CODINGS``) are in mm, interpolated to first order from the nearest sample: value
    plus slope times offset. ``structure`` and ``near`` are those of the nearest sample, ``direction`` counts both
    hemispheres.
    """

    def __init__(self, points: tuple[np.ndarray, ...] | np.ndarray) -> None:
        self.points = points
        self.index = _flat_index(*points)
        self._offset: tuple[np.ndarray, ...] = ()

    def __getitem__(self, name: str) -> np.ndarray:
        if name in _FIELDS:
            found = getattr(template(), name).take(self.index)
            return found if name != "direction" else found + (self.points[0] < 0) * np.int32(POLAR * AZIMUTH)
        return self._distance(name)

    def coarse(self, name: str) -> Float32[np.ndarray, "*points"]:
        """A distance in mm at the nearest sample, for a quick look at what lies about."""
        coding = CODINGS[name]
        held = template().distances[name].view(coding.kind)[::4].take(self.index)
        return held * np.float32(1 / coding.steps) + np.float32(coding.middle_mm)

    def subset(self, where: np.ndarray) -> Samples:
        """The same at some of the points."""
        part = Samples.__new__(Samples)
        part.points = tuple(a.reshape(-1)[where] for a in self.points)
        part.index = self.index.reshape(-1)[where]
        part._offset = ()
        return part

    def slope(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slope of a distance along (x, y, z) at the nearest sample."""
        rows = self._rows(name)
        dx, dy, dz = (rows[..., 1 + axis] * np.float32(1 / CODINGS[name].slope_steps) for axis in range(3))
        return np.copysign(dx, dx * self.points[0]), dy, dz

    def _rows(self, name: str) -> Shaped[np.ndarray, "*points 4"]:
        found = template().distances[name].take(self.index)
        return found.view(CODINGS[name].kind).reshape(*found.shape, 4)

    def _distance(self, name: str) -> Float32[np.ndarray, "*points"]:
        coding, rows = CODINGS[name], self._rows(name)
        value = np.full(self.index.shape, coding.middle_mm, np.float32)
        for axis, offset in enumerate(self._offsets()):
            value += rows[..., 1 + axis] * (offset * np.float32(1 / coding.slope_steps))
        value += rows[..., 0] * np.float32(1 / coding.steps)
        return value

    def _offsets(self) -> tuple[np.ndarray, ...]:
        """Way in mm from the nearest sample along (|x|, y, z); beyond the grid's edge the outermost sample holds."""
        if not self._offset:
            self._offset = tuple(_offset(a, low) for a, low in zip(self.points, LOW_MM, strict=True))
        return self._offset


def _offset(a: np.ndarray, low_mm: float) -> Float32[np.ndarray, "*points"]:
    along = (np.abs(a) if low_mm == 0 else a) * np.float32(1 / STEP_MM) + np.float32(0.5 - low_mm / STEP_MM)
    along -= np.floor(along) + np.float32(0.5)
    return np.asarray(along * np.float32(STEP_MM), np.float32)


def _flat_index(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Int32[np.ndarray, "*points"]:
    index = np.zeros(np.shape(x), np.int32)
    for axis, low, count in ((z, LOW_MM[2], SHAPE[0]), (y, LOW_MM[1], SHAPE[1]), (np.abs(x), LOW_MM[0], SHAPE[2])):
        position = (axis * np.float32(1 / STEP_MM) + np.float32(0.5 - low / STEP_MM)).astype(np.int32)
        np.clip(position, 0, count - 1, out=position)
        index *= count
        index += position
    return index


def lookup(head: tuple[np.ndarray, ...] | np.ndarray) -> Samples:
    """The standard head at points (x, y, z)."""
    return Samples(head)

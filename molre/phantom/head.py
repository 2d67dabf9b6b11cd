"""The voxels of one head under construction: what anatomy fills in and lesions paint over."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from molre.phantom.body import Body
from molre.phantom.displacement import displace, displaces, settle
from molre.phantom.geometry import Geometry, mesh, refine
from molre.phantom.lookup import Samples, lookup
from molre.phantom.pose import Pose, to_head
from molre.phantom.shapes import Number, Point
from molre.phantom.standard.structures import S, members
from molre.phantom.swelling import swell
from molre.phantom.tissue import AIR, T

Where = Bool[np.ndarray, "n"]
FAR_MM = -23.0
"""Distance from ventricles and cisterns of what lies outside the skull."""


class Head:
    """Voxels inside the skin of all fine slices, as one-dimensional arrays.

    Attributes:
        x, y, z: standard-head coordinates of the tissue in each voxel, mm: where it was before anything pushed it.
        still: standard-head coordinates of each voxel itself, for what lies against the skull.
        skull: depth of the tissue below the inner table, mm, positive inside the skull's cavity.
        inner: depth of the voxel itself below the inner table, mm; where it is positive and ``skull`` is not, the
            brain has receded.
        skin: depth below the skin, mm, up to 27; voxels that the skin cuts lie down to 1.2 mm outside of it.
        facial: depth inside the bones of the face, mm.
        inside: voxels within the inner table.
        brain: the standard head at the tissue in these.
        ventricle, cistern: depth inside the undilated ventricles and cisterns, mm, negative outside.
        structure: position in ``structures.STRUCTURES``.
        noise: smooth noise of unit deviation that makes outlines irregular.
        direction: position in the per-direction maps of ``Body``.
        shape: fine slices, rows, columns.
        fine: fine slices averaged into an acquired one.
        where: flat position of each voxel in ``shape``.
        hu: Hounsfield units, being painted.
        tissue: position in ``tissue.TISSUES``, being painted.
        ventricular, bone: where anatomy has put ventricles and bone.
    """

    def __init__(self, geometry: Geometry, pose: Pose, body: Body) -> None:
        pixels = _pixels(to_head(pose, mesh(geometry)), geometry)
        self.shape = pixels[0].shape
        self.fine = geometry.fine
        fixed = (pixels[0].reshape(-1), pixels[1].reshape(-1), pixels[2].reshape(-1))
        lifted = swell(fixed, body.swellings, body.skull_mm, body.bone)
        samples = lookup(lifted)
        self.where = np.flatnonzero(samples["near"])
        samples = samples.subset(self.where)
        self.still = (fixed[0][self.where], fixed[1][self.where], fixed[2][self.where])
        self.x, self.y, self.z = samples.points
        self.skin, self.skull, self.facial = samples["skin"], samples["skull"], samples["facial"]
        self.structure: UInt8[np.ndarray, "n"] = samples["structure"]
        self.direction = samples["direction"]
        self.inner = lookup(self.still)["skull"] if body.swellings else self.skull
        self.inside = np.flatnonzero(self.inner > 0)
        settle(body)
        self.brain = self._moved(body) if displaces(body) else samples.subset(self.inside)
        self._take_brain()
        self.noise = body.texture.at((self.x, self.y, self.z))
        self.body = body
        self.hu: Float32[np.ndarray, "n"] = np.full(len(self.where), AIR, np.float32)
        self.tissue = np.full(len(self.where), T["air"], np.uint8)
        self.ventricular: Where = np.zeros(len(self.where), bool)
        self.bone: Where = np.zeros(len(self.where), bool)
        self.marks: dict[str, list[np.ndarray]] = {}

    still: tuple[Float32[np.ndarray, "n"], Float32[np.ndarray, "n"], Float32[np.ndarray, "n"]]
    x: Float32[np.ndarray, "n"]
    y: Float32[np.ndarray, "n"]
    z: Float32[np.ndarray, "n"]
    ventricle: Float32[np.ndarray, "n"]
    cistern: Float32[np.ndarray, "n"]

    def _moved(self, body: Body) -> Samples:
        """What lies inside the skull where it has moved; skull and all outside stay."""
        source = displace(np.stack([a[self.inside] for a in self.still]), body)
        brain = lookup(tuple(source))
        self.x, self.y, self.z = (a.copy() for a in (self.x, self.y, self.z))
        for mine, theirs in zip((self.x, self.y, self.z), source, strict=True):
            mine[self.inside] = theirs
        self.skull, self.structure = self.skull.copy(), self.structure.copy()
        self.skull[self.inside] = brain["skull"]
        self.structure[self.inside] = np.where(self.skull[self.inside] > 0, brain["structure"], S["none"])
        return brain

    def _take_brain(self) -> None:
        """Distances to what lies inside the skull; outside of it, and where the brain has receded, they are large."""
        receded = self.skull[self.inside] <= 0
        for name in ("ventricle", "cistern"):
            distance = np.full(len(self.where), FAR_MM, np.float32)
            distance[self.inside] = np.where(receded, np.float32(FAR_MM), self.brain[name])
            setattr(self, name, distance)

    def side(self, side: int) -> Where:
        """Voxels of the patient's left (0) or right (1) half."""
        return self.x > 0 if side == 0 else self.x < 0

    def at(self, *names: str) -> Where:
        """Voxels of the named structures, or groups of them (``structures.GROUPS``)."""
        return members(*names).take(self.structure)

    def tissue_is(self, *names: str) -> Where:
        """Voxels of the named tissues as painted so far."""
        found = self.tissue == T[names[0]]
        for name in names[1:]:
            found |= self.tissue == T[name]
        return found

    def near(self, centre: Point, radius_mm: Number, stretch: Point = (1, 1, 1)) -> np.ndarray:
        """Indices of voxels in a box around a point, to work on few voxels."""
        box = np.abs(self.z - np.float32(centre[2])) < radius_mm * stretch[2]
        box &= np.abs(self.y - np.float32(centre[1])) < radius_mm * stretch[1]
        box &= np.abs(self.x - np.float32(centre[0])) < radius_mm * stretch[0]
        return np.flatnonzero(box)

    def ball(
        self, centre: Point, radius_mm: Number, *, stretch: Point = (1, 1, 1), rough: Number = 0.15
    ) -> tuple[np.ndarray, Float32[np.ndarray, "m"]]:
        """Indices near an irregular ball, and their depth in it in mm (negative outside, down to -radius)."""
        index = self.near(centre, 2.0 * radius_mm + 4, stretch)
        offset = [
            (a[index] - np.float32(c)) / np.float32(s)
            for a, c, s in zip((self.x, self.y, self.z), centre, stretch, strict=True)
        ]
        distance = np.sqrt(sum(o * o for o in offset))
        return index, radius_mm * (1 + np.float32(rough) * self.noise[index]) - distance

    def paint(
        self,
        index: np.ndarray,
        weight: Float32[np.ndarray, "m"],
        hu: Number | np.ndarray,
        tissue: str,
        keys: Iterable[str] = (),
    ) -> np.ndarray:
        """Blend HU into voxels by weight; where it passes a half, set the tissue and mark the findings.

        Returns:
            Indices of the voxels marked.
        """
        touched = weight > 0
        index, weight = index[touched], weight[touched].astype(np.float32)
        value = hu[touched] if isinstance(hu, np.ndarray) else np.float32(hu)
        self.hu[index] += (value - self.hu[index]) * weight
        most = index[weight >= 0.5]
        self.tissue[most] = T[tissue]
        self.mark(most, keys)
        return most

    def mark(self, index: np.ndarray, keys: Iterable[str]) -> None:
        """Note voxels as belonging to findings."""
        for key in keys:
            self.marks.setdefault(key, []).append(index)


def _pixels(nodes: np.ndarray, geometry: Geometry) -> list[Float32[np.ndarray, "fine rows columns"]]:
    return [refine(component, geometry.matrix_px) for component in nodes.astype(np.float32)]

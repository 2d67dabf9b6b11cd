"""The voxels of one head under construction: what anatomy fills in and lesions paint over."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from molre.phantom.body import NORMAL_FOLDS, Body
from molre.phantom.displacement import displace, displaces, settle
from molre.phantom.geometry import Geometry, mesh, refine
from molre.phantom.lookup import lookup
from molre.phantom.pose import Pose, to_head
from molre.phantom.shapes import Number, Point
from molre.phantom.standard.structures import S
from molre.phantom.swelling import swell
from molre.phantom.template import DISTANCES
from molre.phantom.tissue import AIR, T

Where = Bool[np.ndarray, "n"]


class Head:
    """Voxels inside the skin of all fine slices, as one-dimensional arrays.

    Attributes:
        x, y, z: standard-head coordinates of the tissue in each voxel, mm: where it was before anything pushed it.
        still: standard-head coordinates of each voxel itself, for what lies against the skull.
        skull: depth of the tissue below the inner table, mm, positive inside the skull's cavity.
        inner: depth of the voxel itself below the inner table, mm; where it is positive and ``skull`` is not, the
            brain has receded.
        skin: depth below the skin, mm, up to 27.
        ventricle, cistern: depth inside the undilated ventricles and cisterns, mm, negative outside.
        structure: position in ``template.STRUCTURES``.
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
        fixed = _pixels(to_head(pose, mesh(geometry)), geometry)
        self.shape = fixed[0].shape
        self.fine = geometry.fine
        record = lookup(np.stack(fixed)).reshape(-1)
        inner = record["skull"]
        lifted, record = swell(tuple(a.reshape(-1) for a in fixed), record, body)
        self.where = np.flatnonzero(record["skin"] > DISTANCES["skin"][0] * DISTANCES["skin"][1])
        record = record[self.where]
        self.still = tuple(a.reshape(-1)[self.where] for a in fixed)
        self.x, self.y, self.z = self.still if not body.swellings else (a[self.where] for a in lifted)
        self.inner = inner[self.where] * np.float32(1 / DISTANCES["skull"][1]) - np.float32(DISTANCES["skull"][0])
        settle(body)
        if displaces(body):
            record = self._moved(record, body)
        for name, (offset, scale) in DISTANCES.items():
            setattr(self, name, record[name] * np.float32(1 / scale) - np.float32(offset))
        self.structure: UInt8[np.ndarray, "n"] = np.ascontiguousarray(record["structure"])
        self.noise = record["noise"] * np.float32(1 / 42) - np.float32(128 / 42)
        self.direction = record["direction"] + (self.x < 0) * np.int32(NORMAL_FOLDS)
        self.body = body
        self.hu: Float32[np.ndarray, "n"] = np.full(len(self.where), AIR, np.float32)
        self.tissue = np.full(len(self.where), T["air"], np.uint8)
        self.ventricular: Where = np.zeros(len(self.where), bool)
        self.bone: Where = np.zeros(len(self.where), bool)
        self.marks: dict[str, list[np.ndarray]] = {}

    still: tuple[Float32[np.ndarray, "n"], Float32[np.ndarray, "n"], Float32[np.ndarray, "n"]]
    skin: Float32[np.ndarray, "n"]
    skull: Float32[np.ndarray, "n"]
    ventricle: Float32[np.ndarray, "n"]
    cistern: Float32[np.ndarray, "n"]

    def _moved(self, record: np.ndarray, body: Body) -> np.ndarray:
        """Records where tissue inside the skull is that which was elsewhere; skull and all outside stay."""
        inside = np.flatnonzero(self.inner > 0)
        record = record.copy()
        source = displace(np.stack([a[inside] for a in self.still]), body)
        taken = lookup(source)
        taken["skin"] = record["skin"][inside]
        receded = taken["skull"] <= np.uint8(DISTANCES["skull"][0] * DISTANCES["skull"][1])
        taken["structure"][receded] = S["none"]
        for name in ("ventricle", "cistern"):
            taken[name][receded] = 0
        record[inside] = taken
        self.x, self.y, self.z = (a.copy() for a in (self.x, self.y, self.z))
        for mine, theirs in zip((self.x, self.y, self.z), source, strict=True):
            mine[inside] = theirs
        return record

    def side(self, side: int) -> Where:
        """Voxels of the patient's left (0) or right (1) half."""
        return self.x > 0 if side == 0 else self.x < 0

    def at(self, *names: str) -> Where:
        """Voxels of the named structures."""
        found = self.structure == S[names[0]]
        for name in names[1:]:
            found |= self.structure == S[name]
        return found

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

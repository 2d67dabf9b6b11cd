"""Where tissue was before masses, collections and swelling pushed it.

Every motion is undone in turn, the last first: layers press on the whole brain, the midline shifts, tissue slides,
balls swell. Each is free of folds by itself, and so is their sequence.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from molre.phantom.body import Body
from molre.phantom.lookup import lookup
from molre.phantom.motion import Push, Sheet, Slide, total_thickness
from molre.phantom.shapes import Number
from molre.phantom.vault import Points, Values, polar, vault_mm

SEPTUM_MM = (0.0, -24.0, 10.0)
"""The septum pellucidum between the foramina of Monro, where midline shift is measured (Bullock et al. 2006)."""
SHIFTED_MM = 5.0
"""Least displacement of the septum that is called midline shift."""
HERNIATED_MM = 7.0
"""Displacement of the septum from which the cingulate gyrus lies beneath the falx."""


def smoothstep(t: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """0 below 0, 1 above 1, without a kink between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def displaces(body: Body) -> bool:
    """Whether anything has moved at all."""
    return bool(body.pushes or body.slides or body.layers or body.sheets or body.shift_mm)


def displace(points: Points, body: Body) -> Points:
    """The tissue that lies at points of the skull's cavity: where it was in the undisturbed head.

    Args:
        points: standard-head coordinates of voxels, mm.
        body: whose septum comes to lie ``shift_mm`` beside the middle, whatever else pushes it.
    """
    points = np.asarray(points, np.float32)
    if not displaces(body):
        return points
    return _undo(points, body, _drive(body))


def settle(body: Body) -> None:
    """Let the shift be that of the septum after all motions together, and claim what follows from it by rule."""
    if not displaces(body):
        return
    pushed = _septum(body, 0.0)
    if abs(pushed) > abs(body.shift_mm):
        body.shift_mm = pushed
    body.claims -= {"midline_shift", "subfalcine_herniation"}
    if abs(body.shift_mm) >= SHIFTED_MM:
        body.claims |= {"midline_shift", "mass_effect"}
    if abs(body.shift_mm) >= HERNIATED_MM:
        body.claims.add("subfalcine_herniation")


def shift_share(points: Points) -> Values:
    """Share of the midline shift at each point: one at the septum, none at the skull (Fisher 1995, Neurology 45:83).

    The falx holds the upper part of the midline, so that the share falls faster above the callosum than below it.
    """
    x, y, z = points
    unit, radius = polar(points)
    free = smoothstep((1 - radius / vault_mm(unit)) * np.float32(1 / 0.62))
    high = (z - 10) / np.where(z > 10, np.float32(40), np.float32(44))
    return free * np.exp(-((x / 66) ** 2) - ((y + 24) / 72) ** 2 - high**2)


def _undo(points: Points, body: Body, drive_mm: float) -> Points:
    points = points.copy()
    if body.layers:
        _lift(points, body)
    for sheet in body.sheets:
        _part(points, sheet)
    if drive_mm:
        # Two steps keep the larger shifts free of folds at the side of the mass.
        for _ in range(2):
            points[0] -= np.float32(drive_mm / 2) * shift_share(points)
    if body.slides or body.pushes:
        depth = lookup(points)["skull"]
        for slide in reversed(body.slides):
            _slide_back(points, depth, slide)
        for push in reversed(body.pushes):
            _shrink(points, depth, push)
    return points


def _lift(points: Points, body: Body) -> None:
    """Brain beneath layers goes back to the vault: r' = r + T s^2, with s the share of the way to the layer."""
    unit, radius = polar(points)
    vault = vault_mm(unit)
    thick = total_thickness(body.layers, unit, vault)
    share = np.minimum(radius / (vault - thick), 1)
    points += unit * (thick * share * share)


def _part(points: Points, sheet: Sheet) -> None:
    """Brain beside the falx goes back to it."""
    x = points[0] * sheet.side
    touched = np.flatnonzero((x > 0) & (x < 50))
    mine, thick = x[touched], sheet.thickness(points[:, touched])
    points[0, touched] = sheet.side * np.maximum(mine - thick * (1 - mine / 50) ** 2, np.float32(0.3) * mine)


def _box(points: Points, centre: np.ndarray, reach_mm: Number) -> np.ndarray:
    near: Bool[np.ndarray, "n"] = np.abs(points[2] - centre[2]) < reach_mm
    for axis in (0, 1):
        near &= np.abs(points[axis] - centre[axis]) < reach_mm
    return np.flatnonzero(near)


def _slide_back(points: Points, depth: Values, slide: Slide) -> None:
    """Undo a Gaussian translation in steps too short to fold."""
    vector = np.array(slide.vector_mm, np.float32)
    count = int(np.ceil(np.linalg.norm(vector) / (0.6 * slide.radius_mm))) or 1
    step = vector / np.float32(count)
    width = max(6.0, 2.2 * float(np.linalg.norm(step)))
    for number in range(count, 0, -1):
        centre = np.array(slide.centre, np.float32) + step * np.float32(number)
        index = _box(points, centre, 3.2 * slide.radius_mm)
        offset = points[:, index] - centre[:, None]
        weight = np.exp(np.einsum("cn,cn->n", offset, offset) * np.float32(-0.5 / slide.radius_mm**2))
        weight *= smoothstep((depth[index] + 0.5) / np.float32(width))
        points[:, index] -= step[:, None] * weight


def _shrink(points: Points, depth: Values, push: Push) -> None:
    """Undo the swelling of a ball as a source of incompressible flow: r'^3 = r^3 - share R^3 outside of it."""
    centre = np.array(push.centre, np.float32)
    index = _box(points, centre, 4 * push.radius_mm)
    offset = points[:, index] - centre[:, None]
    radius = np.sqrt(np.einsum("cn,cn->n", offset, offset)) / np.float32(push.radius_mm) + np.float32(1e-3)
    lost = np.float32(push.share) * np.minimum(radius**-3, 1)
    motion = 1 - np.cbrt(1 - lost)
    most = push.radius_mm * abs(1 - (1 - push.share) ** (1 / 3))
    free = smoothstep((depth[index] + 1) / np.float32(max(12.0, 2.2 * most)))
    motion *= free * smoothstep((4 - radius) / np.float32(1.5))
    points[:, index] -= offset * motion


def _septum(body: Body, drive_mm: float) -> float:
    """Where the septum has come to lie, in mm of the patient."""
    x = np.linspace(-24, 24, 97, dtype=np.float32)
    line = np.stack([x, np.full_like(x, SEPTUM_MM[1]), np.full_like(x, SEPTUM_MM[2])])
    source = _undo(line, body, drive_mm)[0]
    return float(np.interp(0.0, np.maximum.accumulate(source), x)) * body.scale[0]


def _drive(body: Body) -> float:
    """The shift that has to be added to what the other motions do, so that the septum lies where it is told."""
    if not body.shift_mm:
        return 0.0
    drive = (body.shift_mm - _septum(body, 0.0)) / body.scale[0]
    for _ in range(3):
        drive += (body.shift_mm - _septum(body, drive)) / body.scale[0]
    return drive

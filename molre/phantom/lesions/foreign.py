"""What entered the head and stayed: bullets, splinters of metal, glass and wood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.vault import on_vault, scattered
from molre.phantom.shapes import Point, ramp

KEY = ["intracranial_foreign_body"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A piece: a rod or splinter with flat faces."""

    centre: Point
    axis: Point
    half_mm: tuple[float, float, float]


@lesion("intracranial_foreign_body")
def foreign_body(case: Case) -> Paint:
    """A bullet at the end of a bloody track with splinters along it, or shards near where they entered.

    Metal saturates, glass measures some 500-2000 HU, dry wood looks like air but has straight edges (Osborn's Brain,
    2nd ed., 2018, ch. 2).
    """
    rng, kind = case.rng, case.kind()
    towards = scattered(rng, case.body.impact, 0.12, lowest=-0.02)
    entry = np.array(on_vault(towards, 80.0))
    inwards = -np.array(scattered(rng, towards, 0.22, lowest=-0.6))
    deep = case.uniform(45, 115) if kind == "bullet" else case.uniform(14, 34)
    end = entry + inwards * deep
    size = case.size_mm()
    pieces = [_piece(case, tuple(end), tuple(inwards), size, kind)]
    for _ in range(round(case.graded(0, 9)) if kind in ("bullet", "shrapnel") else int(rng.integers(0, 3))):
        along = entry + inwards * deep * case.uniform(0.12, 1.0) + rng.normal(0, 3.5, 3)
        pieces.append(
            _piece(case, tuple(along), tuple(inwards + rng.normal(0, 0.5, 3)), size * case.uniform(0.15, 0.4), kind)
        )
    tissue, hu = {
        "bullet": ("metal", 3071.0),
        "shrapnel": ("metal", 3071.0),
        "glass": ("device", case.uniform(500, 1900)),
        "wood": ("device", case.uniform(-750, -250)),
    }[kind]
    track = case.graded(1.2, 4.5) if kind in ("bullet", "wood") else case.graded(0.0, 1.5)
    if track > 0.8:
        case.body.claims |= {"intraparenchymal_hemorrhage", "calvarial_fracture"}
    blood_hu = case.uniform(54, 70)

    def paint(head: Head) -> None:
        _track(head, entry, end, track, blood_hu)
        for piece in pieces:
            _embed(head, piece, hu, tissue)

    return paint


def _piece(case: Case, centre: tuple, axis: tuple, size_mm: float, kind: str) -> Piece:
    unit = np.asarray(axis) / np.linalg.norm(axis)
    slim = {"bullet": 0.45, "shrapnel": case.uniform(0.4, 0.9), "glass": case.uniform(0.2, 0.5), "wood": 0.14}[kind]
    long = {"wood": 2.4}.get(kind, 1.0) * size_mm
    flat = 0.35 if kind == "glass" else 1.0
    x, y, z = (float(c) for c in centre)
    return Piece(centre=(x, y, z), axis=(float(unit[0]), float(unit[1]), float(unit[2])),
                 half_mm=(max(long, 0.9), max(slim * size_mm, 0.7), max(slim * flat * size_mm, 0.6)))  # fmt: skip


def _embed(head: Head, piece: Piece, hu: float, tissue: str) -> None:
    """Paint a piece, a box with rounded edges."""
    reach = 1.5 * max(piece.half_mm) + 3
    near = [np.abs(a - np.float32(c)) < reach for a, c in zip(head.still, piece.centre, strict=True)]
    index = np.flatnonzero(near[0] & near[1] & near[2] & (head.inner > -12))
    offset = [a[index] - np.float32(c) for a, c in zip(head.still, piece.centre, strict=True)]
    first = np.cross(piece.axis, (0.0, 0.0, 1.0) if abs(piece.axis[2]) < 0.9 else (0.0, 1.0, 0.0))
    first /= np.linalg.norm(first)
    frame = (np.asarray(piece.axis), first, np.cross(piece.axis, first))
    parts = [np.abs(sum(o * np.float32(d) for o, d in zip(offset, way, strict=True))) / np.float32(half)
             for way, half in zip(frame, piece.half_mm, strict=True)]  # fmt: skip
    radius = sum(p**4 for p in parts) ** np.float32(0.25)
    depth: Float32[np.ndarray, "m"] = np.asarray((1 - radius) * np.float32(min(piece.half_mm)), np.float32)
    weight = ramp(depth, 0.8)
    inside = head.inner[index] > 0
    head.paint(index, weight, hu, tissue)
    head.mark(index[(weight > 0.3) & inside], KEY)


def _track(head: Head, entry: np.ndarray, end: np.ndarray, radius_mm: float, hu: float) -> None:
    """Blood along the way through the brain, with a hole in the vault where it entered."""
    if radius_mm <= 0.8:
        return
    low, high = np.minimum(entry, end) - 9, np.maximum(entry, end) + 9
    near = np.ones(len(head.inner), bool)
    for still, a, b in zip(head.still, low, high, strict=True):
        near &= (still > np.float32(a)) & (still < np.float32(b))
    index = np.flatnonzero(near & (head.inner > -14))
    axis = (end - entry).astype(np.float32)
    offset = [a[index] - np.float32(c) for a, c in zip(head.still, entry, strict=True)]
    share = np.clip(sum(o * c for o, c in zip(offset, axis, strict=True)) / np.float32(axis @ axis), 0, 1)
    away = np.sqrt(sum((o - share * c) ** 2 for o, c in zip(offset, axis, strict=True)))
    depth = np.float32(radius_mm) * (1 + np.float32(0.35) * head.noise[index]) - away
    brain = (head.inner[index] > 0.5) & ~head.bone[index]
    value = np.float32(hu) + 5 * head.noise[index]
    head.paint(index, ramp(depth) * brain, value, "acute_blood", ["intraparenchymal_hemorrhage"])
    hole = ramp(depth + np.float32(1)) * head.bone[index]
    head.paint(index, hole, 45.0, "muscle", ["calvarial_fracture"])

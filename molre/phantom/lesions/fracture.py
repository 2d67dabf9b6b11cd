"""Fractures of the vault: lines, pieces driven in.

A fracture is a straight-edged dark line of even width without sclerotic margins, a suture a zigzag with them (Idriz et
al. 2015, Radiographics 35:1327). Tables and diploe of a displaced piece keep their own density.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.vault import Chart, Path, chart, crack, from_path, scattered, thickness_mm
from molre.phantom.shapes import ramp

BONE_HU = 150.0
"""What is denser is bone, or a voxel that bone shares."""
MARKED = 0.25
"""Share of a voxel from which a line is marked: hairlines fill no voxel."""


def split(head: Head, index: np.ndarray, weight: Float32[np.ndarray, "m"], hu: float, keys: list[str]) -> None:
    """Put soft tissue into a gap in bone, and mark it."""
    weight = np.where(head.hu[index] > BONE_HU, weight, np.float32(0)).astype(np.float32)
    head.paint(index, weight, hu, "muscle")
    head.mark(index[weight > MARKED], keys)


def gap(away: Float32[np.ndarray, "m"], along: Float32[np.ndarray, "m"], width_mm: float) -> Float32[np.ndarray, "m"]:
    """Share of each voxel that a line fills which is widest in its middle and tapers to its ends."""
    taper = np.clip(np.minimum(along, 1 - along) * 5, 0, 1)
    wide = np.float32(width_mm / 2) * (np.float32(0.35) + np.float32(0.65) * taper)
    return ramp((wide - away).astype(np.float32), 1.0) * np.clip(taper * 3, 0, 1)


def lines(rng: np.random.Generator, length_mm: float, branches: int) -> list[Path]:
    """A line through the middle of a chart that rises more than it runs level, and lines that leave it."""
    heading = float(rng.normal(np.pi / 2, 0.55))
    share = float(rng.uniform(0.25, 0.75))
    there = crack(rng, length_mm * share, heading)
    back = crack(rng, length_mm * (1 - share), heading + np.pi)
    main = back[::-1] + there[1:]
    found = [main]
    for _ in range(branches):
        start = main[int(rng.integers(1, len(main)))]
        aside = float(rng.uniform(0.5, 1.2)) * (1 if rng.random() < 0.5 else -1)
        found.append(crack(rng, length_mm * float(rng.uniform(0.25, 0.5)), heading + aside, start))
    return found


@lesion("calvarial_fracture", slot="vault")
def linear(case: Case) -> Paint:
    """A dark line through both tables, sometimes branched, that leaves the site of the blow."""
    rng, kind = case.rng, case.kind()
    towards = scattered(rng, case.body.impact, 0.15)
    length, width = case.size_mm(), case.graded(0.5, 2.4) * case.uniform(0.8, 1.25)
    paths = lines(rng, length, int(rng.integers(1, 3)) if kind == "branched" else 0)
    # The crack runs through the bone aslant, so that the tables' gaps lie beside each other.
    slant, hu = case.uniform(-1.6, 1.6), case.hu()

    def paint(head: Head) -> None:
        found = chart(head, towards, length + 12)
        u = found.u + np.float32(slant) * (found.layer - np.float32(0.5)) + np.float32(0.35) * head.noise[found.index]
        weight = np.zeros(len(u), np.float32)
        for number, path in enumerate(paths):
            away, along = from_path(u, found.v, path)
            weight = np.maximum(weight, gap(away, along, width if number == 0 else 0.7 * width))
        split(head, found.index, weight * _vault(head, found), hu, ["calvarial_fracture"])

    return paint


def _vault(head: Head, found: Chart) -> Float32[np.ndarray, "m"]:
    """One on the vault, fading to none towards the skull base."""
    return np.clip((head.still[2][found.index] + np.float32(34)) / 6, 0, 1)


def _pieces(rng: np.random.Generator, radius_mm: float, count: int) -> Float32[np.ndarray, "n 2"]:
    """Seeds of the cells that vault is broken into: ``count`` loose ones, and a ring of those that stay."""
    ring = 9
    angle = np.arange(ring) * 2 * np.pi / ring + rng.uniform(0, 0.5, ring)
    far = radius_mm * rng.uniform(1.55, 1.95, ring)
    stays = np.stack([far * np.cos(angle), far * np.sin(angle)], -1)
    turn = rng.uniform(0, 2 * np.pi) + np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.25, count)
    near = radius_mm * (rng.uniform(0.35, 0.6, count) if count > 1 else rng.uniform(0, 0.2, 1))
    loose = np.stack([near * np.cos(turn), near * np.sin(turn)], -1)
    return np.concatenate([loose, stays]).astype(np.float32)


def _cells(found: Chart, seeds: Float32[np.ndarray, "n 2"]) -> tuple[np.ndarray, np.ndarray, Float32[np.ndarray, "m"]]:
    """The nearest and the second seed of each voxel, and its distance from the border between their cells."""
    away = np.stack([np.hypot(found.u - a, found.v - b) for a, b in seeds])
    order = np.argpartition(away, 1, axis=0)[:2]
    first, second = order
    near, next_ = np.take_along_axis(away, order, 0)
    between = np.hypot(*(seeds[first] - seeds[second]).T)
    return first, second, ((next_ * next_ - near * near) / (2 * np.maximum(between, 1e-3))).astype(np.float32)


@lesion("displaced_or_depressed_skull_fracture", slot="vault")
def depressed(case: Case) -> Paint:
    """Pieces of vault driven inwards and tilted, or one edge of a line that stands off from the other."""
    if case.kind() == "stepped":
        return _stepped(case)
    rng, body = case.rng, case.body
    towards, radius = scattered(rng, body.impact, 0.12), case.size_mm()
    count = int(rng.integers(1, 3)) if radius < 9 else int(rng.integers(2, 7))
    seeds = _pieces(rng, radius, count)
    sunk = case.graded(2.0, 11.0) * rng.uniform(0.6, 1.15, count)
    tilt = rng.normal(0, 0.22, (count, 2))
    cracks = [
        crack(rng, case.uniform(0.8, 1.8) * radius, a, (radius * float(np.cos(a)), radius * float(np.sin(a))))
        for a in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 4)))
    ]
    hu, width = case.hu(), case.graded(0.7, 1.8)

    def paint(head: Head) -> None:
        found = chart(head, towards, 3.2 * radius + 8, high_mm=float(sunk.max()) + 0.25 * radius + 4)
        cell, beside, border = _cells(found, seeds)
        loose = cell < count
        which = np.minimum(cell, count - 1)
        along = (found.u - seeds[which, 0]) * tilt[which, 0] + (found.v - seeds[which, 1]) * tilt[which, 1]
        fall = np.where(loose, np.maximum(sunk[which] + along, 0), 0).astype(np.float32)
        _drive(head, found, fall, hu)
        broken = loose | (beside < count)
        weight = ramp(np.where(broken, np.float32(width / 2) - border, -9).astype(np.float32), 1.0)
        for path in cracks:
            weight = np.maximum(weight, gap(*from_path(found.u, found.v, path), 0.8 * width))
        split(head, found.index, weight, hu, ["displaced_or_depressed_skull_fracture"])

    return paint


def _stepped(case: Case) -> Paint:
    """A line whose one edge lies deeper than the other and rises back to the vault's level."""
    rng = case.rng
    towards, length = scattered(rng, case.body.impact, 0.12), 2.6 * case.size_mm()
    step, run, hu = case.graded(1.8, 6.0), case.uniform(9, 18), case.hu()
    path, sign = lines(rng, length, 0)[0], 1 if case.chance(0.5) else -1
    heading = np.arctan2(path[-1][1] - path[0][1], path[-1][0] - path[0][0])

    def paint(head: Head) -> None:
        found = chart(head, towards, length / 2 + 25, high_mm=step + 3)
        away, along = from_path(found.u, found.v, path)
        across = sign * (np.cos(heading) * found.v - np.sin(heading) * found.u)
        taper = np.clip(np.minimum(along, 1 - along) * 4, 0, 1)
        fall = np.where(across > 0, np.float32(step) * taper * np.exp(-away / np.float32(run)), 0)
        _drive(head, found, np.where(fall > 0.3, fall, 0).astype(np.float32), hu)
        split(head, found.index, gap(away, along, 1.2), hu, ["displaced_or_depressed_skull_fracture"])

    return paint


def _drive(head: Head, found: Chart, fall_mm: Float32[np.ndarray, "m"], hu: float) -> None:
    """Move bone inwards: what lay above it is soft tissue now."""
    moved = np.flatnonzero(fall_mm > 0)
    index, fall = found.index[moved], fall_mm[moved]
    thick = thickness_mm(head, index)
    below = found.depth[moved] - fall
    left = ramp(-found.depth[moved] + 0.5) * (head.hu[index] > BONE_HU)
    head.paint(index, left, hu, "muscle")
    plate = np.minimum(ramp(-below), ramp(below + thick))
    layer = -below / thick
    key = ["displaced_or_depressed_skull_fracture"]
    head.paint(index, plate, tables_hu(layer) + 50 * head.noise[index], "bone", key)


def tables_hu(layer: Float32[np.ndarray, "m"]) -> Float32[np.ndarray, "m"]:
    """Density of vault at a position between its inner (0) and outer (1) surface."""
    table = np.maximum(1 - np.abs(layer - np.float32(0.1)) * 5, 1 - np.abs(layer - np.float32(0.9)) * 5)
    return (np.float32(620) + np.float32(780) * np.clip(table, 0, 1)).astype(np.float32)

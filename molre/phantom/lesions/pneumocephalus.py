"""Air inside the skull: beneath the vault, as bubbles, in the ventricles."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.lesions.vault import on_vault, scattered
from molre.phantom.motion import Layer
from molre.phantom.shapes import Point, ramp

AIR_KEY = ["pneumocephalus"]


@lesion("pneumocephalus")
def pneumocephalus(case: Case) -> Paint:
    """Air, which rises to the front of a supine patient.

    Beneath the vault on one side, on both with the frontal tips peaked (Ishiwata et al. 1988, J Neurosurg 69:296), as
    bubbles in furrows and cisterns near a fracture, or in the frontal horns.
    """
    kind = case.kind()
    parts = [_bubbles(case, round(case.graded(2, 9)))]
    if kind == "subdural":
        parts.append(_beneath_vault(case, (case.side()[1],)))
    if kind == "peaked":
        parts.append(_beneath_vault(case, (1, -1)))
    if kind == "ventricular":
        parts.append(_ventricular(case))

    def paint(head: Head) -> None:
        for part in parts:
            part(head)

    return paint


def _beneath_vault(case: Case, signs: tuple[int, ...]) -> Paint:
    """Air over one or both frontal lobes, which fall back from the vault."""
    amount = case.size_mm()
    height = case.uniform(0.05, 0.5)
    layers = []
    for sign in signs:
        thick = amount * case.uniform(0.8, 1.0)
        wide = 0.35 + 0.03 * amount
        layer = Layer(towards=(sign * case.uniform(0.22, 0.4), -1.0, height), thickness_mm=thick, power=2.2, side=sign,
                      reach_rad=(wide, wide, wide + 0.2, wide), ripple=(0.12, 5.0, case.uniform(0, 6)))  # fmt: skip
        case.body.press(layer)
        layers.append(layer)
    hu, tilt = case.hu(), case.uniform(-0.08, 0.08)

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.inner > -0.6) & (head.skull < 0.8) & (head.still[1] < -20) & (head.inner < 40))
        depth = np.minimum(head.inner[index], -head.skull[index]) + np.float32(0.3)
        x, y = head.still[0][index], head.still[1][index]
        front = -46.0 + np.float32(tilt) * x
        # The level of fluid lies behind the air.
        depth = np.minimum(depth, front - y)
        side = np.zeros(len(index), bool)
        for sign in signs:
            side |= x * sign > 0.6
        weight = ramp(np.where(side, depth, -9).astype(np.float32))
        head.paint(index, weight, hu, "pathological_air", AIR_KEY)

    return paint


def _bubbles(case: Case, count: int) -> Paint:
    """Round bubbles beneath the vault near the blow or at the front, and in the basal cisterns."""
    rng, body = case.rng, case.body
    sites: list[tuple[Point, float]] = []
    for _ in range(max(count, 1)):
        size = case.graded(1.1, 2.6) * float(rng.gamma(5, 0.2))
        if case.chance(0.25):
            sites.append(((case.uniform(-14, 14), case.uniform(-26, -8), case.uniform(-26, -16)), max(size, 0.9)))
            continue
        near = body.impact if case.chance(0.5) else (0.25, -1.0, 0.3)
        towards = scattered(rng, near, 0.22)
        sites.append((on_vault(towards, case.uniform(64, 75)), max(size, 0.9)))
    hu = case.hu()

    def paint(head: Head) -> None:
        for (x, y, z), size in sites:
            box = [np.abs(a - np.float32(c)) < 3 * size + 4 for a, c in zip(head.still, (x, y, z), strict=True)]
            index = np.flatnonzero(box[0] & box[1] & box[2])
            index = index[(head.inner[index] > -0.5) & ~head.bone[index]]
            away = [head.still[n][index] - np.float32(c) for n, c in enumerate((x, y, z))]
            depth = np.float32(size) * (1 + np.float32(0.2) * head.noise[index]) - np.sqrt(sum(a * a for a in away))
            weight = ramp(depth.astype(np.float32))
            head.paint(index, weight, hu, "pathological_air")
            # Partial volume still shows as air: a tenth of a voxel of it is darker than fat.
            head.mark(index[weight > 0.15], AIR_KEY)

    return paint


def _ventricular(case: Case) -> Paint:
    """Air at the front of one or both frontal horns with a straight level behind it."""
    rng, level = case.rng, case.graded(-44.0, -30.0) + case.uniform(-3, 3)
    sides = (1, -1) if case.chance(0.5) else (case.side()[1],)
    hu, tilt = case.hu(), float(rng.normal(0, 0.05))

    def paint(head: Head) -> None:
        index = np.flatnonzero(head.ventricular & (head.still[1] < level + 6))
        x, y = head.still[0][index], head.still[1][index]
        inside = np.zeros(len(index), bool)
        for sign in sides:
            inside |= x * sign > 0
        weight = ramp((np.float32(level) + np.float32(tilt) * x - y).astype(np.float32)) * inside
        head.paint(index, weight, hu, "pathological_air", AIR_KEY)

    return paint

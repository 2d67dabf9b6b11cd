"""Cerebellum that leaves the posterior fossa, downwards or upwards."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import lesion
from molre.phantom.shapes import ramp
from molre.phantom.tissue import T

KEY = "tonsillar_or_cerebellar_herniation"
FORAMEN_MM = (0.0, 34.0, -60.0)
"""Middle of the foramen magnum."""


@lesion(KEY, slot="foramen")
def herniation(case: Case) -> Paint:
    """Tonsils that fill the foramen magnum, or vermis that is pushed up against the quadrigeminal plate."""
    kind, mm = case.kind(), case.size_mm()
    if kind != "chiari":
        case.body.fourth_mm -= case.graded(0.4, 1.2)
        case.body.claims.add("mass_effect")
    if kind == "upward":
        return _upward(case, mm)
    return descend(case, mm, case.graded(0.55, 1.0))


def descend(case: Case, mm: float, share: float) -> Paint:
    """Tonsils ``mm`` below their place; ``share`` of the fluid about them is pushed out."""
    for sign in (1, -1):
        case.body.slide((sign * 8.0, 44.0, -50.0), (-sign * 1.5, -0.5 * mm, -mm), 11.0)
    hu = case.body.grey_hu - 3

    def paint(head: Head) -> None:
        x, y, z = head.still
        low = (head.inner > 0.8) & (z < -42) & (z > -82) & (np.abs(x) < 20) & (y > 12) & (y < 66)
        index = np.flatnonzero(low & ~head.bone & ~head.at("brainstem"))
        depth = np.minimum(z[index] - (FORAMEN_MM[2] - mm), 17 - np.hypot(x[index], 0.75 * (y[index] - 40)))
        weight = np.float32(share) * ramp(depth.astype(np.float32), 3.0)
        fluid = head.hu[index] < hu - 3
        head.hu[index] += np.where(fluid, (hu - head.hu[index]) * weight, 0)
        full = index[(weight > 0.4) & (head.hu[index] > 18)]
        head.tissue[full[head.tissue[full] == T["csf"]]] = T["grey"]
        head.mark(full[z[full] < FORAMEN_MM[2] + 16], [KEY])

    return paint


def _upward(case: Case, mm: float) -> Paint:
    """Vermis and upper cerebellum rise through the notch and close the cistern behind the midbrain."""
    case.body.slide((0.0, 34.0, -14.0), (0.0, -0.3 * mm, mm), 12.0)
    case.body.cistern_mm -= 0.5
    hu = case.body.grey_hu - 3

    def paint(head: Head) -> None:
        index = head.near((0.0, 24.0, -5.0), 16)
        fluid = head.tissue_is("csf")[index] & ~head.ventricular[index] & (head.z[index] < 8)
        head.hu[index[fluid]] += np.float32(0.8) * (hu - head.hu[index[fluid]])
        head.tissue[index[fluid]] = T["grey"]
        vermis = head.at("cerebellum")[index] & (head.still[2][index] > -16)
        head.mark(index[fluid | vermis], [KEY])

    return paint

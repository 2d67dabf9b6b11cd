"""Where the arteries at the base of the brain run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from molre.phantom.head import Head
from molre.phantom.shapes import Number

Course = Sequence[tuple[Number, Number, Number, Number]]

ARTERIES: Mapping[str, Course] = {
    "m1": ((12, -17, -22, 1.7), (20, -19, -19, 1.7), (29, -19, -15, 1.6), (36, -18, -10, 1.3)),
    "m2": ((36, -18, -10, 1.3), (39, -12, -3, 1.3), (40, -10, 0, 1.2), (41, -6, 8, 1.1)),
    "ica": ((9.5, -21, -28, 2.2), (12, -17, -22, 2.1), (20, -19, -19, 1.7), (29, -19, -15, 1.5)),
    "a2": ((5, -23, -20, 1.3), (1.8, -31, -18, 1.3), (1.8, -44, -8, 1.2), (1.8, -53, 4, 1.2)),
    "p1": ((1, -5.5, -24, 1.4), (9, -2, -21, 1.4), (17, 6, -18, 1.3), (18, 18, -12, 1.2)),
    "basilar": ((0, -5.5, -24, 1.9), (0, -3.5, -36, 1.9), (0, -0.5, -46, 1.9)),
    "vertebral": ((0.5, 0, -46, 1.7), (6, 10, -58, 1.7), (10, 22, -70, 1.7)),
}
"""Courses (x, y, z, radius) of arteries that clot, x positive, as in ``standard.vessel``."""
STEP_MM = 3.0


def stretch(course: Course, start_mm: float, length_mm: float, wider_mm: float = 0.0) -> Course:
    """A part of a course, resampled every 3 mm, widened."""
    points = np.array(course, float)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))])
    start_mm = min(start_mm, max(0.0, along[-1] - length_mm))
    stop_mm = min(start_mm + length_mm, along[-1])
    places = np.linspace(start_mm, stop_mm, max(2, round((stop_mm - start_mm) / STEP_MM) + 1))
    columns = [np.interp(places, along, points[:, axis]) for axis in range(4)]
    return [(float(x), float(y), float(z), float(r) + wider_mm) for x, y, z, r in zip(*columns, strict=True)]


def box_about(head: Head, course: Course, sign: int, margin_mm: Number = 5.0) -> np.ndarray:
    """Indices of voxels near a course on one side."""
    points = np.array(course)[:, :3] * (sign, 1, 1)
    low, high = points.min(0) - margin_mm, points.max(0) + margin_mm
    middle, half = (low + high) / 2, (high - low) / 2
    return head.near((middle[0], middle[1], middle[2]), 1.0, (half[0], half[1], half[2]))

"""Normal tissue of one head."""

from __future__ import annotations

import numpy as np

from molre.phantom.head import Head
from molre.phantom.normal.brain import fill_brain
from molre.phantom.normal.outside import fill_outside
from molre.phantom.shapes import ramp
from molre.phantom.tissue import AIR, T


def fill(head: Head) -> None:
    """Lay out the normal tissue of every voxel inside the skin."""
    fill_brain(head, head.inside)
    outside = np.flatnonzero(head.inner <= 0)
    fill_outside(head, outside)
    _cut(head, outside[head.skin[outside] < 1])


def _cut(head: Head, index: np.ndarray) -> None:
    """Voxels that the skin cuts hold their share of air."""
    share = ramp(head.skin[index], 1.0)
    head.hu[index] = AIR + (head.hu[index] - AIR) * share
    head.tissue[index[share < 0.5]] = T["air"]

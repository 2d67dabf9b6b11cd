"""Normal tissue of one head."""

from __future__ import annotations

import numpy as np

from molre.phantom.head import Head
from molre.phantom.normal.brain import fill_brain
from molre.phantom.normal.outside import fill_outside


def fill(head: Head) -> None:
    """Lay out the normal tissue of every voxel inside the skin."""
    inside = head.inner > 0
    fill_brain(head, np.flatnonzero(inside))
    fill_outside(head, np.flatnonzero(~inside))

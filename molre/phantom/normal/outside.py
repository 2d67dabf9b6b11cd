"""Normal tissue outside the brain's cavity: skull, face, scalp, neck."""

from __future__ import annotations

import numpy as np

from molre.phantom.head import Head
from molre.phantom.lookup import lookup
from molre.phantom.normal.bone import fill_bone, fill_inner_table
from molre.phantom.normal.eye import fill_orbits
from molre.phantom.normal.scalp import fill_flesh, fill_scalp, slim
from molre.phantom.normal.sinus import fill_air

LOW_MM = 36.0
"""Above it there are no bones but the vault's and no muscles."""


def fill_outside(head: Head, index: np.ndarray) -> None:
    """Lay out every voxel that is not within the inner table, from the skin inwards and fat to air."""
    body = head.body
    slim(head, index)
    outer = np.float32(body.skull_mm) * (1 + body.bone[head.direction[index]]) + head.skull[index]
    fill_scalp(head, index, outer)
    low = np.flatnonzero(head.z[index] < LOW_MM)
    there = index[low]
    samples = lookup((head.x[there], head.y[there], head.z[there]))
    fill_flesh(head, there, samples["flesh"])
    facial = np.full(len(index), -9, np.float32)
    facial[low] = samples["facial"]
    fill_bone(head, index, outer, facial)
    fill_inner_table(head, head.inside)
    fill_orbits(head, there)
    fill_air(head, there, samples["hollow"], facial[low])

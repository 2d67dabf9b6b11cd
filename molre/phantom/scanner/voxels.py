"""What is known of each acquired voxel, from the fine slices it is an average of."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

from molre.phantom.head import Head


def acquired_tissue(head: Head) -> UInt8[np.ndarray, "slices rows columns"]:
    """Tissue of each acquired voxel: that of its middle fine slice."""
    slices, rows, columns = head.shape
    tissue = np.zeros((slices // head.fine, rows * columns), np.uint8)
    middle = np.arange(head.fine // 2, slices, head.fine) * (rows * columns)
    for number, start in enumerate(middle):
        low, high = np.searchsorted(head.where, (start, start + rows * columns))
        tissue[number, head.where[low:high] - start] = head.tissue[low:high]
    return tissue.reshape(-1, rows, columns)


def acquired_mask(head: Head, key: str) -> Bool[np.ndarray, "slices rows columns"]:
    """Voxels of a finding: those it fills by half or more, or all it touches where it fills none so far."""
    slices, rows, columns = head.shape
    marked = np.zeros(len(head.where), bool)
    for index in head.marks[key]:
        marked[index] = True
    flat = head.where[marked]
    z, plane = np.divmod(flat, rows * columns)
    share = np.bincount((z // head.fine) * (rows * columns) + plane, minlength=slices // head.fine * rows * columns)
    half = share >= head.fine / 2
    mask = half if half.sum() >= 4 else share > 0
    return mask.reshape(slices // head.fine, rows, columns)

"""What the standard head holds at given points."""

from __future__ import annotations

import numpy as np

from molre.phantom.template import LOW_MM, RECORD, SHAPE, STEP_MM, template


def _flat_index(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    index = np.zeros(np.shape(x), np.int32)
    for axis, low, count in ((z, LOW_MM[2], SHAPE[0]), (y, LOW_MM[1], SHAPE[1]), (np.abs(x), LOW_MM[0], SHAPE[2])):
        position = (axis * np.float32(1 / STEP_MM) + np.float32(0.5 - low / STEP_MM)).astype(np.int32)
        np.clip(position, 0, count - 1, out=position)
        index *= count
        index += position
    return index


def lookup(head: np.ndarray) -> np.ndarray:
    """Records of the standard head at points (3, ...), nearest sample."""
    packed = np.take(template().packed, _flat_index(*head))
    return packed.view(RECORD).reshape(head.shape[1:])

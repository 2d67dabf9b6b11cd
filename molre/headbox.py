"""Where the head is in a stack of slices: what a grid is centred on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16
from scipy import ndimage

TISSUE_HU = -300
"""Above this is skin, brain or bone; below is air, foam, and most of a head holder."""

COARSE_MM = 2.0
"""Voxel size at which the head is looked for: a centre needs no finer."""

MIN_SLICE_MM2 = 150.0
"""Least area of the head in its topmost slice: smaller is partial volume or hair."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadBox:
    """Place of the head along a stack's axes.

    Attributes:
        centre_mm: middle of its bounding box along (y, x).
        top_mm: its upper end along z.
    """

    centre_mm: tuple[float, float]
    top_mm: float


def head_box(
    hu: Int16[np.ndarray, "n rows cols"] | Float32[np.ndarray, "n rows cols"],
    first_mm: Float64[np.ndarray, "n 3"],
    pixel_mm: tuple[float, float],
    extent_mm: float,
) -> HeadBox:
    """The bounding box of the largest connected piece of tissue, below its top by at most ``extent_mm``.

    Args:
        hu: slices from feet to head, rows to the back, columns to the left.
        first_mm: (x, y, z) of each slice's first pixel.
        pixel_mm: distance between rows and between columns.
        extent_mm: how far down from the top the box is taken, so that shoulders do not widen it.
    """
    chosen = _sparse_slices(first_mm[:, 2])
    stride = [max(1, round(COARSE_MM / step)) for step in pixel_mm]
    step_mm = (pixel_mm[0] * stride[0], pixel_mm[1] * stride[1])
    mask = _largest(hu[chosen][:, :: stride[0], :: stride[1]] > TISSUE_HU)
    large = mask.sum(axis=(1, 2)) * step_mm[0] * step_mm[1] >= MIN_SLICE_MM2
    first_mm = first_mm[chosen]
    if not large.any():
        return _field_box(hu.shape[1:], first_mm, pixel_mm)
    top = int(np.flatnonzero(large)[-1])
    top_mm = float(first_mm[top, 2]) + _half_step(first_mm[:, 2], top)
    kept = large & (first_mm[:, 2] >= top_mm - extent_mm)
    y = _middle(mask[kept].any(axis=2), first_mm[kept, 1], step_mm[0])
    x = _middle(mask[kept].any(axis=1), first_mm[kept, 0], step_mm[1])
    return HeadBox(centre_mm=(y, x), top_mm=top_mm)


def _sparse_slices(heights_mm: Float64[np.ndarray, " n"]) -> slice:
    stride = max(1, int(COARSE_MM / max(float(np.median(np.diff(heights_mm))), 1e-3)))
    # Counted from the top, since that is the end that is looked for.
    return slice((len(heights_mm) - 1) % stride, None, stride)


def _largest(tissue: Bool[np.ndarray, "n rows cols"]) -> Bool[np.ndarray, "n rows cols"]:
    """Largest connected piece once thin shells (head holder, blanket) are opened away."""
    opened = ndimage.binary_opening(tissue, np.ones((1, 3, 3), bool))
    labels, count = ndimage.label(opened)
    if count == 0:
        return opened
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def _half_step(heights_mm: Float64[np.ndarray, " n"], index: int) -> float:
    if len(heights_mm) < 2:
        return 0.0
    below = max(index, 1)
    return float(heights_mm[below] - heights_mm[below - 1]) / 2


def _middle(any_line: Bool[np.ndarray, "n line"], first_mm: Float64[np.ndarray, " n"], step_mm: float) -> float:
    """Middle between the outermost occupied lines over all slices, each at its own offset."""
    low = first_mm + step_mm * any_line.argmax(axis=1)
    high = first_mm + step_mm * (any_line.shape[1] - 1 - any_line[:, ::-1].argmax(axis=1))
    return float(low.min() + high.max()) / 2


def _field_box(shape: tuple[int, ...], first_mm: Float64[np.ndarray, "n 3"], pixel_mm: tuple[float, float]) -> HeadBox:
    """The scanned field itself, for a stack without tissue."""
    y, x = (
        float(np.median(first_mm[:, axis])) + step * (n - 1) / 2
        for axis, step, n in zip((1, 0), pixel_mm, shape, strict=True)
    )
    return HeadBox(centre_mm=(y, x), top_mm=float(first_mm[-1, 2]))

"""Whether the numbers of a volume are HU, and what was wrong with how they were stored."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int16

from molre.dicom.codes import refusal
from molre.dicom.frames import Frame
from molre.dicom.header import Encoding, Header
from molre.volume import AIR_HU

AIR_BELOW_HU = -300
TISSUE_RANGE_HU = (-300, 3000)
AIR_RANGE_HU = (-1100, -850)
"""Where the peak of air may lie: scanners are kept within a few HU of -1000, old ones within fifty."""

TISSUE_PEAK_HU = -120
"""No tissue that a head has most of lies below this: fat has -100. Where an intercept was applied twice, only bone is
left above air, most of it near -250."""

LEAST_AIR, LEAST_TISSUE = 0.05, 0.01
"""Shares of the voxels that make a peak worth looking for."""

PEAK_HU = 50
"""Half the width of a peak."""

AIR_SHARE, TISSUE_SHARE = 0.5, 0.1
"""Shares within a peak that make it one: air about -1000 lies in it with its noise, edges and lungs do not; tissue is
of many kinds."""

UNITS = frozenset({"HU", "US", ""})
"""Rescale Types that are HU or not told; others are densities, percentages, effective atomic numbers (C.11.1.1.2)."""

TOP_HU = 3071.0
"""End of the 12-bit CT range."""

TOP_STORED = 4095.0

WRAP_HU = 4096
WRAPPED_FROM_HU = WRAP_HU - 1100
"""Above lies air that was stored modulo 4096."""


def unwrap(hu: Int16[np.ndarray, "n rows cols"], encoding: Encoding) -> int:
    """Turn back, in place, negative HU that were stored modulo 4096; returns in how many slices."""
    wrapped = _wrapped(hu, encoding)
    for index in np.flatnonzero(wrapped):
        plane = hu[index]
        plane[plane > WRAPPED_FROM_HU] -= WRAP_HU
        np.maximum(plane, AIR_HU, out=plane)
    return int(wrapped.sum())


def _wrapped(hu: Int16[np.ndarray, "n rows cols"], encoding: Encoding) -> Bool[np.ndarray, " n"]:
    """Slices whose negative HU were stored modulo 4096 in 12 unsigned bits, as some archives hold them.

    Such a slice has no value below 0, and the air around the head lies near 4096 - 1000.
    """
    if encoding.signed or encoding.bits_stored != 12:
        return np.zeros(len(hu), bool)
    coarse = hu[:, ::4, ::4]
    # A few rows settle nearly every slice.
    suspect = coarse[:, ::16].min(axis=(1, 2)) > -100
    for index in np.flatnonzero(suspect):
        suspect[index] = coarse[index].min() > -100 and (coarse[index] > WRAPPED_FROM_HU).mean() > 0.05
    return suspect


def check_range(hu: Int16[np.ndarray, "n rows cols"]) -> None:
    """Refuses values that no head CT in HU has.

    Raises:
        Rejection: VAL_RANGE, no air anywhere, or no tissue, or most of either somewhere else than it should be.
    """
    # Every sixteenth row, as whole rows are read at the speed of memory, and only up to the first slice that has some.
    low, high = TISSUE_RANGE_HU
    has_air = any(np.any(plane[::16] < AIR_BELOW_HU) for plane in hu)
    has_tissue = any(np.any((plane[::16] > low) & (plane[::16] < high)) for plane in hu)
    if not (has_air and has_tissue) or _is_elsewhere(_sample(hu)):
        raise refusal("VAL_RANGE")


def _sample(hu: Int16[np.ndarray, "n rows cols"]) -> Int16[np.ndarray, "m few some"]:
    """Some 10,000 voxels from all over the volume."""
    slices, rows, columns = (-(-count // most) for count, most in zip(hu.shape, (12, 16, 64), strict=True))
    return hu[::slices, ::rows, ::columns]


def _is_elsewhere(sample: Int16[np.ndarray, "m few some"]) -> bool:
    """Whether air or tissue has its peak where none can be.

    Padding is not looked at. Where a scanner clips air at -1024 as well, little more than edges is left of it, which is
    no peak.
    """
    low, high = AIR_RANGE_HU
    air = sample[(sample > AIR_HU) & (sample < AIR_BELOW_HU)]
    tissue = sample[(sample > TISSUE_RANGE_HU[0]) & (sample < TISSUE_RANGE_HU[1])]
    if len(air) >= LEAST_AIR * sample.size:
        peak, share = _peak(air)
        if share > AIR_SHARE and not low <= peak <= high:
            return True
    if len(tissue) >= LEAST_TISSUE * sample.size:
        peak, share = _peak(tissue)
        return share > TISSUE_SHARE and peak < TISSUE_PEAK_HU
    return False


def _peak(values: Int16[np.ndarray, " n"]) -> tuple[int, float]:
    """Middle of the fullest bin of a histogram, and the share of the values that lie near it."""
    counts = np.bincount((values - AIR_HU) // PEAK_HU)
    peak = AIR_HU + PEAK_HU * int(counts.argmax()) + PEAK_HU // 2
    return peak, np.count_nonzero(np.abs(values - peak) <= PEAK_HU) / len(values)


def saturated(
    hu: Int16[np.ndarray, "n rows cols"], slices: list[tuple[Header, Frame]], highest_hu: Float64[np.ndarray, " n"]
) -> int:
    """Number of voxels at the top of the 12-bit range, where denser metal would read the same.

    Args:
        hu: of the slices.
        slices: how they were stored.
        highest_hu: no voxel of a slice is higher, so that most need no counting.
    """
    found = 0
    tops = [_top_hu(*pair) for pair in slices]
    for index in np.flatnonzero(highest_hu >= tops):
        found += int(np.count_nonzero(hu[index] >= tops[index]))
    return found


def _top_hu(header: Header, frame: Frame) -> float:
    encoding = header.encoding
    assert encoding is not None
    if encoding.bits_stored != 12 or encoding.signed or (frame.slope or 0) < 0:
        return TOP_HU
    return min(TOP_HU, TOP_STORED * (frame.slope or 0) + (frame.intercept or 0))

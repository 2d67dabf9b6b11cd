"""Slices that lie where another lies: copies are dropped, anything else is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int16

from molre.dicom.codes import counted, refusal
from molre.dicom.frames import Frame
from molre.dicom.geometry import SAME_PLACE_MM
from molre.dicom.header import Header


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """Slices to drop.

    Attributes:
        mask: which.
        copies: how many of them are the same image twice, by its SOP Instance UID.
    """

    mask: Bool[np.ndarray, " n"]
    copies: int

    def repairs(self) -> list[str]:
        """What is dropped, as repairs."""
        return counted({"GEO_DUP_POSITION": int(self.mask.sum()) - self.copies, "SER_DUPLICATE_SOP": self.copies})


def repeats_of(
    hu: Int16[np.ndarray, "n rows cols"], heights_mm: Float64[np.ndarray, " n"], slices: list[tuple[Header, Frame]]
) -> Repeats:
    """Slices that lie where the one before lies and are equal to it.

    Args:
        hu: of the slices, in order.
        heights_mm: their places.
        slices: their headers.

    Raises:
        Rejection: SER_DUPLICATE_SOP or GEO_DUP_POSITION, two at one place differ.
    """
    mask = np.append(False, np.diff(heights_mm) <= SAME_PLACE_MM)
    copies, met = 0, set[tuple[bytes, int]]()
    for index in np.flatnonzero(mask):
        if not mask[index - 1]:
            met = {_name(*slices[index - 1])}
        name = _name(*slices[index])
        is_copy = bool(name[0]) and name in met
        if not np.array_equal(hu[index], hu[index - 1]):
            raise refusal("SER_DUPLICATE_SOP" if is_copy else "GEO_DUP_POSITION")
        copies += is_copy
        met.add(name)
    return Repeats(mask=mask, copies=copies)


def _name(header: Header, frame: Frame) -> tuple[bytes, int]:
    return header.sop_uid, frame.index

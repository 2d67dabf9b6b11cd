"""Stored values to HU, one image plane at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int16, Shaped

from molre.dicom.codes import refusal
from molre.dicom.codestream import decoded, frames_of
from molre.dicom.elements import UNDEFINED_LENGTH
from molre.dicom.encoding import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    INFLATE_LIMIT_MIB,
    MAX_FILE_MIB,
    NATIVE,
    PIXEL_DATA,
    inflate,
    meta_of,
)
from molre.dicom.frames import Frame
from molre.dicom.header import Encoding, Header
from molre.volume import AIR_HU

HU_LIMITS = (-32768, 32767)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """One plane in HU.

    Attributes:
        hu: (rows, columns), nowhere below ``AIR_HU``.
        padded: number of voxels that were below it, or marked as padding.
        turned: whether the stored sign was wrong and is turned back.
    """

    hu: Int16[np.ndarray, "rows cols"]
    padded: int
    turned: bool


def check_readable(header: Header, frame: Frame) -> None:
    """Refuses what has no certain HU, before any pixel is read.

    Raises:
        Rejection: VAL_COLOUR, VAL_MONOCHROME1, VAL_BITS, VAL_NO_RESCALE, PHI_BURNED_IN, ENC_TRUNCATED.
    """
    encoding = header.encoding
    if encoding is None or min(encoding.rows, encoding.columns) < 1:
        raise refusal("ENC_TRUNCATED")
    if header.burned_in:
        raise refusal("PHI_BURNED_IN")
    if encoding.samples != 1 or encoding.photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise refusal("VAL_COLOUR")
    if encoding.photometric == "MONOCHROME1":
        raise refusal("VAL_MONOCHROME1")
    if encoding.bits_allocated != 16 or not 8 <= encoding.bits_stored <= 16:
        raise refusal("VAL_BITS")
    if frame.slope is None or frame.intercept is None or frame.slope == 0:
        raise refusal("VAL_NO_RESCALE")


def read_planes(slices: list[tuple[Header, Frame]]) -> Iterator[Plane]:
    """The planes in the order given; a file whose planes follow one another is opened once.

    Raises:
        Rejection: ENC_TRUNCATED, ENC_UNSUPPORTED_TS, ENC_BAD_PIXELS, ENC_INFLATE_LIMIT, ENC_UNREADABLE.
    """
    for _, group in groupby(slices, key=lambda pair: pair[0].path):
        pairs = list(group)
        encoding = pairs[0][0].encoding
        assert encoding is not None
        value = _pixel_value(pairs[0][0].path, encoding)
        frames = None if encoding.syntax in NATIVE else frames_of(value, encoding)
        for _, frame in pairs:
            stored = _native(value, encoding, frame.index) if frames is None else decoded(frames, encoding, frame.index)
            yield to_hu(stored, encoding, frame)


def to_hu(stored: Shaped[np.ndarray, "rows cols"], encoding: Encoding, frame: Frame) -> Plane:
    """HU = slope · stored + intercept (PS3.3, C.11.1), clamped to the CT range below, padding set to air."""
    assert frame.slope is not None
    assert frame.intercept is not None
    values, turned = _signed(stored, encoding)
    hu = _scaled(values, frame.slope, frame.intercept)
    padded = 0
    if _is_marked_high(encoding, frame):
        marked = stored == encoding.padding
        padded = int(np.count_nonzero(marked))
        hu[marked] = AIR_HU
    if hu.min() < AIR_HU:
        padded += int(np.count_nonzero(hu < AIR_HU))
        np.maximum(hu, AIR_HU, out=hu)
    return Plane(hu=hu, padded=padded, turned=turned)


def _scaled(values: Shaped[np.ndarray, "rows cols"], slope: float, intercept: float) -> Int16[np.ndarray, "rows cols"]:
    """Slope · values + intercept, rounded, held within 16 bits."""
    low, high = HU_LIMITS
    if slope == 1 and intercept.is_integer() and low <= values.min() + intercept and values.max() + intercept <= high:
        # 16-bit sums wrap around and back, so that unsigned values need no wider ones.
        return values.astype(np.int16) + np.array(int(intercept)).astype(np.int16)
    return np.rint(np.clip(values * slope + intercept, low, high)).astype(np.int16)


def _is_marked_high(encoding: Encoding, frame: Frame) -> bool:
    """Whether the padding value lies above all tissue and metal; below air it needs no looking at.

    In between it may be a true measurement, and is left alone.
    """
    if encoding.padding is None:
        return False
    return encoding.padding * (frame.slope or 0) + (frame.intercept or 0) >= HU_LIMITS[1]


def _signed(
    stored: Shaped[np.ndarray, "rows cols"], encoding: Encoding
) -> tuple[Shaped[np.ndarray, "rows cols"], bool]:
    """The values with the bits above the stored ones resolved.

    Unused high bits of unsigned values should be 0. Where they are not, they are either a sign that the header denies
    or, in old files, an overlay: the first if every value fits with its sign, and else they are masked.
    """
    bits = encoding.bits_stored
    if encoding.high_bit != bits - 1 or bits == 16:
        return stored, False
    if encoding.signed:
        return (stored << (16 - bits)) >> (16 - bits), False
    if int(stored.max(initial=0)) < 1 << bits:
        return stored, False
    values = stored.view(np.int16)
    if int(values.min()) >= -(1 << bits) and int(values.max()) < 1 << bits:
        return values, True
    return stored & np.uint16((1 << bits) - 1), False


def has_wrapped(hu: Int16[np.ndarray, "n rows cols"], encoding: Encoding) -> Bool[np.ndarray, " n"]:
    """Slices whose negative HU were stored modulo 4096 in 12 unsigned bits, as some archives hold them.

    Such a slice has no value below 0, and the air around the head lies near 4096 - 1000.
    """
    if encoding.signed or encoding.bits_stored != 12:
        return np.zeros(len(hu), bool)
    coarse = hu[:, ::4, ::4]
    lowest = coarse.min(axis=(1, 2))
    wrapped_air = (coarse > WRAPPED_FROM_HU).mean(axis=(1, 2))
    return (lowest > -100) & (wrapped_air > 0.05)


WRAPPED_FROM_HU = 4096 - 1100
WRAP_HU = 4096


def _pixel_value(path: Path, encoding: Encoding) -> memoryview:
    """The value of Pixel Data, up to the end of the file where its length is not defined."""
    data = _from_pixels_on(path, encoding)
    order = ">" if encoding.syntax == BIG_ENDIAN else "<"
    group, element = np.frombuffer(data, f"{order}u2", 2).tolist()
    if (group << 16 | element) != PIXEL_DATA:
        raise refusal("VAL_BITS")
    start = 8 if encoding.syntax == IMPLICIT else 12
    length = int(np.frombuffer(data, f"{order}u4", 1, start - 4)[0])
    if (length == UNDEFINED_LENGTH) == (encoding.syntax in NATIVE):
        raise refusal("ENC_BAD_PIXELS")
    return memoryview(data)[start : start + length]


def _from_pixels_on(path: Path, encoding: Encoding) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            if encoding.syntax == DEFLATED:
                return _inflated_pixels(file.read(MAX_FILE_MIB << 20), encoding)
            file.seek(encoding.pixels_at)
            data = file.read()
    except OSError:
        raise refusal("ENC_UNREADABLE") from None
    if len(data) < 12:
        raise refusal("ENC_TRUNCATED")
    return data


def _native(value: memoryview, encoding: Encoding, index: int) -> Shaped[np.ndarray, "rows cols"]:
    count = encoding.rows * encoding.columns
    if len(value) < 2 * count * encoding.frames:
        raise refusal("ENC_TRUNCATED")
    # A byte or two may fill up the element; a whole row more means that the matrix is another than the header says.
    if len(value) >= 2 * (count * encoding.frames + encoding.columns):
        raise refusal("ENC_BAD_PIXELS")
    order = ">" if encoding.syntax == BIG_ENDIAN else "<"
    kind = np.dtype(f"{order}{'i' if encoding.signed else 'u'}2")
    stored = np.frombuffer(value, kind, count, 2 * count * index).reshape(encoding.rows, encoding.columns)
    return stored.astype(kind.newbyteorder("="), copy=False)


def _inflated_pixels(data: bytes, encoding: Encoding) -> bytes:
    """From Pixel Data on, of a file whose elements are deflated behind the meta information."""
    start, _, _ = meta_of(data)
    return inflate(data[start:], INFLATE_LIMIT_MIB << 20)[encoding.pixels_at :]

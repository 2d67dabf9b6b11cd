"""Files to HU: stored values are read into their place in the volume, and scaled there."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import SEEK_END, BufferedIOBase, BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int16, Shaped

from molre.dicom.codes import refusal
from molre.dicom.codestream import CODECS, decode_into, frames_of
from molre.dicom.elements import UNDEFINED_LENGTH
from molre.dicom.encoding import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    INFLATE_LIMIT_MIB,
    NATIVE,
    PIXEL_DATA,
    inflate,
    meta_of,
    read_whole,
)
from molre.dicom.frames import Frame
from molre.dicom.header import Encoding, Header
from molre.volume import AIR_HU

OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
"""Extended Offset Table and its lengths (PS3.3, C.7.6.3.1.8): frames are found without them."""

FLOAT_PIXELS = frozenset({0x7FE00008, 0x7FE00009})
HU_LIMITS = (-32768, 32767)
KEPT_BYTES = 16 << 20
"""Several times what a frame of 512 x 512 takes to decode; half of the most that glibc heeds."""

Plane = Int16[np.ndarray, "rows cols"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Voxels:
    """Slices in HU.

    Attributes:
        hu: (slices, rows, columns), nowhere below ``AIR_HU``.
        padded: number of voxels that were below it, or marked as padding.
        turned: number of slices whose stored sign was wrong and is turned back.
        highest_hu: no voxel of a slice is higher.
    """

    hu: Int16[np.ndarray, "n rows cols"]
    padded: int
    turned: int
    highest_hu: Float64[np.ndarray, " n"]


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
    if frame.slope is None or frame.intercept is None or frame.slope <= 0:
        raise refusal("VAL_NO_RESCALE")


def read_voxels(slices: Sequence[tuple[Header, Frame]]) -> Voxels:
    """The slices in the order given, which are of one size; every file is opened once, wherever its slices lie.

    Raises:
        Rejection: ENC_TRUNCATED, ENC_UNSUPPORTED_TS, ENC_BAD_PIXELS, ENC_INFLATE_LIMIT, ENC_UNREADABLE, VAL_BITS.
    """
    _keep_freed()
    size = slices[0][0].encoding
    assert size is not None
    hu = np.empty((len(slices), size.rows, size.columns), np.int16)
    places: dict[Path, list[int]] = {}
    for place, (header, _) in enumerate(slices):
        places.setdefault(header.path, []).append(place)
    padded = turned = 0
    highest_hu = np.empty(len(slices))
    for path, there in places.items():
        encoding = slices[there[0]][0].encoding
        assert encoding is not None
        try:
            with _opened(path, encoding) as file:
                fill = _filler(file, encoding)
                for place in there:
                    frame = slices[place][1]
                    fill(hu[place], frame.index)
                    below, was_turned, highest_hu[place] = to_hu(hu[place], encoding, frame)
                    padded += below
                    turned += was_turned
        except OSError:
            raise refusal("ENC_UNREADABLE") from None
    return Voxels(hu=hu, padded=padded, turned=turned, highest_hu=highest_hu)


@functools.cache
def _keep_freed() -> None:
    """Has the process keep the memory that decoders and zlib free after every frame.

    glibc hands it back to the system page by page, until a larger piece has been freed once (mallopt(3),
    M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). Deflated files gain 15 %, JPEG 2000 gains 3 %.
    """
    bytearray(KEPT_BYTES)


def to_hu(plane: Plane, encoding: Encoding, frame: Frame) -> tuple[int, bool, int]:
    """HU = slope · stored + intercept (PS3.3, C.11.1), clamped to the CT range below, padding set to air; in place.

    Args:
        plane: 16 bits a value, as stored.
        encoding: what they mean.
        frame: their scale.

    Returns:
        The number of voxels that were padding, whether the stored sign was wrong and is turned back, and what no voxel
        is higher than.
    """
    stored = plane if encoding.signed else plane.view(np.uint16)
    marked = stored == encoding.padding if _is_marked_high(encoding, frame) else None
    span = int(stored.min()), int(stored.max())
    turned = False
    if _has_stray_bits(span, encoding):
        stored, turned = _cleaned(stored, encoding)
        span = int(stored.min()), int(stored.max())
    lowest, highest = _scale(stored, span, frame, plane)
    padded = 0
    if marked is not None:
        padded = int(np.count_nonzero(marked))
        plane[marked] = AIR_HU
    if lowest < AIR_HU:
        padded += int(np.count_nonzero(plane < AIR_HU))
        # A row and not a number, which numpy would compare with ten times slower.
        np.maximum(plane, np.full(plane.shape[1], AIR_HU, np.int16), out=plane)
    return padded, turned, highest


def _scale(
    stored: Shaped[np.ndarray, "rows cols"], span: tuple[int, int], frame: Frame, plane: Plane
) -> tuple[int, int]:
    """Slope · stored + intercept into the plane, rounded, held within 16 bits; returns lowest and highest value."""
    assert frame.slope is not None
    assert frame.intercept is not None
    low, high = HU_LIMITS
    slope, intercept = frame.slope, frame.intercept
    if slope == 1 and intercept.is_integer() and low <= span[0] + intercept and span[1] + intercept <= high:
        # 16-bit sums wrap around and back, so that unsigned values need no wider ones.
        plane += np.array(int(intercept)).astype(np.int16)
        return span[0] + int(intercept), span[1] + int(intercept)
    plane[...] = np.rint(np.clip(stored * slope + intercept, low, high))
    return int(plane.min()), int(plane.max())


def _is_marked_high(encoding: Encoding, frame: Frame) -> bool:
    """Whether the padding value lies above all tissue and metal; below air it needs no looking at.

    In between it may be a true measurement, and is left alone.
    """
    if encoding.padding is None:
        return False
    return encoding.padding * (frame.slope or 0) + (frame.intercept or 0) >= HU_LIMITS[1]


def _has_stray_bits(span: tuple[int, int], encoding: Encoding) -> bool:
    """Whether values from the lowest to the highest need more bits than are said to be stored."""
    bits = encoding.bits_stored
    least = -(1 << (bits - 1)) if encoding.signed else 0
    is_stray = span[0] < least or span[1] >= least + (1 << bits)
    if is_stray and encoding.high_bit != bits - 1:  # the values lie in the upper bits, as CT's must not (C.8.2.1.1)
        raise refusal("VAL_BITS")
    return is_stray


def _cleaned(
    stored: Shaped[np.ndarray, "rows cols"], encoding: Encoding
) -> tuple[Shaped[np.ndarray, "rows cols"], bool]:
    """The values with the bits above the stored ones resolved, in place, and whether their sign was wrong.

    Unused high bits of unsigned values should be 0. Where they are not, they are either a sign that the header denies
    or, in old files, an overlay: the first if every value fits with its sign, and else they are masked.
    """
    bits = encoding.bits_stored
    if encoding.signed:
        stored <<= 16 - bits
        stored >>= 16 - bits
        return stored, False
    values = stored.view(np.int16)
    if int(values.min()) >= -(1 << bits) and int(values.max()) < 1 << bits:
        return values, True
    stored &= np.uint16((1 << bits) - 1)
    return stored, False


def _filler(file: BufferedIOBase, encoding: Encoding) -> Callable[[Plane, int], None]:
    """What fills a plane with the stored values of a frame of the file.

    Raises:
        Rejection: the file has not the pixels that its header promises.
    """
    start, length = _pixel_value(file, encoding)
    if encoding.syntax in NATIVE:
        return functools.partial(_copy_frame, file=file, start=start, encoding=encoding)
    file.seek(start)
    frames = frames_of(file.read(length), encoding)
    return lambda plane, index: decode_into(plane, frames[index], encoding)


def _copy_frame(plane: Plane, index: int, file: BufferedIOBase, start: int, encoding: Encoding) -> None:
    file.seek(start + plane.nbytes * index)
    if file.readinto(plane.data) < plane.nbytes:
        raise refusal("ENC_TRUNCATED")
    if (encoding.syntax == BIG_ENDIAN) != (sys.byteorder == "big"):
        plane.byteswap(inplace=True)


def _opened(path: Path, encoding: Encoding) -> BufferedIOBase:
    """The file; one whose elements are deflated behind the meta information as if they were the whole of it."""
    if encoding.syntax != DEFLATED:
        return path.open("rb")
    data = read_whole(path)
    start, _, _ = meta_of(data)
    return BytesIO(inflate(data[start:], INFLATE_LIMIT_MIB << 20))


def _pixel_value(file: BufferedIOBase, encoding: Encoding) -> tuple[int, int]:
    """Where the value of Pixel Data starts, and how many bytes of it are there.

    Where its length is not defined, these are all to the end of the file.
    """
    order: Literal["big", "little"] = "big" if encoding.syntax == BIG_ENDIAN else "little"
    size, at = file.seek(0, SEEK_END), encoding.pixels_at
    tag, data = _element_at(file, at, order)
    for offsets in OFFSET_TABLES:
        if tag == offsets:
            at += 12 + int.from_bytes(data[8:], order)
            tag, data = _element_at(file, at, order)
    if tag != PIXEL_DATA:
        raise refusal("VAL_BITS" if tag in FLOAT_PIXELS else "ENC_BAD_FILE")
    start = 8 if encoding.syntax == IMPLICIT else 12
    length = int.from_bytes(data[start - 4 : start], order)
    is_native = encoding.syntax in NATIVE
    if not is_native and encoding.syntax not in CODECS:
        raise refusal("ENC_UNSUPPORTED_TS")
    if (length == UNDEFINED_LENGTH) == is_native:
        raise refusal("ENC_BAD_PIXELS")
    length = min(length, size - at - start)
    if is_native:
        _check_length(length, encoding)
    return at + start, length


def _element_at(file: BufferedIOBase, at: int, order: Literal["big", "little"]) -> tuple[int, bytes]:
    """Tag and first bytes of an element."""
    file.seek(at)
    data = file.read(12)
    if len(data) < 12:
        raise refusal("ENC_TRUNCATED")
    return int.from_bytes(data[:2], order) << 16 | int.from_bytes(data[2:4], order), data


def _check_length(length: int, encoding: Encoding) -> None:
    needed = 2 * encoding.rows * encoding.columns * encoding.frames
    if length < needed:
        raise refusal("ENC_TRUNCATED")
    # A byte or two may fill up the element; a whole row more means that the matrix is another than the header says.
    if length >= needed + 2 * encoding.columns:
        raise refusal("ENC_BAD_PIXELS")

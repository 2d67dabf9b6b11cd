"""Compressed pixels: the frames of an encapsulated Pixel Data element, checked to be whole, and decoded.

Which codec decodes which transfer syntax was chosen by measurement, ``tests/benchmarks/RESULTS.md``: the fastest of
those that neither crash on damaged frames nor make up what is missing from a frame that was cut.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16, Shaped
from pydicom import uid
from pydicom.encaps import generate_frames

from molre.dicom.codes import refusal
from molre.dicom.header import Encoding

_JPEG = frozenset(map(str, uid.JPEGTransferSyntaxes))
_JPEG_LS = frozenset(map(str, uid.JPEGLSTransferSyntaxes))
_JPEG_2000 = frozenset(
    map(
        str,
        (
            uid.JPEG2000Lossless,
            uid.JPEG2000,
            uid.HTJ2KLossless,
            uid.HTJ2KLosslessRPCL,
            uid.HTJ2K,
        ),
    )
)
_RLE = str(uid.RLELossless)

CODECS = (
    dict.fromkeys(_JPEG, "jpeg8_decode")
    | dict.fromkeys(_JPEG_LS, "jpegls_decode")
    | dict.fromkeys(_JPEG_2000, "jpeg2k_decode")
    | {_RLE: "dicomrle_decode"}
)
"""Transfer syntax to function of imagecodecs, which hold libjpeg-turbo, CharLS, OpenJPEG, and an RLE of its own."""

END_MARKER = b"\xff\xd9"
"""Last bytes of every JPEG, JPEG-LS and JPEG 2000 frame; decoders make up what is missing before it."""

_SIZE_2000 = b"\xff\x4f\xff\x51"
_NOT_A_SIZE = frozenset({0xC4, 0xC8, 0xCC})
_RLE_HEADER_BYTES = 64
_RLE_SEGMENTS = 2
"""One for the high bytes of all pixels, one for the low ones (PS3.5, G.2)."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """What a frame says of itself; none for ``signed`` where its format cannot tell."""

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool | None


def frames_of(value: bytes, encoding: Encoding) -> list[bytes]:
    """The frames of an encapsulated element (PS3.5, A.4).

    Raises:
        Rejection: ENC_UNSUPPORTED_TS, ENC_BAD_PIXELS, ENC_TRUNCATED.
    """
    if encoding.syntax not in CODECS:
        raise refusal("ENC_UNSUPPORTED_TS")
    try:
        frames = list(generate_frames(value, number_of_frames=encoding.frames))
    except Exception:  # noqa: BLE001 - damaged bytes raise whatever they like
        raise refusal("ENC_BAD_PIXELS") from None
    if len(frames) < encoding.frames:
        raise refusal("ENC_TRUNCATED")
    return frames


def decode_into(plane: Int16[np.ndarray, "rows cols"], frame: bytes, encoding: Encoding) -> None:
    """Fill a plane with a frame's stored values: the same 16 bits each as in an uncompressed file.

    Raises:
        Rejection: ENC_TRUNCATED, the frame lacks its end; ENC_BAD_PIXELS, it cannot be decoded or has another size
            than its header says; ENC_UNSUPPORTED_TS, the codec is not installed.
    """
    # Decoders allocate what the frame asks for, so it is compared before they are called.
    declared = _checked_segments(frame, encoding) if encoding.syntax == _RLE else _checked(frame, encoding)
    try:
        _decode(frame, encoding.syntax, plane.view(np.int16 if declared.signed else np.uint16))
    except ImportError:
        raise refusal("ENC_UNSUPPORTED_TS") from None
    except Exception:  # noqa: BLE001 - decoders raise whatever they like on damaged bytes
        raise refusal("ENC_BAD_PIXELS") from None
    if declared.signed not in (None, encoding.signed):
        _extend(plane.view(np.int16 if encoding.signed else np.uint16), declared.bits)


def _decode(frame: bytes, syntax: str, out: Shaped[np.ndarray, "rows cols"]) -> None:
    """Fill an array; codecs refuse one that is not of the frame's size and type."""
    # Imported here so that a machine without it reads all that is not compressed.
    import imagecodecs

    decode = getattr(imagecodecs, CODECS[syntax])
    if syntax == _RLE:
        if len(decode(frame, "<u2", out=out.data.cast("B"))) != out.nbytes:
            raise ValueError("not as many pixels as there should be")
    elif syntax in _JPEG_2000:
        decode(frame, numthreads=1, out=out)
    else:
        decode(frame, out=out)


def _extend(values: Shaped[np.ndarray, "rows cols"], bits: int) -> None:
    """Give the bits above the lowest ``bits``, in place, what the sign of the array's type demands.

    The sign is the header's to say: frames of JPEG-LS carry none, and those of JPEG 2000 contradict it at times.
    """
    values <<= 16 - bits
    values >>= 16 - bits


def _checked_segments(frame: bytes, encoding: Encoding) -> _Declared:
    """What an RLE frame declares, if its header points to segments within it (PS3.5, G.5): decoders follow it."""
    if len(frame) < _RLE_HEADER_BYTES:
        raise refusal("ENC_TRUNCATED")
    count, first, second = struct.unpack_from("<3I", frame)
    if count != _RLE_SEGMENTS or not _RLE_HEADER_BYTES <= first < second < len(frame):
        raise refusal("ENC_BAD_PIXELS")
    return _Declared(encoding.rows, encoding.columns, 1, 16, None)


def _checked(frame: bytes, encoding: Encoding) -> _Declared:
    """What the frame declares, if that is what the file's header says."""
    if not frame.rstrip(b"\0").endswith(END_MARKER):
        raise refusal("ENC_TRUNCATED")
    declared = _declared_2000(frame) if encoding.syntax in _JPEG_2000 else _declared_jpeg(frame)
    if declared is None or (declared.rows, declared.columns) != (encoding.rows, encoding.columns):
        raise refusal("ENC_BAD_PIXELS")
    if declared.samples != 1 or not 8 < declared.bits <= 16:
        raise refusal("ENC_BAD_PIXELS")
    return declared


def _declared_2000(frame: bytes) -> _Declared | None:
    """From the SIZ segment (ISO/IEC 15444-1, A.5.1)."""
    start = frame.find(_SIZE_2000, 0, 4096)
    if start < 0 or len(frame) < start + 43:
        return None
    width, height, left, top = struct.unpack_from(">4I", frame, start + 8)
    samples, depth = struct.unpack_from(">HB", frame, start + 40)
    return _Declared(height - top, width - left, samples, (depth & 0x7F) + 1, depth > 0x7F)


def _declared_jpeg(frame: bytes) -> _Declared | None:
    """From the start-of-frame segment (ITU-T T.81, B.2.2; T.87, C.2.2)."""
    at = 2
    while at + 10 <= len(frame):
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4])
        if frame[at] != 0xFF or marker == 0xDA:
            return None
        is_ls = marker == 0xF7
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_A_SIZE) or is_ls:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, at + 4)
            return _Declared(rows, columns, samples, bits, False if is_ls else None)
        at += 2 + length
    return None

"""Compressed pixels: the frames of an encapsulated Pixel Data element, checked to be whole, and decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Shaped
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

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
PLUGINS = (
    dict.fromkeys(_JPEG, "pylibjpeg")
    | dict.fromkeys(_JPEG_LS, "pyjpegls")
    | dict.fromkeys(_JPEG_2000, "pylibjpeg")
    | {str(uid.RLELossless): "pydicom"}
)
"""Transfer syntax to decoder. One each, named, so that a machine with another library gives the same pixels."""

END_MARKER = b"\xff\xd9"
"""Last bytes of every JPEG, JPEG-LS and JPEG 2000 frame; decoders make up what is missing before it."""

_SIZE_2000 = b"\xff\x4f\xff\x51"
_NOT_A_SIZE = frozenset({0xC4, 0xC8, 0xCC})


def frames_of(value: memoryview, encoding: Encoding) -> list[bytes]:
    """The frames of an encapsulated element (PS3.5, A.4).

    Raises:
        Rejection: ENC_UNSUPPORTED_TS, ENC_BAD_PIXELS, ENC_TRUNCATED.
    """
    if encoding.syntax not in PLUGINS:
        raise refusal("ENC_UNSUPPORTED_TS")
    try:
        frames = list(generate_frames(bytes(value), number_of_frames=encoding.frames))
    except Exception:  # noqa: BLE001 - damaged bytes raise whatever they like
        raise refusal("ENC_BAD_PIXELS") from None
    if len(frames) < encoding.frames:
        raise refusal("ENC_TRUNCATED")
    return frames


def decoded(frames: list[bytes], encoding: Encoding, index: int) -> Shaped[np.ndarray, "rows cols"]:
    """One frame's stored values.

    Raises:
        Rejection: ENC_TRUNCATED, the frame lacks its end; ENC_BAD_PIXELS, it cannot be decoded or has another size
            than its header says.
    """
    frame = frames[index]
    if encoding.syntax != uid.RLELossless:
        if not frame.rstrip(b"\0").endswith(END_MARKER):
            raise refusal("ENC_TRUNCATED")
        # Decoders allocate what the frame asks for, so it is compared before they are called.
        if _declared_size(frame, encoding.syntax) != (encoding.rows, encoding.columns):
            raise refusal("ENC_BAD_PIXELS")
    options: dict[str, Any] = {
        "number_of_frames": 1,
        "rows": encoding.rows,
        "columns": encoding.columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": encoding.photometric,
        "pixel_representation": int(encoding.signed),
        "bits_allocated": encoding.bits_allocated,
        "bits_stored": encoding.bits_stored,
        "pixel_keyword": "PixelData",
        "decoding_plugin": PLUGINS[encoding.syntax],
    }
    try:
        values, _ = get_decoder(encoding.syntax).as_array(encapsulate([frame], has_bot=False), raw=True, **options)
    except Exception:  # noqa: BLE001 - decoders raise whatever they like on damaged bytes
        raise refusal("ENC_BAD_PIXELS") from None
    if values.shape != (encoding.rows, encoding.columns) or values.dtype.itemsize != 2:
        raise refusal("ENC_BAD_PIXELS")
    return values


def _declared_size(frame: bytes, syntax: str) -> tuple[int, int] | None:
    """Rows and columns that the frame itself declares; none if it does not."""
    return _size_2000(frame) if syntax in _JPEG_2000 else _size_jpeg(frame)


def _size_2000(frame: bytes) -> tuple[int, int] | None:
    """From the SIZ segment (ISO/IEC 15444-1, A.5.1)."""
    start = frame.find(_SIZE_2000, 0, 4096)
    if start < 0 or len(frame) < start + 24:
        return None
    width, height, left, top = np.frombuffer(frame, ">u4", 4, start + 8).tolist()
    return height - top, width - left


def _size_jpeg(frame: bytes) -> tuple[int, int] | None:
    """From the start-of-frame segment (ITU-T T.81, B.2.2; T.87, C.2.2)."""
    at = 2
    while at + 9 <= len(frame):
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4])
        if frame[at] != 0xFF or marker == 0xDA:
            return None
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_A_SIZE) or marker == 0xF7:
            return int.from_bytes(frame[at + 5 : at + 7]), int.from_bytes(frame[at + 7 : at + 9])
        at += 2 + length
    return None

"""The bytes of a DICOM file: preamble, meta information, transfer syntax, and the elements before the pixels.

Parsing runs on bytes in memory, so that a length field cannot ask for more than is there, and a deflated file is
inflated here, within a limit, before pydicom sees it.
"""

from __future__ import annotations

import stat
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from molre.dicom.codes import refusal
from molre.errors import Rejection

HEAD_BYTES = 64 * 1024
"""First part of a file that is read for its header; headers of CT slices are 1 to 20 KiB."""

MAX_FILE_MIB = 2048
"""Largest file that is opened: an enhanced CT of 2,000 frames has 1 GiB."""

INFLATE_LIMIT_MIB = 64
"""What a deflated file may expand to: over a hundred slices of 512 x 512."""

PREAMBLE_BYTES = 128
PIXEL_DATA = 0x7FE00010
PIXEL_ELEMENTS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """The elements of a file up to a tag.

    Attributes:
        elements: those asked for.
        meta: the file meta information, empty where the file has none.
        syntax: transfer syntax, guessed where the file does not say.
        stopped: whether the last tag was reached; otherwise the bytes ended first.
        end: where the next element starts, counted in the bytes as stored, or as inflated.
    """

    elements: Dataset
    meta: Dataset
    syntax: uid.UID
    stopped: bool
    end: int


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings meanwhile: pydicom's quote header text, which may name a patient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_head(path: Path) -> bytes:
    """The first part of a file.

    Raises:
        Rejection: ENC_EMPTY, ENC_UNREADABLE, ENC_TOO_MANY_BYTES.
    """
    return _read(path, HEAD_BYTES)


def read_whole(path: Path) -> bytes:
    """All of a file; raises as `read_head` does."""
    return _read(path, -1)


def _read(path: Path, count: int) -> bytes:
    try:
        about = path.stat()
        # Opening a pipe or a device would wait for ever.
        if not stat.S_ISREG(about.st_mode):
            raise refusal("ENC_UNREADABLE")
        if about.st_size > MAX_FILE_MIB << 20:
            raise refusal("ENC_TOO_MANY_BYTES", limit_mib=MAX_FILE_MIB)
        with path.open("rb", buffering=0) as file:
            data = file.read(count)
    except OSError:
        raise refusal("ENC_UNREADABLE") from None
    if not data:
        raise refusal("ENC_EMPTY")
    return data


def has_preamble(data: bytes) -> bool:
    """Whether the bytes carry the DICM mark."""
    return data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM"


def parse(data: bytes, tags: list[int], last_tag: int) -> Parsed:
    """The elements asked for, of those before ``last_tag``.

    Raises:
        Rejection: ENC_INFLATE_LIMIT, ENC_BAD_FILE.
    """
    try:
        return _parse(data, tags, last_tag)
    except Rejection:
        raise
    except Exception:  # noqa: BLE001 - damaged bytes raise whatever they like, and what they say may be header text
        raise refusal("ENC_BAD_FILE") from None


def _parse(data: bytes, tags: list[int], last_tag: int) -> Parsed:
    stream = BytesIO(data)
    stream.seek(PREAMBLE_BYTES + 4 if has_preamble(data) else 0)
    meta = _meta(stream)
    syntax = uid.UID(str(meta.get("TransferSyntaxUID", "")).strip("\0 ")) or _guessed(data, stream.tell())
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        stream = BytesIO(inflate(data[stream.tell() :], INFLATE_LIMIT_MIB << 20))
    stopped = False

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal stopped
        stopped = tag >= last_tag
        return stopped

    elements = read_dataset(
        stream,
        syntax == uid.ImplicitVRLittleEndian,
        syntax != uid.ExplicitVRBigEndian,
        stop_when=stop,
        specific_tags=tags,
    )
    return Parsed(elements=elements, meta=meta, syntax=syntax, stopped=stopped, end=stream.tell())


def _meta(stream: BytesIO) -> Dataset:
    """Elements of group 2, always explicit and little endian (PS3.10, 7.1)."""
    start = stream.tell()
    if stream.read(2) != b"\x02\x00":
        stream.seek(start)
        return Dataset()
    stream.seek(start)
    return read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)


def meta_end(data: bytes) -> int:
    """Where the dataset starts, behind preamble and meta information."""
    stream = BytesIO(data)
    stream.seek(PREAMBLE_BYTES + 4 if has_preamble(data) else 0)
    _meta(stream)
    return stream.tell()


def _guessed(data: bytes, start: int) -> uid.UID:
    """Transfer syntax of a file without meta information: explicit if the first element names its type."""
    is_explicit = data[start + 4 : start + 6].isalpha() and data[start + 4 : start + 6].isupper()
    return uid.ExplicitVRLittleEndian if is_explicit else uid.ImplicitVRLittleEndian


def inflate(deflated: bytes, limit: int) -> bytes:
    """The raw deflate stream (PS3.5, A.5) expanded, as far as its bytes go.

    Raises:
        Rejection: ENC_INFLATE_LIMIT, there is more than ``limit`` bytes; ENC_BAD_FILE, it is no such stream.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = stream.decompress(deflated, limit + 1)
    except zlib.error:
        raise refusal("ENC_BAD_FILE") from None
    if len(data) > limit:
        raise refusal("ENC_INFLATE_LIMIT", limit_mib=limit >> 20)
    return data

"""The bytes of a DICOM file: preamble, meta information, transfer syntax, and the elements before the pixels.

A length in a file cannot ask for more than is there, since parsing runs on bytes in memory; a deflated file is inflated
here, within a limit.
"""

from __future__ import annotations

import logging
import stat
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from molre.dicom.codes import refusal
from molre.dicom.elements import Elements, walk

HEAD_BYTES = 32 * 1024
"""First part of a file that is read for its header; headers of CT slices are 1 to 20 KiB."""

MAX_FILE_MIB = 2048
"""Largest file that is opened: an enhanced CT of 2,000 frames has 1 GiB."""

INFLATE_LIMIT_MIB = 64
"""What a deflated file may expand to: over a hundred slices of 512 x 512."""

PREAMBLE_BYTES = 128
OTHER_FORMATS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MZ", b"\x7fELF", b"PK\3\4", b"%PDF", b"#!")
"""First bytes of TIFF, programs, archives, documents and scripts, which a preamble can hide (PS3.10, 7.5)."""

PIXEL_DATA = 0x7FE00010
FIRST_PIXEL_TAG = 0x7FE00001
"""Extended offset table, float and integer pixels all come from here on."""

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))
NATIVE = frozenset({IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED})
"""Transfer syntaxes whose pixels are not compressed (PS3.5, A.1 to A.3 and A.5)."""

_MEDIA_CLASS, _SYNTAX = 0x00020002, 0x00020010


# pydicom logs what it warns of, header text included; its errors reach us as exceptions all the same.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """A file up to a tag.

    Attributes:
        elements: those asked for; of a deflated file, ``end`` counts in the bytes as inflated.
        media_class: SOP class from the meta information, empty where the file has none.
        syntax: UID of the transfer syntax, guessed where the file does not say.
        oddities: codes of what is odd about the file and does no harm.
    """

    elements: Elements
    media_class: str
    syntax: str
    oddities: tuple[str, ...] = ()


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings meanwhile: pydicom's quote header text, which may name a patient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_head(path: Path, count: int = HEAD_BYTES) -> bytes:
    """The first bytes of a file; all of it if it is shorter.

    Raises:
        Rejection: ENC_EMPTY, ENC_UNREADABLE, ENC_TOO_MANY_BYTES.
    """
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


def read_whole(path: Path) -> bytes:
    """All of a file; raises as `read_head` does."""
    return read_head(path, -1)


def has_preamble(data: bytes) -> bool:
    """Whether the bytes carry the DICM mark."""
    return data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM"


def parse_file(path: Path, wanted: frozenset[int], last_tag: int) -> Parsed:
    """The elements asked for, from as much of a file as that takes.

    Raises:
        Rejection: ENC_*.
    """
    count = HEAD_BYTES
    while True:
        data = read_head(path, count)
        parsed = parse(data, wanted, last_tag)
        if parsed.elements.stopped or len(data) < count:
            return parsed
        # Headers of many frames are long, and yet their pixels are a hundred times longer.
        count *= 16


def parse(data: bytes, wanted: frozenset[int], last_tag: int) -> Parsed:
    """The elements asked for, of those before ``last_tag``.

    Raises:
        Rejection: ENC_INFLATE_LIMIT, ENC_BAD_FILE, ENC_BAD_SEQUENCE.
    """
    oddities = _oddities(data)
    start, media_class, syntax = meta_of(data)
    if syntax == DEFLATED:
        data, start = inflate(data[start:], INFLATE_LIMIT_MIB << 20), 0
    elements = walk(data, start, syntax == IMPLICIT, syntax != BIG_ENDIAN, wanted, last_tag)
    return Parsed(elements=elements, media_class=media_class, syntax=syntax, oddities=oddities)


def _oddities(data: bytes) -> tuple[str, ...]:
    if not has_preamble(data) or data[PREAMBLE_BYTES + 4 : PREAMBLE_BYTES + 6] != b"\x02\x00":
        return ("ENC_NO_META",)
    return ("ENC_PREAMBLE",) if data.startswith(OTHER_FORMATS) else ()


def meta_of(data: bytes) -> tuple[int, str, str]:
    """Where the dataset starts, its SOP class by the meta information, and its transfer syntax.

    The meta information is explicit and little endian in every file (PS3.10, 7.1).
    """
    start = PREAMBLE_BYTES + 4 if has_preamble(data) else 0
    media_class = syntax = ""
    if data[start : start + 2] == b"\x02\x00":
        meta = walk(data, start, False, True, frozenset({_MEDIA_CLASS, _SYNTAX}), 0x00030000)
        start, media_class, syntax = meta.end, meta.text(_MEDIA_CLASS), meta.text(_SYNTAX)
    return start, media_class, syntax or _guessed(data, start)


def _guessed(data: bytes, start: int) -> str:
    """Transfer syntax of a file without meta information: explicit if the first element names its type."""
    form = data[start + 4 : start + 6]
    return EXPLICIT if form.isalpha() and form.isupper() else IMPLICIT


def inflate(deflated: bytes, limit: int) -> bytes:
    """The raw deflate stream (PS3.5, A.5) expanded, as far as its bytes go.

    Raises:
        Rejection: ENC_INFLATE_LIMIT, there is more than ``limit`` bytes; ENC_BAD_FILE, it is no such stream.
    """
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, limit + 1)
    except zlib.error:
        raise refusal("ENC_BAD_FILE") from None
    if len(data) > limit:
        raise refusal("ENC_INFLATE_LIMIT", limit_mib=limit >> 20)
    return data

"""What is taken from a file's header, checked as it is read: one record a file, one slice an image frame."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from pydicom.charset import python_encoding

from molre.dicom.codes import refusal
from molre.dicom.demographics import age_band_of, sex_of
from molre.dicom.elements import Elements
from molre.dicom.encoding import FIRST_PIXEL_TAG, Parsed, parse_file
from molre.dicom.frames import ENHANCED_CLASSES, Frame, enhanced_frames
from molre.dicom.kernels import kernel_class, names_contrast
from molre.dicom.naming import PERSON_TAGS, names_nobody

CT_CLASSES = ENHANCED_CLASSES | {"1.2.840.10008.5.1.4.1.1.2"}
"""SOP classes of CT images (PS3.4, B.5)."""

MAX_LINES = 4096
"""Most rows or columns: four times the largest CT matrix in use."""

CHARSETS = frozenset({*python_encoding, "ISO_IR 203", "ISO 2022 IR 203"})
"""Defined terms of Specific Character Set (PS3.3, C.12.1.1.2), with the misspellings that pydicom knows."""

LOSSY_SYNTAXES = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 81))
"""JPEG baseline and extended, and JPEG-LS near-lossless: never without loss (PS3.5, A.4). JPEG 2000 may be either."""


class Tag(IntEnum):
    """The elements that are used, by their numbers in PS3.6."""

    CHARSET = 0x00080005
    IMAGE_TYPE = 0x00080008
    SOP_CLASS = 0x00080016
    SOP_INSTANCE = 0x00080018
    STUDY_DATE = 0x00080020
    MODALITY = 0x00080060
    MANUFACTURER = 0x00080070
    SERIES_DESCRIPTION = 0x0008103E
    PATIENT_NAME = 0x00100010
    PATIENT_ID = 0x00100020
    BIRTH_DATE = 0x00100030
    SEX = 0x00100040
    AGE = 0x00101010
    IDENTITY_REMOVED = 0x00120062
    CONTRAST_AGENT = 0x00180010
    SLICE_THICKNESS = 0x00180050
    KVP = 0x00180060
    BETWEEN_SLICES = 0x00180088
    KERNEL = 0x00181210
    POSITION = 0x00200032
    ORIENTATION = 0x00200037
    SAMPLES = 0x00280002
    PHOTOMETRIC = 0x00280004
    FRAMES = 0x00280008
    ROWS = 0x00280010
    COLUMNS = 0x00280011
    PIXEL_SPACING = 0x00280030
    BITS_ALLOCATED = 0x00280100
    BITS_STORED = 0x00280101
    HIGH_BIT = 0x00280102
    PIXEL_REPRESENTATION = 0x00280103
    PADDING = 0x00280120
    BURNED_IN = 0x00280301
    WINDOW_WIDTH = 0x00281051
    INTERCEPT = 0x00281052
    SLOPE = 0x00281053
    RESCALE_TYPE = 0x00281054
    LOSSY = 0x00282110


_WANTED = PERSON_TAGS | frozenset(map(int, Tag))
_SAFE_TEXT = re.compile(r"[\w+\-./ \\]{1,24}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How the pixels of a file are stored: the image pixel module (PS3.3, C.7.6.3) and where they start."""

    syntax: str
    pixels_at: int
    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """One file.

    Attributes:
        path: of the file.
        sop_class: what kind of object it is.
        sop_uid: SOP Instance UID as it is stored; not for writing down.
        modality: such as ``CT``.
        encoding: of its pixels; none for an object without pixels.
        planes: its image planes.
        kernel: convolution kernel, as in the file, for grouping; not for writing down.
        kernel_class: ``soft``, ``bone`` or ``unknown``.
        contrast: whether a contrast agent is named.
        burned_in: whether annotations are marked as burned into the pixels.
        between_mm: distance between slices that the header states, if any.
        notes: codes of what is odd about the file and does no harm.
        attributes: what may be written beside a volume.
    """

    path: Path
    sop_class: str
    sop_uid: bytes
    modality: str
    encoding: Encoding | None
    planes: tuple[Frame, ...]
    kernel: str
    kernel_class: str
    contrast: bool
    burned_in: bool
    between_mm: float | None
    notes: tuple[str, ...]
    attributes: dict[str, str | float | bool | None]


def read_header(path: Path) -> Header:
    """The header of a file, without its pixels.

    Raises:
        Rejection: ENC_*, the file cannot be read, or ends before its pixels, or they lie in a sequence without end;
            SER_MULTIFRAME.
    """
    parsed = parse_file(path, _WANTED, FIRST_PIXEL_TAG)
    try:
        return _header(path, parsed)
    except (ValueError, OverflowError):
        # What a conversion says quotes the value.
        raise refusal("ENC_BAD_VALUE") from None


def _header(path: Path, parsed: Parsed) -> Header:
    elements = parsed.elements
    sop_class = elements.text(Tag.SOP_CLASS) or parsed.media_class
    if not elements.stopped and sop_class in CT_CLASSES:
        raise refusal(elements.shortfall)
    values = elements.values
    known = _knows_characters(values.get(Tag.CHARSET, b""))
    kernel, description = _legible(elements, Tag.KERNEL, known), _legible(elements, Tag.SERIES_DESCRIPTION, known)
    return Header(
        path=path,
        sop_class=sop_class,
        sop_uid=values.get(Tag.SOP_INSTANCE, b""),
        modality=elements.text(Tag.MODALITY).upper(),
        encoding=_encoding(parsed) if elements.stopped else None,
        planes=_planes(path, parsed, sop_class) if elements.stopped else (),
        kernel=kernel,
        kernel_class=kernel_class(kernel, description, elements.first_number(Tag.WINDOW_WIDTH)),
        contrast=names_contrast(elements.text(Tag.CONTRAST_AGENT), description),
        burned_in=elements.text(Tag.BURNED_IN).upper() == "YES",
        between_mm=_length(values.get(Tag.BETWEEN_SLICES, b"")),
        notes=parsed.oddities
        + _notes(values.get(Tag.LOSSY, b""), values.get(Tag.IDENTITY_REMOVED, b""), parsed.syntax, known),
        attributes=_attributes(elements),
    )


# What the slices of a series share is made out once.
@functools.lru_cache
def _knows_characters(value: bytes) -> bool:
    """Whether the character sets that a header names are all ones that DICOM defines."""
    return all(word.strip("\0 ") in CHARSETS for word in value.decode("latin-1").split("\\"))


def _legible(elements: Elements, tag: Tag, known: bool) -> str:
    """Text to look for words in; of an unknown character set, only what lies within ASCII, which all of them share."""
    text = "\\".join(elements.words(tag))
    return text if known or text.isascii() else ""


@functools.lru_cache
def _length(value: bytes) -> float | None:
    """The number of a decimal string that nothing depends on; none where there is no such number."""
    try:
        number = float(value.strip(b"\0 "))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@functools.lru_cache
def _notes(lossy: bytes, identity_removed: bytes, syntax: str, known: bool) -> tuple[str, ...]:
    found = []
    if not known:
        found.append("ENC_CHARSET")
    if lossy.strip(b"\0 ") == b"01" or syntax in LOSSY_SYNTAXES:
        found.append("VAL_LOSSY")
    if identity_removed.strip(b"\0 ").upper() == b"NO":
        found.append("PHI_NOT_DEID")
    return tuple(found)


def _encoding(parsed: Parsed) -> Encoding:
    elements = parsed.elements
    rows, columns = elements.short(Tag.ROWS, 0), elements.short(Tag.COLUMNS, 0)
    if max(rows, columns) > MAX_LINES:
        raise refusal("ENC_TOO_MANY_PIXELS", limit=MAX_LINES)
    allocated = elements.short(Tag.BITS_ALLOCATED, 16)
    stored = elements.short(Tag.BITS_STORED, allocated)
    signed = elements.short(Tag.PIXEL_REPRESENTATION, 0) == 1
    return Encoding(
        syntax=parsed.syntax,
        pixels_at=elements.end,
        frames=max(1, int((elements.numbers(Tag.FRAMES) or (1,))[0])),
        rows=rows,
        columns=columns,
        samples=elements.short(Tag.SAMPLES, 1),
        photometric=elements.text(Tag.PHOTOMETRIC).upper() or "MONOCHROME2",
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=elements.short(Tag.HIGH_BIT, stored - 1),
        signed=signed,
        padding=elements.short(Tag.PADDING, 0, signed) if len(elements.values.get(Tag.PADDING, b"")) >= 2 else None,
    )


def _planes(path: Path, parsed: Parsed, sop_class: str) -> tuple[Frame, ...]:
    if sop_class in ENHANCED_CLASSES:
        return enhanced_frames(path, parsed)
    elements = parsed.elements
    slope, intercept = elements.numbers(Tag.SLOPE, 1), elements.numbers(Tag.INTERCEPT, 1)
    frame = Frame(
        index=0,
        position_mm=elements.numbers(Tag.POSITION, 3),
        orientation=elements.numbers(Tag.ORIENTATION, 6),
        pixel_mm=elements.numbers(Tag.PIXEL_SPACING, 2),
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        image_type=tuple(word.upper() for word in elements.words(Tag.IMAGE_TYPE)),
        unit=elements.text(Tag.RESCALE_TYPE).upper(),
    )
    return (frame,)


def _attributes(elements: Elements) -> dict[str, str | float | bool | None]:
    """What may be written down: sex and band of age, short technical words and numbers."""
    age, birth, scanned = (elements.values.get(tag, b"") for tag in (Tag.AGE, Tag.BIRTH_DATE, Tag.STUDY_DATE))
    found: dict[str, str | float | bool | None] = {
        "sex": sex_of(elements.values.get(Tag.SEX, b"")),
        "age_band": age_band_of(age, birth, scanned),
        "manufacturer": _safe(elements, Tag.MANUFACTURER),
        "kernel": _safe(elements, Tag.KERNEL),
    }
    for name, tag in (("slice_thickness_mm", Tag.SLICE_THICKNESS), ("kvp", Tag.KVP)):
        number = elements.first_number(tag)
        if number is not None:
            found[name] = number
    return found


def _safe(elements: Elements, tag: Tag) -> str | None:
    """A technical word; none if it has the look of anything else, or repeats what the header says of the patient."""
    text = "\\".join(elements.words(tag))
    return text if _SAFE_TEXT.fullmatch(text) and names_nobody(text, elements) else None

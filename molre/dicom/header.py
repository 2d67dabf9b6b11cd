"""What is taken from a file's header, checked as it is read: one record a file, one slice an image frame."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from molre.dicom.codes import refusal
from molre.dicom.encoding import PIXEL_ELEMENTS, Parsed, parse, read_head, read_whole
from molre.dicom.kernels import kernel_class, names_contrast

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
CT_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.2", ENHANCED_CT, LEGACY_ENHANCED_CT})
"""SOP classes of CT images (PS3.4, B.5)."""

MAX_LINES = 4096
"""Most rows or columns: four times the largest CT matrix in use."""

_KEYWORDS = (
    *("SOPClassUID", "Modality", "ImageType", "PatientName", "PatientID", "SeriesDescription"),
    *("Manufacturer", "ConvolutionKernel", "SliceThickness", "KVP", "ContrastBolusAgent", "BurnedInAnnotation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames"),
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "RescaleIntercept", "RescaleSlope", "WindowWidth", "LossyImageCompression"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_TAGS = [int(Tag(keyword)) for keyword in _KEYWORDS]
_SAFE_TEXT = re.compile(r"[\w+\-./ \\]{1,24}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Place and scale of one image plane; none where the header does not say.

    Attributes:
        index: position among the file's frames.
        position_mm: centre of the first pixel.
        orientation: direction cosines along a row, then along a column.
        pixel_mm: distance between rows, between columns.
        slope: HU a stored unit.
        intercept: HU of stored value 0.
        image_type: values of Image Type or Frame Type, in capitals.
    """

    index: int
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    image_type: tuple[str, ...]


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
        modality: such as ``CT``.
        patient_id: as in the file; not for writing down.
        encoding: of its pixels; none for an object without pixels.
        planes: its image planes.
        kernel: convolution kernel, as in the file, for grouping; not for writing down.
        kernel_class: ``soft``, ``bone`` or ``unknown``.
        contrast: whether a contrast agent is named.
        burned_in: whether annotations are marked as burned into the pixels.
        attributes: what may be written beside a volume.
    """

    path: Path
    sop_class: str
    modality: str
    patient_id: str
    encoding: Encoding | None
    planes: tuple[Frame, ...]
    kernel: str
    kernel_class: str
    contrast: bool
    burned_in: bool
    attributes: dict[str, str | float | bool]


def read_header(path: Path) -> Header:
    """The header of a file, without its pixels.

    Raises:
        Rejection: ENC_*, the file cannot be read, or ends before its pixels; SER_MULTIFRAME.
    """
    parsed = parse_header(path)
    try:
        return _header(path, parsed)
    except (ValueError, TypeError, AttributeError, OverflowError, NotImplementedError, LookupError):
        # What pydicom says when it converts a value quotes the value.
        raise refusal("ENC_BAD_VALUE") from None


def parse_header(path: Path) -> Parsed:
    """The elements of a file's header that are used."""
    data = read_head(path)
    parsed = parse(data, _TAGS, min(PIXEL_ELEMENTS))
    if not parsed.stopped and len(data) < path.stat().st_size:
        parsed = parse(read_whole(path), _TAGS, min(PIXEL_ELEMENTS))
    return parsed


def _header(path: Path, parsed: Parsed) -> Header:
    elements = parsed.elements
    sop_class = _text(elements, "SOPClassUID") or str(parsed.meta.get("MediaStorageSOPClassUID", ""))
    if not parsed.stopped and sop_class in CT_CLASSES:
        raise refusal("ENC_TRUNCATED")
    encoding = _encoding(parsed) if parsed.stopped else None
    description = _text(elements, "SeriesDescription")
    return Header(
        path=path,
        sop_class=sop_class,
        modality=_text(elements, "Modality").upper(),
        patient_id=_text(elements, "PatientID"),
        encoding=encoding,
        planes=_planes(elements, sop_class) if encoding else (),
        kernel=_joined(elements, "ConvolutionKernel"),
        kernel_class=kernel_class(_joined(elements, "ConvolutionKernel"), description, _loose(elements, "WindowWidth")),
        contrast=names_contrast(_text(elements, "ContrastBolusAgent"), description),
        burned_in=_text(elements, "BurnedInAnnotation").upper() == "YES",
        attributes=_attributes(elements),
    )


def _encoding(parsed: Parsed) -> Encoding:
    elements = parsed.elements
    rows, columns = (_whole(elements, keyword, 0) for keyword in ("Rows", "Columns"))
    if max(rows, columns) > MAX_LINES:
        raise refusal("ENC_TOO_MANY_PIXELS", limit=MAX_LINES)
    allocated = _whole(elements, "BitsAllocated", 16)
    stored = _whole(elements, "BitsStored", allocated)
    signed = _whole(elements, "PixelRepresentation", 0) == 1
    return Encoding(
        syntax=str(parsed.syntax),
        pixels_at=parsed.end,
        frames=max(1, _whole(elements, "NumberOfFrames", 1)),
        rows=rows,
        columns=columns,
        samples=_whole(elements, "SamplesPerPixel", 1),
        photometric=_text(elements, "PhotometricInterpretation").upper() or "MONOCHROME2",
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_whole(elements, "HighBit", stored - 1),
        signed=signed,
        padding=_padding(elements, signed),
    )


def _padding(elements: Dataset, signed: bool) -> int | None:
    """Pixel Padding Value, which an implicit transfer syntax leaves as bytes since its type hangs on the sign."""
    value = elements.get("PixelPaddingValue")
    if isinstance(value, bytes):
        return int.from_bytes(value[:2], "little", signed=signed) if len(value) >= 2 else None
    number = _loose(elements, "PixelPaddingValue")
    return None if number is None else int(number)


def _planes(elements: Dataset, sop_class: str) -> tuple[Frame, ...]:
    if sop_class in (ENHANCED_CT, LEGACY_ENHANCED_CT):
        return _enhanced_planes(elements)
    return (_plane(0, [elements]),)


def _enhanced_planes(elements: Dataset) -> tuple[Frame, ...]:
    """One plane a frame: its own functional groups first, then those that all frames share (PS3.3, C.7.6.16)."""
    shared = list(elements.get("SharedFunctionalGroupsSequence") or [])[:1]
    own = list(elements.get("PerFrameFunctionalGroupsSequence") or [])
    if len(own) != max(1, _whole(elements, "NumberOfFrames", 1)):
        raise refusal("SER_MULTIFRAME")
    groups = [
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
        "CTImageFrameTypeSequence",
    ]
    planes = []
    for index, frame in enumerate(own):
        items = [item for level in (frame, *shared) for group in groups for item in (level.get(group) or [])[:1]]
        planes.append(_plane(index, [*items, elements]))
    return tuple(planes)


def _plane(index: int, places: Sequence[Dataset]) -> Frame:
    """A plane from the first of the places that holds each value."""

    def first(keyword: str, count: int) -> tuple[float, ...] | None:
        return next((value for place in places if (value := _numbers(place, keyword, count))), None)

    slope, intercept = first("RescaleSlope", 1), first("RescaleIntercept", 1)
    types = next((place[key].value for key in ("FrameType", "ImageType") for place in places if key in place), None)
    return Frame(
        index=index,
        position_mm=first("ImagePositionPatient", 3),
        orientation=first("ImageOrientationPatient", 6),
        pixel_mm=first("PixelSpacing", 2),
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        image_type=tuple(str(value).upper().strip() for value in _listed(types)),
    )


def _attributes(elements: Dataset) -> dict[str, str | float | bool]:
    """Acquisition facts that may be written down: short technical words and numbers only."""
    found: dict[str, str | float | bool] = {
        "manufacturer": _safe(elements, "Manufacturer"),
        "kernel": _safe(elements, "ConvolutionKernel"),
        "lossy": _text(elements, "LossyImageCompression") == "01",
    }
    for name, keyword in (("slice_thickness_mm", "SliceThickness"), ("kvp", "KVP")):
        number = _loose(elements, keyword)
        if number is not None:
            found[name] = number
    return found


def _safe(elements: Dataset, keyword: str) -> str:
    """A technical word; empty if it has the look of anything else, or repeats a part of the patient's name or ID."""
    text = _joined(elements, keyword)
    person = re.findall(r"\w{3,}", f"{_joined(elements, 'PatientName')} {_text(elements, 'PatientID')}".lower())
    is_safe = _SAFE_TEXT.fullmatch(text) and not any(word in text.lower() for word in person)
    return text if is_safe else ""


def _listed(value: object) -> list[object]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _text(elements: Dataset, keyword: str) -> str:
    value = elements.get(keyword)
    return "" if value is None else str(value).strip("\0 ")


def _joined(elements: Dataset, keyword: str) -> str:
    return "\\".join(str(value).strip("\0 ") for value in _listed(elements.get(keyword)))


def _loose(elements: Dataset, keyword: str) -> float | None:
    """The first number of an element that nothing depends on; none where there is no such number."""
    try:
        return (_numbers(elements, keyword) or (None,))[0]
    except (ValueError, TypeError, OverflowError):
        return None


def _whole(elements: Dataset, keyword: str, absent: int) -> int:
    value = elements.get(keyword)
    return absent if value is None or value == "" else int(value)


def _numbers(elements: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The numbers of an element; none if it is absent or empty.

    Raises:
        ValueError: not numbers, not finite, or not as many as asked for.
    """
    values = tuple(float(value) for value in _listed(elements.get(keyword)))  # type: ignore[arg-type]
    if not values:
        return None
    if not all(map(math.isfinite, values)) or (count is not None and len(values) != count):
        raise ValueError("not the numbers expected")
    return values

"""Image planes: what places one in the patient and scales it to HU, also where one file holds many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from molre.dicom.codes import refusal
from molre.dicom.encoding import (
    BIG_ENDIAN,
    DEFLATED,
    FIRST_PIXEL_TAG,
    IMPLICIT,
    INFLATE_LIMIT_MIB,
    Parsed,
    inflate,
    meta_of,
    read_head,
    read_whole,
)

ENHANCED_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
"""Enhanced CT, and Legacy Converted Enhanced CT (PS3.4, B.5)."""

_GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
)


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
        unit: Rescale Type, in capitals; empty where the header does not say.
    """

    index: int
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    image_type: tuple[str, ...]
    unit: str


def enhanced_frames(path: Path, parsed: Parsed) -> tuple[Frame, ...]:
    """The planes of an enhanced CT file: values of a frame's own functional groups first, then those that all share.

    Source: PS3.3, C.7.6.16.

    Args:
        path: of the file.
        parsed: the same file up to its pixels.

    Raises:
        Rejection: SER_MULTIFRAME, the functional groups are absent, not as many as the frames, or unreadable.
    """
    try:
        dataset = _dataset(path, parsed)
        own = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
        frames = tuple(_frame(index, _places(item, shared, dataset)) for index, item in enumerate(own))
        count = int(dataset.get("NumberOfFrames") or 1)
    except Exception:  # noqa: BLE001 - damaged sequences raise whatever they like, and what they say may be header text
        raise refusal("SER_MULTIFRAME") from None
    if len(frames) != count:
        raise refusal("SER_MULTIFRAME")
    return frames


def _dataset(path: Path, parsed: Parsed) -> Dataset:
    """Everything before the pixels, sequences included."""
    syntax = parsed.syntax
    data = read_whole(path) if syntax == DEFLATED else read_head(path, parsed.elements.end)
    start, _, _ = meta_of(data)
    body = inflate(data[start:], INFLATE_LIMIT_MIB << 20) if syntax == DEFLATED else data[start:]
    return read_dataset(
        BytesIO(body),
        syntax == IMPLICIT,
        syntax != BIG_ENDIAN,
        stop_when=lambda tag, _vr, _length: tag >= FIRST_PIXEL_TAG,
    )


def _places(own: Dataset, shared: Sequence[Dataset], dataset: Dataset) -> list[Dataset]:
    """Where a value of a frame may be, in the order to look."""
    return [*(item for level in (own, *shared) for group in _GROUPS for item in (level.get(group) or [])[:1]), dataset]


def _frame(index: int, places: Sequence[Dataset]) -> Frame:
    slope, intercept = _first(places, "RescaleSlope", 1), _first(places, "RescaleIntercept", 1)
    types = next((place.get(key) for key in ("FrameType", "ImageType") for place in places if key in place), None)
    unit = next((place.get("RescaleType") for place in places if "RescaleType" in place), None)
    return Frame(
        index=index,
        position_mm=_first(places, "ImagePositionPatient", 3),
        orientation=_first(places, "ImageOrientationPatient", 6),
        pixel_mm=_first(places, "PixelSpacing", 2),
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        image_type=tuple(str(value).upper().strip() for value in _listed(types)),
        unit=str(unit or "").upper().strip(),
    )


def _first(places: Sequence[Dataset], keyword: str, count: int) -> tuple[float, ...] | None:
    """The numbers under a keyword in the first place that has them.

    Raises:
        ValueError: not finite, or not as many as asked for.
    """
    found = (tuple(float(str(value)) for value in _listed(place.get(keyword))) for place in places)
    values = next(filter(None, found), None)
    if values is not None and (len(values) != count or not all(map(math.isfinite, values))):
        raise ValueError("not the numbers expected")
    return values


def _listed(value: object) -> list[object]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]

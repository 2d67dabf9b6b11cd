"""A study's files to the one volume that stands for it, or to the reason why there is none."""

from __future__ import annotations

import dataclasses
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int16

from molre.dicom.codes import REFUSALS, refusal, repair
from molre.dicom.discovery import StudyFiles
from molre.dicom.encoding import quiet
from molre.dicom.geometry import SAME_PLACE_MM, check_steps, pixel_mm_of, tilt_repairs
from molre.dicom.kernels import BONE, SOFT
from molre.dicom.pixels import WRAP_HU, WRAPPED_FROM_HU, has_wrapped, read_planes
from molre.dicom.series import Candidate, Slice, candidates_of, choice_of, positions_of, ranked
from molre.errors import ConfigError, Rejection
from molre.volume import Stack

AIR_BELOW_HU = -300
TISSUE_RANGE_HU = (-300, 3000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The series that stands for a study.

    Attributes:
        stack: its slices from the feet to the head.
        attributes: facts that may be written beside the volume: short technical words, numbers and flags.
        repairs: what was mended, each as code and sentence.
        patient_id: as in the files; to be turned into a pseudonym before it is written.
        study_uid: the same.
        series_uid: the same.
    """

    stack: Stack
    attributes: dict[str, str | float | int | bool | list[str]]
    repairs: tuple[str, ...]
    patient_id: str
    study_uid: str
    series_uid: str


def read_study(files: StudyFiles, kernel: str = SOFT) -> Series:
    """The best axial series of a study, in HU.

    Where the best cannot be used, which may show only once its pixels are read, the next is tried; ``choice`` says so.

    Args:
        files: of one study, from `scan`.
        kernel: which reconstruction is wanted, ``soft`` or ``bone``.

    Raises:
        Rejection: no series can become a right volume; with the reason of the best one.
        ConfigError: no such kernel class.
    """
    if kernel not in (SOFT, BONE):
        raise ConfigError(f"unknown kernel class {kernel!r}: choose {SOFT} or {BONE}")
    with quiet():
        try:
            return _read(files, kernel)
        except (Rejection, MemoryError):
            raise
        except Exception as fault:  # noqa: BLE001 - the boundary: a study is refused, and its neighbours are not
            raise _unforeseen(fault) from None


def _unforeseen(fault: Exception) -> Rejection:
    """Names the place in the code; the exception's own words may quote the file."""
    places = traceback.extract_tb(fault.__traceback__)
    place = next(place for place in reversed(places) if Path(place.filename).parent == Path(__file__).parent)
    where = f"{type(fault).__name__} at {Path(place.filename).name}:{place.lineno}"
    return Rejection("ENC_BAD_FILE", f"{REFUSALS['ENC_BAD_FILE']} ({where})")


def _read(files: StudyFiles, kernel: str) -> Series:
    candidates = ranked(candidates_of(files), kernel)
    first_fault: Rejection | None = None
    for candidate in candidates:
        try:
            series = _series(files, candidate)
        except Rejection as fault:
            first_fault = first_fault or fault
            continue
        choice = choice_of(candidate, candidates, kernel)
        if candidate is not candidates[0] and first_fault is not None:
            choice = f"1 of {len(candidates)} series: a better one was refused ({first_fault.code})"
        return dataclasses.replace(series, attributes=series.attributes | {"choice": choice})
    assert first_fault is not None
    raise first_fault


def _series(files: StudyFiles, candidate: Candidate) -> Series:
    if candidate.fault is not None:
        raise candidate.fault
    assert candidate.layout is not None
    slices = [candidate.slices[index] for index in candidate.layout.order]
    hu, padded, turned = _voxels(slices)
    repeats = _repeats(hu, candidate.layout.heights_mm)
    if repeats.any():
        hu, slices = hu[~repeats], [pair for pair, repeat in zip(slices, repeats, strict=True) if not repeat]
    turned += _unwrap(hu, slices)
    heights_mm = candidate.layout.heights_mm[~repeats]
    repairs = [*tilt_repairs(candidate.layout.tilt_deg), *check_steps(heights_mm)]
    _check_range(hu)
    counted = {
        "GEO_DUP_POSITION": int(repeats.sum()),
        "SER_LOCALIZER": candidate.localizers,
        "VAL_PADDING": padded,
        "VAL_UNSIGNED_OVERFLOW": turned,
    }
    repairs += [repair(code, count=count) for code, count in counted.items() if count]
    return Series(
        stack=_stack(hu, slices),
        attributes=_attributes(candidate, slices, heights_mm, repairs),
        repairs=tuple(repairs),
        patient_id=files.patient_id,
        study_uid=files.study_uid,
        series_uid=candidate.series_uid,
    )


def _voxels(slices: list[Slice]) -> tuple[Int16[np.ndarray, "n rows cols"], int, int]:
    """HU of the slices, the number of padding voxels, and the number of slices whose sign was turned back."""
    encoding = slices[0][0].encoding
    assert encoding is not None
    hu = np.empty((len(slices), encoding.rows, encoding.columns), np.int16)
    padded = turned = 0
    for index, plane in enumerate(read_planes(slices)):
        hu[index] = plane.hu
        padded += plane.padded
        turned += plane.turned
    return hu, padded, turned


def _repeats(hu: Int16[np.ndarray, "n rows cols"], heights_mm: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Slices that lie where the one before lies and are equal to it.

    Raises:
        Rejection: GEO_DUP_POSITION, they differ.
    """
    same = np.append(False, np.diff(heights_mm) <= SAME_PLACE_MM)
    for index in np.flatnonzero(same):
        if not np.array_equal(hu[index], hu[index - 1]):
            raise refusal("GEO_DUP_POSITION")
    return same


def _unwrap(hu: Int16[np.ndarray, "n rows cols"], slices: list[Slice]) -> int:
    """Turns back, in place, negative HU that were stored modulo 4096; returns in how many slices."""
    encoding = slices[0][0].encoding
    assert encoding is not None
    wrapped = has_wrapped(hu, encoding)
    for index in np.flatnonzero(wrapped):
        plane = hu[index]
        plane[plane > WRAPPED_FROM_HU] -= WRAP_HU
    return int(wrapped.sum())


def _check_range(hu: Int16[np.ndarray, "n rows cols"]) -> None:
    """Refuses values that no head CT in HU has.

    Raises:
        Rejection: VAL_RANGE, no air anywhere, or no tissue.
    """
    # Every sixteenth row: whole rows are read at the speed of memory.
    coarse = hu[:, ::16]
    low, high = TISSUE_RANGE_HU
    if not np.any(coarse < AIR_BELOW_HU) or not np.any((coarse > low) & (coarse < high)):
        raise refusal("VAL_RANGE")


def _stack(hu: Int16[np.ndarray, "n rows cols"], slices: list[Slice]) -> Stack:
    frame = slices[0][1]
    directions = np.reshape(np.array(frame.orientation, float), (2, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Stack(
        hu=hu,
        origins_mm=positions_of(slices),
        row_direction=directions[0],
        column_direction=directions[1],
        pixel_mm=pixel_mm_of(frame.pixel_mm),
    )


def _attributes(
    candidate: Candidate, slices: list[Slice], heights_mm: np.ndarray, repairs: list[str]
) -> dict[str, str | float | int | bool | list[str]]:
    assert candidate.layout is not None
    return {
        **slices[0][0].attributes,
        "kernel_class": candidate.kernel,
        "contrast": candidate.contrast,
        "tilt_deg": round(candidate.layout.tilt_deg, 2),
        "slice_count": len(slices),
        "step_mm": round(float(np.median(np.diff(heights_mm))), 3),
        "coverage_mm": round(candidate.coverage_mm, 1),
        "repairs": repairs,
    }

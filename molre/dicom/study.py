"""A study's files to the one volume that stands for it, or to the reason why there is none."""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from molre.dicom.anatomy import check_head
from molre.dicom.choice import choice_of, passed_over, ranked
from molre.dicom.codes import REFUSALS, counted
from molre.dicom.discovery import StudyFiles
from molre.dicom.duplicates import repeats_of
from molre.dicom.encoding import quiet
from molre.dicom.geometry import check_steps, pixel_mm_of, spacing_repairs, tilt_repairs
from molre.dicom.kernels import BONE, SOFT, UNKNOWN
from molre.dicom.pixels import read_voxels
from molre.dicom.series import Candidate, Slice, offer_of, positions_of
from molre.dicom.values import check_range, saturated, unwrap
from molre.errors import ConfigError, Rejection
from molre.volume import Stack


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
    attributes: dict[str, str | float | int | bool | list[str] | None]
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
    offer = offer_of(files)
    candidates = ranked(offer.candidates, kernel)
    refused: dict[int, Rejection] = {}
    for candidate in candidates:
        try:
            series = _series(files, candidate, kernel)
        except Rejection as fault:
            refused[id(candidate)] = fault
            continue
        choice = choice_of(candidate, candidates, kernel)
        if refused:
            choice = f"1 of {len(candidates)} series: a better one was refused ({next(iter(refused.values())).code})"
        codes = {key: fault.code for key, fault in refused.items()}
        others = sorted([*offer.left_out, *passed_over(candidate, candidates, kernel, codes)])
        return dataclasses.replace(series, attributes=series.attributes | {"choice": choice, "passed_over": others})
    raise next(iter(refused.values()))


def _series(files: StudyFiles, candidate: Candidate, kernel: str) -> Series:
    if candidate.fault is not None:
        raise candidate.fault
    assert candidate.layout is not None
    slices = [candidate.slices[index] for index in candidate.layout.order]
    voxels = read_voxels(slices)
    hu, highest_hu = voxels.hu, voxels.highest_hu
    repeats = repeats_of(hu, candidate.layout.heights_mm, slices)
    kept = ~repeats.mask
    if not kept.all():
        hu, highest_hu, slices = hu[kept], highest_hu[kept], list(compress(slices, kept))
    heights_mm = candidate.layout.heights_mm[kept]
    encoding = slices[0][0].encoding
    assert encoding is not None
    turned = voxels.turned + unwrap(hu, encoding)
    check_range(hu)
    stack = _stack(hu, slices)
    repairs = [
        *tilt_repairs(candidate.layout.tilt_deg),
        *check_steps(heights_mm),
        *spacing_repairs((header.between_mm for header, _ in slices), stack.origins_mm, heights_mm),
        *check_head(hu, heights_mm, stack.pixel_mm),
        *repeats.repairs(),
        *counted(
            {
                "SER_LOCALIZER": candidate.localizers,
                "VAL_PADDING": voxels.padded,
                "VAL_UNSIGNED_OVERFLOW": turned,
                "VAL_SATURATED_12BIT": saturated(hu, slices, highest_hu),
            }
        ),
        *_notes(candidate, slices, kernel),
    ]
    return Series(
        stack=stack,
        attributes=_attributes(candidate, slices, heights_mm, repairs),
        repairs=tuple(repairs),
        patient_id=files.patient_id,
        study_uid=files.study_uid,
        series_uid=candidate.series_uid,
    )


def _notes(candidate: Candidate, slices: list[Slice], kernel: str) -> list[str]:
    """What is true of the series and mends nothing."""
    scales = len({(frame.slope, frame.intercept) for _, frame in slices})
    files = {header.path: header.notes for header, _ in slices}
    found = Counter(code for notes in files.values() for code in notes)
    found["VAL_PER_SLICE_RESCALE"] = scales if scales > 1 else 0
    found["SER_CONTRAST"] = candidate.contrast
    found["SER_KERNEL"] = candidate.kernel not in (kernel, UNKNOWN)
    return counted(dict(sorted(found.items())))


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
) -> dict[str, str | float | int | bool | list[str] | None]:
    assert candidate.layout is not None
    return {
        **slices[0][0].attributes,
        "lossy": any("VAL_LOSSY" in header.notes for header, _ in slices),
        "kernel_class": candidate.kernel,
        "contrast": candidate.contrast,
        "tilt_deg": round(candidate.layout.tilt_deg, 2),
        "slice_count": len(slices),
        "step_mm": round(float(np.median(np.diff(heights_mm))), 3),
        "coverage_mm": round(candidate.coverage_mm, 1),
        "repairs": repairs,
    }

"""The reconstructions of a study that could become its volume.

Localizers, reports, secondary captures, projections and parameter maps are left out, the last two by what Image Type
calls them. What else is a slice is decided by its geometry, not by the word DERIVED, which axial reformats of helical
scans bear too. A series is then split into its reconstructions (kernel, contrast, matrix, pixel size), since some
archives hold several under one UID. Of these the first is taken by, in this order:

1. usable: nothing in it forbids a volume;
2. no contrast agent;
3. coverage along the body of at least 0.75 of the longest one's, counted up to 160 mm, a head's height;
4. the kernel asked for, then an unknown one, then the other;
5. an original acquisition, then one derived from other images;
6. the longer coverage, in steps of 20 mm, up to 160 mm;
7. the finer step: thin slices are averaged into thick ones by the resampling, while nothing gives back what thick
   slices have lost;
8. the Series Instance UID, so that the order of files plays no part.

The rule itself is in ``molre.dicom.choice``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from molre.dicom.codes import refusal
from molre.dicom.discovery import StudyFiles
from molre.dicom.frames import Frame
from molre.dicom.geometry import LEAST_SLICES, Layout, check_pixels, is_axial, lay_out, pixel_mm_of, same_direction
from molre.dicom.header import CT_CLASSES, Header, read_header
from molre.dicom.kernels import UNKNOWN
from molre.dicom.pixels import check_readable
from molre.dicom.values import UNITS
from molre.errors import Rejection

MAX_FILES = 20_000
"""Most files of a study: ten times those of a long trauma scan with all its reconstructions."""

MAX_VOXEL_MIB = 4096
"""Most that the voxels of a series may take: eight thousand slices of 512 x 512."""

SPACING_DIGITS = 3
"""Decimals of a millimetre to which pixel spacings must agree."""

PROJECTIONS = frozenset({"MIP", "MINIP", "MINMIP", "PROJECTION IMAGE", "AVERAGE_IP", "VRT", "VOLREN", "SSD"})
"""Image types that are no slices. DERIVED is not among them: axial reformats of helical scans are called so too."""

MAPS = frozenset({"PERFUSION", "RCBF", "RCBV", "CBF", "CBV", "MTT", "TTP", "TMAX", "MAP", "SCREEN SAVE", "DOSE"})

SECONDARY_CLASSES = "1.2.840.10008.5.1.4.1.1.7."
"""Root of the secondary capture SOP classes (PS3.4, B.5)."""

Slice = tuple[Header, Frame]


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One reconstruction that could become the volume.

    Attributes:
        series_uid: of its series.
        slices: as met.
        layout: their order; none with a fault.
        kernel: ``soft``, ``bone`` or ``unknown``.
        fault: why it cannot be used, as far as headers tell.
        localizers: images of the same series that are left out as localizers.
    """

    series_uid: str
    slices: tuple[Slice, ...]
    layout: Layout | None
    kernel: str
    fault: Rejection | None
    localizers: int

    @property
    def contrast(self) -> bool:
        """Whether a contrast agent is named."""
        return any(header.contrast for header, _ in self.slices)

    @property
    def derived(self) -> bool:
        """Whether any slice is computed from other images (value 1 of Image Type, PS3.3, C.7.6.1.1.2)."""
        return any(frame.image_type[:1] == ("DERIVED",) for _, frame in self.slices)

    @property
    def label(self) -> tuple[str, ...]:
        """Tells candidates of one study apart, the same in every order of files; not for writing down."""
        if not self.slices:
            return (self.series_uid,)
        header, frame = self.slices[0]
        return self.series_uid, header.kernel, f"{header.contrast}", f"{_matrix(header)}", f"{frame.pixel_mm}"

    @property
    def coverage_mm(self) -> float:
        """Distance between the outermost slices."""
        return 0.0 if self.layout is None else float(self.layout.heights_mm[-1] - self.layout.heights_mm[0])

    @property
    def step_mm(self) -> float:
        """Median distance between neighbouring slices."""
        return float("inf") if self.layout is None else float(np.median(np.diff(self.layout.heights_mm)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a study has to choose from.

    Attributes:
        candidates: every reconstruction.
        left_out: of each series that holds none, the code of why.
    """

    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...]


def offer_of(study: StudyFiles) -> Offer:
    """Every reconstruction of a study, in the order of files.

    Raises:
        Rejection: SER_MIXED_PATIENT, ENC_TOO_MANY_FILES; or the study holds nothing but what is left out.
    """
    if len(set(study.patient_ids) - {""}) > 1:
        raise refusal("SER_MIXED_PATIENT")
    if sum(len(series.paths) for series in study.series) > MAX_FILES:
        raise refusal("ENC_TOO_MANY_FILES", limit=MAX_FILES)
    found: list[Candidate] = []
    left_out: list[str] = []
    all_dropped: Counter[str] = Counter()
    for series in study.series:
        headers, fault = _headers(series.paths)
        fault = fault or (Rejection(*series.fault) if series.fault else None)
        slices, dropped = _images(headers)
        all_dropped += dropped
        if fault is not None:
            found.append(_candidate(series.series_uid, slices, fault, 0))
        elif slices:
            found.extend(_split(series.series_uid, slices, dropped["SER_LOCALIZER"]))
        else:
            left_out.append(_main_reason(dropped))
    if not found:
        raise refusal(_main_reason(all_dropped))
    return Offer(candidates=tuple(found), left_out=tuple(left_out))


def _headers(paths: tuple[Path, ...]) -> tuple[list[Header], Rejection | None]:
    """The headers of a series, and the fault of the first file that has none."""
    headers, fault = [], None
    for path in paths:
        try:
            headers.append(read_header(path))
        except Rejection as found:
            fault = fault or found
    return headers, fault


def _images(headers: list[Header]) -> tuple[list[Slice], Counter[str]]:
    """The axial images among a series' files, and how many are left out for which reason."""
    kept: list[Slice] = []
    dropped: Counter[str] = Counter()
    for header in headers:
        for frame in header.planes or (None,):
            reason = _reason_to_drop(header, frame)
            if reason is None and frame is not None:
                kept.append((header, frame))
            else:
                dropped[str(reason)] += 1
    return kept, dropped


def _reason_to_drop(header: Header, frame: Frame | None) -> str | None:
    if f"{header.sop_class}.".startswith(SECONDARY_CLASSES):
        return "PHI_BURNED_IN" if header.burned_in else "SER_SECONDARY"
    if frame is None:
        return "SER_DOSE"
    if header.sop_class not in CT_CLASSES or header.modality not in ("CT", ""):
        return "SER_NOT_CT"
    types = set(frame.image_type)
    if "LOCALIZER" in types or "SCOUT" in types:
        return "SER_LOCALIZER"
    return "VAL_DERIVED" if types & (PROJECTIONS | MAPS) else None


def _main_reason(left_out: Counter[str]) -> str:
    """The most frequent code, for a series or study of which nothing is left."""
    return min(left_out, key=lambda code: (-left_out[code], code), default="SER_NOT_CT")


def _split(series_uid: str, slices: list[Slice], localizers: int) -> list[Candidate]:
    """A series' reconstructions, localizers that are not marked as such taken out."""
    placed = [pair for pair in slices if pair[1].position_mm is not None and pair[1].orientation is not None]
    if not placed:
        return [_candidate(series_uid, slices, refusal("GEO_NO_ORIENTATION"), localizers)]
    try:
        axial = [pair for pair in placed if is_axial(pair[1].orientation or ())]
    except Rejection as fault:
        return [_candidate(series_uid, slices, fault, localizers)]
    if not axial:
        return [_candidate(series_uid, slices, refusal("GEO_NOT_AXIAL"), localizers)]
    matrices = {_matrix(header) for header, _ in axial}
    unplaced = [header for header, frame in slices if frame.position_mm is None or frame.orientation is None]
    if any(_matrix(header) in matrices for header in unplaced):
        return [_candidate(series_uid, slices, refusal("GEO_NO_ORIENTATION"), localizers)]
    localizers += len(slices) - len(axial)
    groups: dict[object, list[Slice]] = {}
    for pair in axial:
        groups.setdefault(_reconstruction(*pair), []).append(pair)
    if _lie_side_by_side(list(groups.values())):
        return [_candidate(series_uid, axial, refusal("SER_MIXED_UID"), localizers)]
    return [_candidate(series_uid, group, None, localizers) for group in groups.values()]


def _matrix(header: Header) -> tuple[int, int]:
    assert header.encoding is not None
    return header.encoding.rows, header.encoding.columns


def _reconstruction(header: Header, frame: Frame) -> tuple[object, ...]:
    """What two slices of one reconstruction share."""
    spacing = tuple(round(step, SPACING_DIGITS) for step in frame.pixel_mm or ())
    return header.kernel, header.contrast, _matrix(header), spacing


def _lie_side_by_side(groups: list[list[Slice]]) -> bool:
    """Whether reconstructions share a series without sharing positions: parts of one volume.

    Two reconstructions of one scan overlap; the skull base in one field of view or kernel and the rest in another do
    not, and taking either of them would lose the other. A few stray slices are no reconstruction of their own either.
    """
    if len(groups) > 1 and min(map(len, groups)) < LEAST_SLICES:
        return True
    spans = []
    for group in groups:
        heights = [frame.position_mm[2] for _, frame in group if frame.position_mm is not None]
        spans.append((min(heights), max(heights)))
    return any(not _overlap(*pair) for pair in pairwise(sorted(spans)))


def _overlap(lower: tuple[float, float], upper: tuple[float, float]) -> bool:
    """Whether two spans share at least half of the shorter one."""
    shared = min(lower[1], upper[1]) - upper[0]
    return shared >= 0.5 * min(lower[1] - lower[0], upper[1] - upper[0])


def _candidate(series_uid: str, slices: list[Slice], fault: Rejection | None, localizers: int) -> Candidate:
    layout = None
    if fault is None:
        try:
            layout = _laid_out(slices)
        except Rejection as found:
            fault = found
    return Candidate(
        series_uid=series_uid,
        slices=tuple(slices),
        layout=layout,
        kernel=slices[0][0].kernel_class if slices else UNKNOWN,
        fault=fault,
        localizers=localizers,
    )


def _laid_out(slices: list[Slice]) -> Layout:
    """The order of the slices, once each of them is known to be usable.

    Raises:
        Rejection: ENC_TOO_MANY_BYTES, GEO_MIXED_ORIENTATION, GEO_SPACING_CONFLICT, VAL_RANGE, and what `lay_out`,
            `check_pixels` and `check_readable` raise.
    """
    first = slices[0][1].orientation
    assert first is not None
    rows, columns = _matrix(slices[0][0])
    if 2 * rows * columns * len(slices) > MAX_VOXEL_MIB << 20:
        raise refusal("ENC_TOO_MANY_BYTES", limit_mib=MAX_VOXEL_MIB)
    for header, frame in slices:
        check_readable(header, frame)
        pixel_mm_of(frame.pixel_mm)
        if not same_direction(first, frame.orientation or ()):
            raise refusal("GEO_MIXED_ORIENTATION")
        if frame.unit not in UNITS:
            raise refusal("VAL_RANGE")
    check_pixels(pixel_mm_of(slices[0][1].pixel_mm), (rows, columns))
    return lay_out(positions_of(slices), first)


def positions_of(slices: list[Slice]) -> Float64[np.ndarray, "n 3"]:
    """Centre of each slice's first pixel, mm."""
    return np.array([frame.position_mm for _, frame in slices], float)

"""A NIfTI file of a head CT as a stack of axial slices.

The header is checked before a voxel is read, and no more is read, inflated or held than what it says and what is there:
an uncompressed file is mapped, a compressed one is inflated up to the size that its header gives it.
"""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float64, Int16, Shaped
from nibabel.spatialimages import HeaderDataError

from molre.dicom.anatomy import check_head
from molre.dicom.codes import repair
from molre.dicom.encoding import read_head
from molre.dicom.geometry import LEAST_SLICES, PIXEL_RANGE_MM, Layout, lay_out, tilt_repairs
from molre.dicom.values import check_range
from molre.errors import Rejection
from molre.volume import AIR_HU, Stack

REFUSALS: dict[str, str] = {
    "NIFTI_NOT_NIFTI": "the file is named as NIfTI but is not, or its voxels lie in another file",
    "NIFTI_DAMAGED": "the NIfTI file is damaged or cut short",
    "NIFTI_TOO_LONG": "the NIfTI file holds more than the voxels that its header tells of",
    "NIFTI_NOT_3D": "the NIfTI file does not hold one volume",
    "NIFTI_SIZE": "the NIfTI file has too few slices or too many voxels for a head CT",
    "NIFTI_DATATYPE": "the voxels of the NIfTI file are no plain numbers",
    "NIFTI_NO_ORIENTATION": "the NIfTI file does not say which side is left: sform and qform are 0, or differ",
    "NIFTI_SPACING": "the voxel size or place in the NIfTI file cannot be that of a CT in millimetres",
    "NIFTI_NOT_HU": "the NIfTI file's values are not Hounsfield units: there is no air near -1000, or nothing else",
    "NIFTI_DUPLICATE": "a file beside this one has the same name but for its ending, and is read in its place",
}
"""Code to sentence. ENC_EMPTY, ENC_UNREADABLE, ENC_TOO_MANY_BYTES and GEO_* of ``molre.dicom.codes`` apply as well."""

HEADER_BYTES = 540
"""A NIfTI-2 header; that of NIfTI-1 has 348."""

MOST_BYTES = 2**30
"""Most bytes of voxels: as int16 far more than a head at half a millimetre."""

MOST_HEADER_BYTES = 2**24
"""Where the voxels may start at the latest: header extensions take some KiB."""

_GZIP = b"\x1f\x8b"
_CHUNK_BYTES = 2**20
_MAGIC_AT, _MAGIC_AT_2 = 344, 4
_MAGIC, _MAGIC_2 = b"n+1\0", b"n+2\0"

_FURTHEST_MM = 10_000
"""Largest coordinate of the first voxel: scanners count from the isocentre or from the end of the table."""

_LEAST_HANDEDNESS = 0.5
"""Axes nearer than this to lying in one plane are no scan's; a gantry tilted by 30 degrees makes 0.87."""

_TOP_HU = 3071
"""End of the 12-bit CT range, given to voxels that are infinite."""

# nibabel logs what it finds wrong with a header, with values of it; its errors reach us as exceptions all the same.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class NiftiScan:
    """What a NIfTI file holds.

    Attributes:
        stack: its slices, views of the mapped file where nothing had to be computed.
        attributes: for the store's columns of the same names; a NIfTI file says nothing of scanner or kernel.
    """

    stack: Stack
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What is needed of a checked header.

    Attributes:
        shape: (i, j, k).
        kind: of the stored values, in their byte order.
        offset: of the first voxel.
        slope: with ``inter``, stored values to HU.
        affine: voxel (i, j, k) to RAS mm.
    """

    shape: tuple[int, int, int]
    kind: np.dtype
    offset: int
    slope: float
    inter: float
    affine: Float64[np.ndarray, "4 4"]

    @property
    def end(self) -> int:
        """Where the voxels end."""
        return self.offset + math.prod(self.shape) * self.kind.itemsize

    @property
    def slack(self) -> int:
        """Bytes behind the end that tell of a wrong shape; less is padding."""
        return self.shape[0] * self.shape[1] * self.kind.itemsize


def is_nifti(start: bytes) -> bool:
    """Whether a file's first 348 bytes are those of a single-file NIfTI-1 or -2."""
    return start[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC or start[_MAGIC_AT_2 : _MAGIC_AT_2 + 4] == _MAGIC_2


def refusal(code: str) -> Rejection:
    """The exception for a code."""
    return Rejection(code, REFUSALS[code])


def slices_of(start: bytes) -> int | None:
    """Number of slices along the third stored axis, from a file's first bytes; none if they are no NIfTI header."""
    try:
        return _checked(_inflated_start(start)).shape[2]
    except Rejection:
        return None


def read_nifti(file: Path) -> NiftiScan:
    """The slices of a NIfTI file at their true positions, in HU.

    Axes are taken from the file's own orientation: sagittal or flipped storage is turned, nothing is resampled.

    Args:
        file: uncompressed or gzip, which is told from its content.

    Raises:
        Rejection: NIFTI_*, or ENC_* and GEO_* of ``molre.dicom.codes``: the file is damaged, not 3D, without
            orientation, or not in HU.
    """
    start = read_head(file, _CHUNK_BYTES)
    packed = start.startswith(_GZIP)
    header = _checked(_inflated_start(start) if packed else start)
    stored = _inflated(file, header) if packed else _mapped(file, header)
    turn = nib.io_orientation(header.affine)
    affine = header.affine @ nib.orientations.inv_ornt_aff(turn, header.shape)
    hu = _hu(_by_slices(nib.apply_orientation(stored, turn).transpose(2, 1, 0)), header)
    stack = Stack.of_array(hu, np.asarray(affine, np.float64))
    layout = lay_out(stack.origins_mm, (*stack.row_direction.tolist(), *stack.column_direction.tolist()))
    repairs = [*tilt_repairs(layout.tilt_deg), *_check_voxels(stack, layout)]
    return NiftiScan(stack=stack, attributes=_attributes(layout, repairs))


def _inflated_start(data: bytes) -> bytes:
    """The first bytes of a file, inflated if need be; fewer than a header's if it is damaged."""
    if not data.startswith(_GZIP):
        return data
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, HEADER_BYTES)
    except zlib.error:
        raise refusal("NIFTI_DAMAGED") from None


@np.errstate(all="ignore")  # what is no number is looked for, and found without numpy's warnings
def _checked(start: bytes) -> _Header:
    """The header in a file's first bytes.

    Raises:
        Rejection: it is none, is damaged, or tells of something else than a head CT.
    """
    if not is_nifti(start):
        raise refusal("NIFTI_NOT_NIFTI")
    kind = nib.Nifti1Header if start[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC else nib.Nifti2Header
    if len(start) < kind.sizeof_hdr:
        raise refusal("NIFTI_DAMAGED")
    try:
        header = kind(start[: kind.sizeof_hdr])
        shape = header.get_data_shape()
        slope, inter = header.get_slope_inter()
        offset = float(header.get_data_offset())
    except (HeaderDataError, ValueError, TypeError, OverflowError, ArithmeticError):
        raise refusal("NIFTI_DAMAGED") from None
    if len(shape) < 3 or set(shape[3:]) - {1}:
        raise refusal("NIFTI_NOT_3D")
    if not kind.sizeof_hdr <= offset <= MOST_HEADER_BYTES:
        raise refusal("NIFTI_DAMAGED")
    checked = _Header(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        kind=header.get_data_dtype(),
        offset=int(offset),
        slope=1.0 if slope is None else float(slope),
        inter=0.0 if inter is None else float(inter),
        affine=_affine(header),
    )
    _check(checked)
    return checked


def _check(header: _Header) -> None:
    if header.kind.kind not in "iuf":
        raise refusal("NIFTI_DATATYPE")
    if min(header.shape) < LEAST_SLICES or header.end > header.offset + MOST_BYTES:
        raise refusal("NIFTI_SIZE")
    low, high = PIXEL_RANGE_MM
    steps_mm = np.linalg.norm(header.affine[:3, :3], axis=0)
    if not np.all((steps_mm >= low) & (steps_mm <= high)) or np.abs(header.affine[:3, 3]).max() > _FURTHEST_MM:
        raise refusal("NIFTI_SPACING")


def _affine(header: nib.Nifti1Header) -> Float64[np.ndarray, "4 4"]:
    """Voxel to RAS mm: the sform, or the qform without one.

    Raises:
        Rejection: NIFTI_NO_ORIENTATION, there is neither, or one mirrors the other.
    """
    found = []
    for code, get in (("sform_code", header.get_sform), ("qform_code", header.get_qform)):
        if int(header[code]) == 0:
            continue
        try:
            affine = np.asarray(get(), np.float64)
        except (HeaderDataError, ValueError, ArithmeticError):
            continue
        if abs(_handedness(affine)) >= _LEAST_HANDEDNESS:
            found.append(affine)
    if not found or _handedness(found[0]) * _handedness(found[-1]) < 0:
        raise refusal("NIFTI_NO_ORIENTATION")
    return found[0]


def _handedness(affine: Float64[np.ndarray, "4 4"]) -> float:
    """Volume that unit steps along the axes span: 1 or -1 for axes at right angles, 0 for a singular affine."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not lengths.all():
        return 0.0
    return float(np.linalg.det(affine[:3, :3] / lengths))


def _mapped(file: Path, header: _Header) -> Shaped[np.ndarray, "i j k"]:
    """The stored values of an uncompressed file, read when they are used.

    Raises:
        Rejection: NIFTI_DAMAGED, NIFTI_TOO_LONG, ENC_UNREADABLE.
    """
    try:
        _check_length(file.stat().st_size, header)
        mapped = np.memmap(file, header.kind, "r", header.offset, header.shape, "F")
    except OSError:
        raise Rejection("ENC_UNREADABLE", "the file cannot be read from disk") from None
    return np.asarray(mapped)


def _inflated(file: Path, header: _Header) -> Shaped[np.ndarray, "i j k"]:
    """The stored values of a compressed file, inflated no further than its header justifies.

    Raises:
        Rejection: NIFTI_DAMAGED, NIFTI_TOO_LONG.
    """
    most, data = header.end + header.slack, bytearray()
    try:
        with gzip.open(file, "rb") as stream:
            while chunk := stream.read(min(_CHUNK_BYTES, most - len(data))):
                data += chunk
    except (OSError, zlib.error, EOFError):
        raise refusal("NIFTI_DAMAGED") from None
    _check_length(len(data), header)
    values = np.frombuffer(data, header.kind, math.prod(header.shape), header.offset)
    return values.reshape(header.shape, order="F")


def _check_length(length: int, header: _Header) -> None:
    if length < header.end:
        raise refusal("NIFTI_DAMAGED")
    if length >= header.end + header.slack:
        raise refusal("NIFTI_TOO_LONG")


def _by_slices(stored: Shaped[np.ndarray, "z y x"]) -> Shaped[np.ndarray, "z y x"]:
    """The same values with each slice in one piece of memory: otherwise every slice would fetch the whole file."""
    strides = np.abs(stored.strides)
    return stored if strides[0] == strides.max() else np.ascontiguousarray(stored)


def _hu(stored: Shaped[np.ndarray, "z y x"], header: _Header) -> Int16[np.ndarray, "z y x"]:
    """Stored values to HU: themselves where they are HU already, else slice by slice."""
    whole = header.slope == 1 and header.inter.is_integer() and header.kind.kind in "iu" and header.kind.itemsize <= 2
    if whole and header.inter == 0 and stored.dtype == np.int16:
        return stored
    hu = np.empty(stored.shape, np.int16)
    limits = np.iinfo(np.int16)
    for index, plane in enumerate(stored):
        if whole and abs(header.inter) < limits.max:
            hu[index] = np.clip(plane.astype(np.int32) + int(header.inter), limits.min, limits.max)
        else:
            values = plane.astype(np.float32 if header.kind.itemsize <= 4 else np.float64)
            values *= header.slope
            values += header.inter
            np.nan_to_num(values, copy=False, nan=limits.min, posinf=_TOP_HU, neginf=limits.min)
            hu[index] = np.rint(np.clip(values, limits.min, limits.max, out=values), out=values)
    return hu


def _check_voxels(stack: Stack, layout: Layout) -> list[str]:
    """What was found beside a head in HU.

    Raises:
        Rejection: NIFTI_NOT_HU, GEO_FOV, GEO_UPSIDE_DOWN.
    """
    try:
        check_range(stack.hu)
    except Rejection:
        raise refusal("NIFTI_NOT_HU") from None
    below = sum(int(np.count_nonzero(plane < AIR_HU)) for plane in stack.hu if plane.min() < AIR_HU)
    padding = [repair("VAL_PADDING", count=below)] if below else []
    return [*check_head(stack.hu, layout.heights_mm, stack.pixel_mm), *padding]


def _attributes(layout: Layout, repairs: list[str]) -> Mapping[str, Any]:
    heights_mm = layout.heights_mm
    return {
        "kernel_class": "unknown",
        "tilt_deg": round(layout.tilt_deg, 2) + 0.0,  # no -0.0
        "step_mm": round(float(np.median(np.diff(heights_mm))), 3),
        "coverage_mm": round(float(heights_mm[-1] - heights_mm[0]), 1),
        "slice_count": len(heights_mm),
        "choice": "the only volume",
        "passed_over": [],
        "repairs": repairs,
    }

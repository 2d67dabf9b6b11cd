"""A NIfTI file of a head CT as a stack of axial slices."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Float32, Float64
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from molre.errors import Rejection
from molre.volume import Stack

_MAGIC_AT, _MAGIC_AT_2 = 344, 4
_LEAST_AIR_HU = -400
"""A CT holds air; an image whose least value lies above this is no CT in HU, or was masked."""

MOST_VOXELS = 2**29
"""1 GiB of int16: far more than a head at half a millimetre."""


def is_nifti(start: bytes) -> bool:
    """Whether a file's first 348 bytes are those of a single-file NIfTI-1 or -2."""
    return start[_MAGIC_AT : _MAGIC_AT + 4] == b"n+1\0" or start[_MAGIC_AT_2 : _MAGIC_AT_2 + 4] == b"n+2\0"


def read_nifti(file: Path) -> Stack:
    """The slices of a NIfTI file at their true positions.

    Axes are taken from the file's own orientation: sagittal or flipped storage is turned, nothing is resampled.

    Args:
        file: uncompressed.

    Raises:
        Rejection: the file is damaged, not 3D, without orientation, or not in HU.
    """
    try:
        with file.open("rb") as stream:
            # From a stream and not by name: nibabel goes by a name's ending, and an upload has none.
            values, affine = _values(_kind(file).from_stream(stream))
    except (ImageFileError, HeaderDataError, OSError, ValueError, EOFError):
        raise Rejection("NIFTI_DAMAGED", "the NIfTI file is damaged or cut short") from None
    _check_hu(values)
    return Stack.of_array(values, affine)


def _kind(file: Path) -> type[nib.Nifti1Image]:
    """NIfTI-1 or -2, by the header's own size in either byte order."""
    with file.open("rb") as stream:
        start = stream.read(4)
    return nib.Nifti1Image if start in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") else nib.Nifti2Image


def _values(image: nib.Nifti1Image) -> tuple[Float32[np.ndarray, "z y x"], Float64[np.ndarray, "4 4"]]:
    """Voxels as (slice, row, column), and the affine from (column, row, slice) to RAS mm."""
    if len(image.shape) > 3 and set(image.shape[3:]) == {1}:
        image = image.slicer[(slice(None),) * 3 + (0,) * (len(image.shape) - 3)]
    _check_header(image)
    turned = nib.as_closest_canonical(image)
    values = np.asarray(turned.dataobj, np.float32)
    return np.ascontiguousarray(values.transpose(2, 1, 0)), np.asarray(turned.affine, np.float64)


def _check_header(image: nib.Nifti1Image) -> None:
    header = image.header
    if len(image.shape) != 3:
        raise Rejection("NIFTI_NOT_3D", "the NIfTI file does not hold one volume")
    if min(image.shape) < 2 or int(np.prod(image.shape, dtype=np.int64)) > MOST_VOXELS:
        raise Rejection("NIFTI_SIZE", "the NIfTI file has too few slices or too many voxels for a head CT")
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise Rejection(
            "NIFTI_NO_ORIENTATION", "the NIfTI file does not say which side is left (sform and qform are 0)"
        )
    affine = np.asarray(image.affine)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise Rejection("NIFTI_NO_ORIENTATION", "the NIfTI file's affine is singular")


def _check_hu(values: Float32[np.ndarray, "z y x"]) -> None:
    if not np.isfinite(values).all():
        np.nan_to_num(values, copy=False, nan=-1024.0, posinf=3071.0, neginf=-1024.0)
    if float(values.min()) > _LEAST_AIR_HU or float(values.max()) <= 0:
        raise Rejection("NIFTI_NOT_HU", "the NIfTI file's values are not Hounsfield units: air should be near -1000")

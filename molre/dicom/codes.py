"""Every reason code that a DICOM file, series or study is refused, repaired or passed over for, with its sentence.

``CODES.md`` lists them for users, with what to do. Sentences take numbers, and words of this program only, so that
nothing from a header can reach a log, a table or a reply.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

from molre.errors import Rejection

REFUSALS: dict[str, str] = {
    # Encoding: the bytes of a file.
    "ENC_EMPTY": "the file is empty",
    "ENC_NOT_DICOM": "the file is named as DICOM but is not",
    "ENC_UNREADABLE": "the file cannot be read from disk",
    "ENC_TRUNCATED": "the file ends before its pixels do",
    "ENC_BAD_FILE": "the file's structure cannot be read",
    "ENC_BAD_SEQUENCE": "a sequence in the header is broken or does not end",
    "ENC_BAD_VALUE": "a value that the geometry or the HU scale needs is not a valid number",
    "ENC_BAD_PIXELS": "the pixels cannot be decoded, or are not as many as the header says",
    "ENC_UNSUPPORTED_TS": "the pixels are stored in a transfer syntax that is not supported",
    "ENC_INFLATE_LIMIT": "the deflated file expands beyond {limit_mib} MiB",
    "ENC_TOO_MANY_BYTES": "a file, or the voxels of a series, take more than {limit_mib} MiB",
    "ENC_TOO_MANY_FILES": "the study has more than {limit} files",
    "ENC_ARCHIVE": "the file is an archive, which is not looked into: unpack it first",
    "ENC_TOO_MANY_PIXELS": "the image has more than {limit} rows or columns",
    "ENC_CRASHED": "reading it killed its process {times} times",
    "ENC_FAILED": "reading it failed with {kind} at {place}",
    # Series: which images make up a study.
    "SER_NO_UID": "the file does not say which study and series it belongs to",
    "SER_MIXED_PATIENT": "the study holds images of more than one patient",
    "SER_NOT_CT": "the study holds no CT images",
    "SER_LOCALIZER": "the study holds localizers only",
    "SER_SECONDARY": "the study holds secondary captures only",
    "SER_DOSE": "the study holds reports only, no images",
    "SER_DUPLICATE_SOP": "two images bear the same SOP Instance UID at one position, and differ",
    "SER_MIXED_UID": "images of differing kernel, matrix or pixel size lie side by side in one series",
    "SER_MULTIFRAME": "the multi-frame image lacks the place or the scale of its frames",
    # Geometry: where the slices lie.
    "GEO_NO_ORIENTATION": "position or orientation of an image is absent",
    "GEO_BAD_ORIENTATION": "the direction cosines are not two unit vectors at right angles",
    "GEO_MIXED_ORIENTATION": "one series holds axial slices of differing orientation",
    "GEO_NOT_AXIAL": "the slices are not axial",
    "GEO_TOO_FEW_SLICES": "axial slices at {count} positions, and a volume needs {least}",
    "GEO_DUP_POSITION": "differing images lie at one position",
    "GEO_MISSING_SLICE": "slices are missing: a gap of {gap_mm:.1f} mm where the step is {step_mm:.1f} mm",
    "GEO_SPACING_CONFLICT": "the pixel spacing is absent or out of range",
    "GEO_TILT": "a slice lies {sideways_mm:.0f} mm beside another, more than a tilt or another field of view explains",
    "GEO_ANISO_SWAP": "the height and the width of a pixel are exchanged: only then is the field square",
    "GEO_FOV": "the scan holds no head: the tissue at its upper end is too wide",
    "GEO_UPSIDE_DOWN": "head and feet are exchanged: the lower end closes as a vertex does, the upper is cut through",
    # Values: what the numbers mean.
    "VAL_NO_RESCALE": "rescale slope or intercept is absent, or the slope not above 0, so that the values are not HU",
    "VAL_RANGE": "the values are not HU: the header names another unit, or there is no air near -1000, or nothing else",
    "VAL_MONOCHROME1": "the grey scale is inverted (MONOCHROME1), so that the sign of HU is not certain",
    "VAL_COLOUR": "the image is in colour",
    "VAL_BITS": "the pixels are not whole numbers in the lower of 16 bits",
    "VAL_DERIVED": "the study holds projections or parameter maps only",
    "PHI_BURNED_IN": "the images are marked as having annotations burned in",
}
"""Code to sentence, for what is refused."""

REPAIRS: dict[str, str] = {
    "ENC_NO_META": "{count} files have no preamble or no meta information: their transfer syntax is told from the data",
    "ENC_CHARSET": "{count} files name an unknown character set: text beyond ASCII is not used",
    "ENC_PREAMBLE": "the preamble of {count} files is the start of another format: it is not looked at",
    "GEO_TILT": "the shear of a gantry tilt of {tilt_deg:.1f} degrees is undone",
    "GEO_IRREGULAR_STEP": "slice steps from {least_mm:.2f} to {most_mm:.2f} mm are kept at their true positions",
    "GEO_MISSING_SLICE": "{count} gaps of up to {gap_mm:.1f} mm are bridged by interpolation",
    "GEO_DUP_POSITION": "{count} slices that repeat another bit for bit are dropped",
    "GEO_SPACING_CONFLICT": "slices are said to be {stated_mm:.2f} mm apart: their positions, {step_mm:.2f} mm, hold",
    "GEO_FOV": (
        "the scan holds more than a head, or less: it is {length_mm:.0f} mm long, in a field of {field_mm:.0f} mm"
    ),
    "VAL_PADDING": "{count} voxels of padding are set to -1024 HU",
    "VAL_UNSIGNED_OVERFLOW": "values stored with the wrong sign in {count} slices are turned back",
    "VAL_SATURATED_12BIT": "{count} voxels lie at the top of the 12-bit range: metal may be denser than they say",
    "VAL_PER_SLICE_RESCALE": "the slices have {count} different scales: each is scaled by its own",
    "VAL_LOSSY": "{count} files were compressed with loss before they came here",
    "SER_LOCALIZER": "{count} localizer images in the series are left out",
    "SER_DUPLICATE_SOP": "{count} slices that are in the series twice, with one SOP Instance UID, are dropped",
    "SER_CONTRAST": "a contrast agent was given, and no usable series is without one",
    "SER_KERNEL": "the kernel is of the other kind than asked for, for want of a better series",
    "PHI_NOT_DEID": "{count} files say that the patient's identity was not removed: no name, date or UID is kept",
}
"""Code to sentence, for what is repaired, or noted, and written beside the volume."""

PASSED_OVER: dict[str, str] = {
    "SER_CONTRAST": "a contrast agent was given",
    "SER_COVERAGE": "it covers less of the head",
    "SER_KERNEL": "its kernel is not the one asked for",
    "SER_DERIVED": "it is derived from other images",
    "SER_THICKNESS": "its slices are further apart",
    "SER_EQUAL": "nothing sets it apart",
}
"""Code to sentence, for a usable series that another came before; what cannot be used bears its refusal's code."""


def refusal(code: str, **facts: int | float | str) -> Rejection:
    """The exception for a code, its sentence filled with numbers; words only ever come from this program."""
    return Rejection(code, REFUSALS[code].format(**facts))


def failure(error: Exception) -> Rejection:
    """The refusal for an error that nobody foresaw: its kind and place, since its message may quote a header."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return refusal("ENC_FAILED", kind=type(error).__name__, place=place)


def repair(code: str, **numbers: int | float) -> str:
    """One line that names a repair: code, colon, sentence."""
    return f"{code}: {REPAIRS[code].format(**numbers)}"


def counted(counts: Mapping[str, int]) -> list[str]:
    """One line for each repair that was needed."""
    return [repair(code, count=count) for code, count in counts.items() if count]

"""Every reason code that a DICOM file, series or study can be refused or repaired for, with its sentence.

Sentences take numbers only, so that nothing from a header can reach a log, a table or a reply.
"""

from __future__ import annotations

from molre.errors import Rejection

REFUSALS: dict[str, str] = {
    # Encoding: the bytes of a file.
    "ENC_EMPTY": "the file is empty",
    "ENC_NOT_DICOM": "the file is named as DICOM but is not",
    "ENC_UNREADABLE": "the file cannot be read from disk",
    "ENC_TRUNCATED": "the file ends before its pixels do",
    "ENC_BAD_FILE": "the file's structure cannot be read",
    "ENC_BAD_VALUE": "a value that the geometry or the HU scale needs is not a valid number",
    "ENC_BAD_PIXELS": "the pixels cannot be decoded, or are not as many as the header says",
    "ENC_UNSUPPORTED_TS": "the pixels are stored in a transfer syntax that is not supported",
    "ENC_INFLATE_LIMIT": "the deflated file expands beyond {limit_mib} MiB",
    "ENC_TOO_MANY_BYTES": "the file is larger than {limit_mib} MiB",
    "ENC_TOO_MANY_PIXELS": "the image has more than {limit} rows or columns",
    # Series: which images make up a study.
    "SER_NO_UID": "the file does not say which study and series it belongs to",
    "SER_MIXED_PATIENT": "the study holds images of more than one patient",
    "SER_NOT_CT": "the study holds no CT images",
    "SER_LOCALIZER": "the study holds localizers only",
    "SER_SECONDARY": "the study holds secondary captures only",
    "SER_DOSE": "the study holds reports only, no images",
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
    # Values: what the numbers mean.
    "VAL_NO_RESCALE": "rescale slope or intercept is absent, so that the values are not HU",
    "VAL_RANGE": "the values cannot be HU: there is no air, or nothing but air",
    "VAL_MONOCHROME1": "the grey scale is inverted (MONOCHROME1), so that the sign of HU is not certain",
    "VAL_COLOUR": "the image is in colour",
    "VAL_BITS": "the pixels do not have 16 bits",
    "VAL_DERIVED": "the study holds projections or parameter maps only",
    "PHI_BURNED_IN": "the images are marked as having annotations burned in",
}
"""Code to sentence, for what is refused."""

REPAIRS: dict[str, str] = {
    "GEO_TILT": "the shear of a gantry tilt of {tilt_deg:.1f} degrees is undone",
    "GEO_IRREGULAR_STEP": "slice steps from {least_mm:.2f} to {most_mm:.2f} mm are kept at their true positions",
    "GEO_MISSING_SLICE": "{count} gaps of up to {gap_mm:.1f} mm are bridged by interpolation",
    "GEO_DUP_POSITION": "{count} slices that repeat another bit for bit are dropped",
    "VAL_PADDING": "{count} voxels of padding are set to -1024 HU",
    "VAL_UNSIGNED_OVERFLOW": "values stored with the wrong sign in {count} slices are turned back",
    "SER_LOCALIZER": "{count} localizer images in the series are left out",
}
"""Code to sentence, for what is repaired and written beside the volume."""


def refusal(code: str, **numbers: int | float) -> Rejection:
    """The exception for a code, its sentence filled with numbers."""
    return Rejection(code, REFUSALS[code].format(**numbers))


def repair(code: str, **numbers: int | float) -> str:
    """One line that names a repair: code, colon, sentence."""
    return f"{code}: {REPAIRS[code].format(**numbers)}"

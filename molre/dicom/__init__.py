"""DICOM files to one CT series a study, with everything that was refused or repaired said by code.

The promise: never wrong silently. A study becomes a right volume, or a volume with what was repaired written beside it,
or a `molre.errors.Rejection` with a code of `molre.dicom.codes`.
"""

from molre.dicom.discovery import Inventory, Rejected, SeriesFiles, StudyFiles, scan, scan_files
from molre.dicom.pseudonym import Pseudonymiser, load_key
from molre.dicom.study import Series, read_study

__all__ = [
    "Inventory",
    "Pseudonymiser",
    "Rejected",
    "Series",
    "SeriesFiles",
    "StudyFiles",
    "load_key",
    "read_study",
    "scan",
    "scan_files",
]

"""Synthetic head CT whose findings are true by construction, written as real DICOM."""

from molre.phantom.config import CohortConfig
from molre.phantom.dicom import write_study
from molre.phantom.lesions import LESIONS
from molre.phantom.masks import read_masks, write_masks
from molre.phantom.sheet import draw_sheet, example
from molre.phantom.study import PhantomStudy, labels_row, make_study
from molre.phantom.table import WINDOWS, entries, implied_by
from molre.phantom.tissue import TISSUES

__all__ = [
    "LESIONS",
    "TISSUES",
    "WINDOWS",
    "CohortConfig",
    "PhantomStudy",
    "draw_sheet",
    "entries",
    "example",
    "implied_by",
    "labels_row",
    "make_study",
    "read_masks",
    "write_masks",
    "write_study",
]

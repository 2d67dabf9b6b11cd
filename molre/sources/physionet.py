"""PhysioNet CT-ICH: a NIfTI file a patient, and a row for each of its slices.

``ct_scans/049.nii`` are the scans, ``masks/`` beside them what was outlined in them. The rows of
``hemorrhage_diagnosis_raw_ct.csv`` name patient and slice, five types of hemorrhage, whether there is none, and whether
there is a fracture.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from molre.dicom import Pseudonymiser
from molre.location import Location
from molre.nifti import slices_of
from molre.sources.crosswalk import FRACTURE, HEMORRHAGE, crossed, gathered
from molre.sources.labels import Known
from molre.sources.nifti import NiftiFile, NiftiSource
from molre.sources.table import number_of, rows_of, value_of
from molre.tree import Tree

SCANS = "ct_scans"
TABLES = ("hemorrhage_diagnosis_raw_ct.csv", "hemorrhage_diagnosis.csv")
"""Names of the table, today's first."""

_TYPES = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural")
_NONE, _FRACTURE = "No_Hemorrhage", "Fracture_Yes_No"
_COLUMNS = (*_TYPES, _NONE, _FRACTURE)
_START_BYTES = 4096
"""Enough of a file for its header, compressed or not."""

_PATIENT, _SLICE, _ANY = "PatientNumber", "SliceNumber", "any"

CROSSWALK: dict[str, Sequence[str]] = {
    _ANY: HEMORRHAGE["any"],
    **{name: HEMORRHAGE[name.lower()] for name in _TYPES},
    _FRACTURE: FRACTURE,
}
"""Column, or any hemorrhage at all, to findings."""


@dataclass(frozen=True, slots=True)
class SliceRows:
    """The rows by patient.

    Attributes:
        by_patient: each row as values by column.
        tree: where the scans are.
    """

    by_patient: Mapping[int, Sequence[Mapping[str, int]]]
    tree: Tree
    _asked: set[int] = field(default_factory=set, repr=False)

    def known(self, file: NiftiFile) -> Known:
        """Labels of the patient whose number is the file's name."""
        number = int(file.stem) if file.stem.isdecimal() else None
        rows = self.by_patient.get(number, ()) if number is not None else ()
        if not rows or number is None:
            return Known(patient=file.stem)
        self._asked.add(number)
        return Known(labels=crossed(CROSSWALK, _gathered(rows, self._slices(file))), patient=file.stem)

    def unmatched(self) -> int:
        """Number of rows of patients of whom no scan was found."""
        return sum(len(rows) for number, rows in self.by_patient.items() if number not in self._asked)

    def _slices(self, file: NiftiFile) -> int | None:
        """Number of slices of a scan; none where it cannot be told, and then the scan will not be read either."""
        # What has no size may be a pipe, which would keep us waiting for ever.
        if not file.entry.size:
            return None
        try:
            return slices_of(self.tree.head(file.entry.name, _START_BYTES))
        except OSError:
            return None


def physionet_source(
    root: str, labels: str | None, pseudonymiser: Callable[[], Pseudonymiser], linkage: Path | None
) -> NiftiSource:
    """The cohort as it is distributed.

    Args:
        root: folder or URI that holds ``ct_scans/`` and, unless ``labels`` says otherwise, the table.
        labels: path or URI of the table.
        pseudonymiser: makes what names patients, studies and series; made for the search only.
        linkage: file that says which study was which; none by default.
    """
    return NiftiSource(
        root=root,
        pseudonymiser=pseudonymiser,
        labelling=functools.partial(read_rows, root, labels),
        name="physionet",
        folder=SCANS,
        masks=False,
        linkage=linkage,
    )


def _table_of(root: str, labels: str | None) -> Location:
    """The table that is asked for, else the newest of those that the cohort has had."""
    places = [Location.of(labels)] if labels else [Location.of(root) / name for name in TABLES]
    return next((place for place in places if place.exists()), places[0])


def read_rows(root: str, labels: str | None) -> SliceRows:
    """The table of slices.

    Raises:
        ConfigError: the file is absent or no CSV, lacks a column, or a row is not of the form; it is named by its line.
    """
    by_patient: dict[int, list[Mapping[str, int]]] = {}
    for line, row in rows_of(_table_of(root, labels), TABLES[0], (_PATIENT, _SLICE, *_COLUMNS)):
        numbers = {name: number_of(row[name], f"{line}, column {name}") for name in (_PATIENT, _SLICE)}
        values = {name: value_of(row[name], f"{line}, column {name}") for name in _COLUMNS}
        by_patient.setdefault(numbers[_PATIENT], []).append(numbers | values)
    return SliceRows(by_patient, Tree(Location.of(root)))


def _gathered(rows: Sequence[Mapping[str, int]], slices: int | None) -> dict[str, int]:
    """A study's labels from the rows of its slices: present in any, absent only where every slice has it absent.

    Any hemorrhage is absent only where each slice says so twice: no type is present, and none at all is.
    """
    complete = slices is None or len({row[_SLICE] for row in rows}) >= slices
    values = {}
    for name in (*_TYPES, _FRACTURE):
        told = [row[name] for row in rows]
        values[name] = gathered(1 in told, complete and set(told) == {0})
    none = all(row[_NONE] == 1 for row in rows)
    types = [values[name] for name in _TYPES]
    values[_ANY] = gathered(1 in types, none and set(types) == {0})
    return values

"""The labels CSV of a cohort: what is known of each study, and which split it is to be in."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from molre.dicom import StudyFiles
from molre.errors import ConfigError
from molre.findings import KEYS, UNKNOWN
from molre.location import Location
from molre.sources.table import text_of
from molre.store.schema import SPLITS

STUDY, PATIENT, SPLIT = "study", "patient", "split"

_ABSENT = 2
_VALUES = {"1": 1, "0": 0, "-1": UNKNOWN, "": UNKNOWN}


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a cohort's tables say of one study.

    Attributes:
        labels: by finding key; what is absent is unknown.
        split: the prescribed split, if there is one.
        patient: who was scanned, where the tables know better than the files.
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    split: str | None = None
    patient: str | None = None


@runtime_checkable
class Labelling(Protocol):
    """A cohort's tables, asked study by study."""

    def known(self, study: StudyFiles) -> Known:
        """What the tables say of a study."""

    def unmatched(self) -> int:
        """Number of studies (or patients) of the tables that nobody has asked for so far."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What one row says, in a hundred bytes: tables of large archives have many.

    Attributes:
        labels: a byte for each finding, `_ABSENT` where the row says nothing.
        split: as in `Known`; likewise ``patient``.
    """

    labels: bytes
    split: str | None
    patient: str | None

    @classmethod
    def of(cls, known: Known) -> Packed:
        """Pack what a row says."""
        labels = bytes(known.labels.get(key, _ABSENT) & 0xFF for key in KEYS)
        return cls(labels, known.split, known.patient)

    def known(self) -> Known:
        """What the row says."""
        told = zip(KEYS, memoryview(self.labels).cast("b"), strict=True)
        labels = {key: value for key, value in told if value != _ABSENT}
        return Known(labels=labels, split=self.split, patient=self.patient)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelTable:
    """Rows of a labels CSV by study and by patient.

    Attributes:
        by_study: by StudyInstanceUID.
        by_patient: by PatientID, from rows that name no study.
    """

    by_study: Mapping[str, Packed] = field(default_factory=dict)
    by_patient: Mapping[str, Packed] = field(default_factory=dict)
    _asked: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def known(self, study: StudyFiles) -> Known:
        """What the rows say: the patient's row, and over it the study's own."""
        return self.of(study.study_uid, study.patient_id)

    def of(self, study: str, patient: str) -> Known:
        """What the rows say of a study by its name and its patient's."""
        rows = self.by_study.get(study), self.by_patient.get(patient)
        self._asked.update(name for name, row in zip(((STUDY, study), (PATIENT, patient)), rows, strict=True) if row)
        own, shared = (row.known() if row else Known() for row in rows)
        return Known(
            labels={**shared.labels, **own.labels},
            split=own.split or shared.split,
            patient=own.patient,
        )

    def unmatched(self) -> int:
        """Number of rows whose study or patient nobody has asked for so far."""
        return len(self.by_study) + len(self.by_patient) - len(self._asked)


def read_labels(place: str | Path | Location) -> LabelTable:
    """The labels CSV at a path or URI.

    Columns: ``study`` (StudyInstanceUID) and/or ``patient`` (PatientID), any of the finding keys with 1, 0, -1 or
    blank for unknown, and ``split`` if the cohort prescribes it.

    Raises:
        ConfigError: the file is absent or no UTF-8 CSV, a column is unknown, or a row contradicts the above; rows are
            named by their line, never by their content.
    """
    where = Location.of(place)
    return _table(text_of(where), str(where))


def _table(text: str, where: str) -> LabelTable:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, where)
        by: dict[str, dict[str, Packed]] = {STUDY: {}, PATIENT: {}}
        for line, cells in _rows(reader, len(header), where):
            row = dict(zip(header, cells, strict=True))
            kind = STUDY if row.get(STUDY) else PATIENT
            name = row.get(kind, "")
            if not name:
                raise ConfigError(f"{where} line {line}: neither study nor patient is given")
            if name in by[kind]:
                raise ConfigError(f"{where} line {line}: this {kind} has a row already, give one row each")
            by[kind][name] = Packed.of(_known(row, f"{where} line {line}"))
    except csv.Error as error:
        raise ConfigError(f"{where} line {reader.line_num} is not CSV: {error}") from None
    return LabelTable(by_study=by[STUDY], by_patient=by[PATIENT])


def _check_header(header: Sequence[str], where: str) -> None:
    allowed = (STUDY, PATIENT, SPLIT, *KEYS)
    for at, name in enumerate(header, 1):
        if name not in allowed:
            # Its text may be a patient's: a table without a header begins with one.
            raise ConfigError(f"{where} line 1: column {at} is unknown{_near(name, allowed)}")
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ConfigError(f"{where} has the column {twice!r} twice")
    if STUDY not in header and PATIENT not in header:
        raise ConfigError(f"{where} needs a column 'study' (StudyInstanceUID) or 'patient' (PatientID)")


def _near(name: str, allowed: Sequence[str]) -> str:
    if ";" in name or "\t" in name:
        return ": separate the columns by commas"
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), allowed, n=3)
    if near:
        return f": did you mean {' or '.join(near)}?"
    return ": allowed are study, patient, split and the keys of molre/findings.csv"


def _rows(reader: Iterator[list[str]], width: int, where: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line they end on; blank lines are passed over."""
    for cells in reader:
        line = reader.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != width:
            raise ConfigError(f"{where} line {line} has {len(cells)} cells: the header has {width}")
        yield line, [cell.strip() for cell in cells]


def _known(row: Mapping[str, str], where: str) -> Known:
    split = row.get(SPLIT) or None
    if split is not None and split not in SPLITS:
        raise ConfigError(f"{where}: the split must be {', '.join(SPLITS)} or blank")
    labels = {key: _value(text, f"{where}, column {key}") for key, text in row.items() if key in KEYS and text}
    return Known(labels=labels, split=split, patient=(row.get(PATIENT) or None) if row.get(STUDY) else None)


def _value(text: str, where: str) -> int:
    # A table program turns a column of ones and blanks into 1.0 and blanks.
    plain = text.removesuffix(".0")
    if plain not in _VALUES:
        raise ConfigError(f"{where}: a label must be 1, 0, -1 (unknown) or blank")
    return _VALUES[plain]

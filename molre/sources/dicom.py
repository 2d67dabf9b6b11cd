"""A folder of DICOM files at any depth, and optionally a CSV of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8

from molre.dicom import Pseudonymiser, StudyFiles, read_study, scan
from molre.errors import ConfigError
from molre.location import Location
from molre.sources.labels import LabelTable, read_labels
from molre.volume import Grid, Volume, resample


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomCase:
    """A study of the tree, not read yet.

    Attributes:
        study: pseudonym; likewise ``patient``.
        path: its first file, relative to the root.
        fingerprint: of its files' names, sizes and times.
        labels: what the CSV knows of it.
        split: what the CSV prescribes.
        files: what the scan found.
        series: pseudonym by SeriesInstanceUID, so that no worker needs the key.
    """

    study: str
    patient: str
    path: str
    fingerprint: str
    labels: Int8[np.ndarray, "findings"]
    split: str | None
    files: StudyFiles = field(repr=False)
    series: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomSample:
    """A study as read.

    Attributes:
        volume: of the chosen series, on the asked grid.
        series: its pseudonym.
        attributes: how it was acquired, why it was chosen, and what was repaired.
    """

    volume: Volume
    series: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomFound:
    """What lies under the root.

    Attributes:
        cases: studies to read.
        refused: files that claim to be DICOM and cannot be read: path relative to the root, code, sentence.
        counts: for the manifest.
    """

    cases: tuple[DicomCase, ...]
    refused: tuple[tuple[str, str, str], ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomSource:
    """A cohort as a DICOM tree.

    Attributes:
        root: folder searched at any depth.
        pseudonymiser: makes what names patients, studies and series; made for the search only, so that the key stays
            on the machine of the job.
        labels: path or URI of the labels CSV; without one every label is unknown.
        name: what the manifest calls the source.
    """

    root: str
    pseudonymiser: Callable[[], Pseudonymiser]
    labels: str | None = None
    name: str = "dicom"

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Nothing: the files are there."""

    def find(self) -> DicomFound:
        """Look for studies, and match them with the labels.

        Raises:
            ConfigError: the root is absent or remote or holds no DICOM file, or the labels are wrong.
        """
        table = read_labels(self.labels) if self.labels else LabelTable()
        inventory = scan(self._folder())
        if not inventory.studies and not inventory.rejected:
            raise ConfigError(f"no DICOM files under {self.root} ({inventory.ignored} other files)")
        studies = inventory.studies
        name = self.pseudonymiser().of
        unmatched = table.unmatched([study.study_uid for study in studies], [study.patient_id for study in studies])
        return DicomFound(
            cases=tuple(_case(study, table, name) for study in studies),
            refused=tuple((file.path, file.code, file.sentence) for file in inventory.rejected),
            counts={"ignored_files": inventory.ignored, "label_rows_unmatched": unmatched},
        )

    def read(self, case: DicomCase, grid: Grid) -> DicomSample:
        """The chosen series of a study, on the grid.

        Raises:
            Rejection: it cannot become a right volume.
        """
        series = read_study(case.files)
        volume = resample(series.stack, grid)
        return DicomSample(volume=volume, series=case.series[series.series_uid], attributes=series.attributes)

    def _folder(self) -> Path:
        folder = Location.of(self.root).local
        if folder is None:
            raise ConfigError(f"the root {self.root} is remote: DICOM files are read from a local or mounted folder")
        if not folder.exists():
            raise ConfigError(f"no such folder: {folder}")
        return folder


def _case(files: StudyFiles, table: LabelTable, name: Callable[[str, str], str]) -> DicomCase:
    # Without a Patient ID each study counts as a patient; one patient of all would put them into one split.
    person = files.patient_id or files.study_uid
    return DicomCase(
        study=name(files.study_uid, "study"),
        patient=name(person, "patient"),
        path=files.name,
        fingerprint=_fingerprint(files),
        labels=table.labels(files.study_uid, files.patient_id),
        split=table.split(files.study_uid, files.patient_id),
        files=files,
        series={series.series_uid: name(series.series_uid, "series") for series in files.series},
    )


def _fingerprint(files: StudyFiles) -> str:
    """Changes when a file is added, removed, or written anew."""
    told = hashlib.sha256()
    for path in (path for series in files.series for path in series.paths):
        state = path.stat()
        told.update(f"{path.name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return told.hexdigest()

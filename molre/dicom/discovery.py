"""Files of a folder, at any depth, gathered into studies and series."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from molre.dicom.codes import refusal
from molre.dicom.encoding import has_preamble, parse_head, read_head
from molre.errors import MolreError, Rejection

SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
"""Endings that claim a file to be DICOM, so that one which is not is reported."""

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_PATIENT, _STUDY, _SERIES = 0x00100020, 0x0020000D, 0x0020000E
_IDENTIFIERS = frozenset({_PATIENT, _STUDY, _SERIES})


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesFiles:
    """Files of one series, in the order they were met."""

    series_uid: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFiles:
    """Files of one study.

    Attributes:
        study_uid: Study Instance UID, as in the files: identifies the patient, keep it out of what is written.
        patient_ids: every Patient ID met, usually one.
        series: in the order of the first file of each.
        name: the first file's path below the root, to say which study was refused.
    """

    study_uid: str
    patient_ids: tuple[str, ...]
    series: tuple[SeriesFiles, ...]
    name: str

    @property
    def patient_id(self) -> str:
        """The first Patient ID that is not empty; empty if there is none."""
        return next(filter(None, self.patient_ids), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """One refused file or study: a line of ``rejected.csv``."""

    path: str
    code: str
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What a folder holds.

    Attributes:
        studies: in the order of their first file.
        rejected: files that claim to be DICOM and cannot be read.
        ignored: number of other files.
    """

    studies: list[StudyFiles]
    rejected: list[Rejected]
    ignored: int


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    patient_id: str
    study_uid: str
    series_uid: str


def scan(root: Path | str) -> Inventory:
    """Every study below a folder; sorted order, so that two scans of the same files agree.

    Raises:
        MolreError: the folder is absent.
    """
    root = Path(root)
    if not root.exists():
        raise MolreError(f"no such folder: {root}")
    return scan_files(_walk(root), root if root.is_dir() else root.parent)


def scan_files(paths: Iterable[Path], root: Path) -> Inventory:
    """Every study among the given files; ``root`` is what their names in reports are relative to."""
    studies: dict[str, list[_Entry]] = {}
    rejected: list[Rejected] = []
    ignored = 0
    for path in paths:
        try:
            entry = _entry(path)
        except Rejection as fault:
            rejected.append(Rejected(path=_name(path, root), code=fault.code, sentence=fault.sentence))
            continue
        if entry is None:
            ignored += 1
        else:
            studies.setdefault(entry.study_uid, []).append(entry)
    found = [_study(entries, root) for entries in studies.values()]
    return Inventory(studies=found, rejected=rejected, ignored=ignored)


def _walk(root: Path) -> Iterator[Path]:
    """Files in sorted order. Linked folders are not entered: they could lead in circles or out of the archive."""
    if root.is_file():
        yield root
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(names))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _entry(path: Path) -> _Entry | None:
    """The file's place among studies; none for a file that does not claim to be DICOM.

    Raises:
        Rejection: the file claims to be DICOM and cannot be read.
    """
    # "._name" is what macOS writes beside each file of an archive.
    claims = path.suffix.lower() in SUFFIXES and not path.name.startswith("._")
    try:
        data, is_all = read_head(path)
    except Rejection:
        if claims:
            raise
        return None
    if not has_preamble(data) and not _looks_raw(data):
        if claims:
            raise refusal("ENC_NOT_DICOM")
        return None
    parsed = parse_head(path, data, is_all, _IDENTIFIERS, _SERIES + 1)
    if parsed.media_class == DICOMDIR_CLASS:
        return None
    patient_id, study_uid, series_uid = (parsed.elements.text(tag) for tag in (_PATIENT, _STUDY, _SERIES))
    if study_uid and series_uid:
        return _Entry(path, patient_id, study_uid, series_uid)
    raise refusal("SER_NO_UID" if parsed.elements.stopped else "ENC_TRUNCATED")


def _looks_raw(data: bytes) -> bool:
    """Whether the bytes start as a dataset without preamble does: group 2 or 8, then a small element number."""
    return data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] in (b"\x00", b"\x01")


def _study(entries: list[_Entry], root: Path) -> StudyFiles:
    series: dict[str, list[Path]] = {}
    for entry in entries:
        series.setdefault(entry.series_uid, []).append(entry.path)
    return StudyFiles(
        study_uid=entries[0].study_uid,
        patient_ids=tuple(dict.fromkeys(entry.patient_id for entry in entries)),
        series=tuple(SeriesFiles(series_uid=uid, paths=tuple(paths)) for uid, paths in series.items()),
        name=_name(entries[0].path, root),
    )

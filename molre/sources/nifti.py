"""A tree of NIfTI files, local or remote, a study each, and optionally a table of labels."""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int8

from molre.dicom import Pseudonymiser
from molre.dicom.codes import refusal
from molre.dicom.encoding import MAX_FILE_MIB
from molre.dicom.naming import masked
from molre.errors import ConfigError, Rejection
from molre.findings import label_vector
from molre.location import Location
from molre.nifti import read_nifti
from molre.nifti import refusal as nifti_refusal
from molre.sources.found import FoundStudies, ReadStudy
from molre.sources.labels import Known, LabelTable, read_labels
from molre.sources.linkage import Link, write_linkage
from molre.sources.reach import within_reach
from molre.tree import Entry, Tree
from molre.volume import Grid, resample

_ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:^|[/_])(sub-[0-9A-Za-z]+)(?=[/_.]|$)")
"""The BIDS entity that names the person; of several in a path, the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NiftiFile:
    """A file as tables may name it.

    Attributes:
        entry: where it is.
        study: path relative to the root, without ``.nii`` or ``.nii.gz``.
        alone: whether no other file of the cohort has the same bare name.
    """

    entry: Entry
    study: str
    alone: bool

    @property
    def stem(self) -> str:
        """The bare name, without folders and without its ending."""
        return self.study.rpartition("/")[2]

    @property
    def patient(self) -> str:
        """The BIDS subject where the path has one, else the study."""
        subject = _SUBJECT.search(self.study)
        return subject[1] if subject else self.study

    @property
    def names(self) -> tuple[str, ...]:
        """What a table may call it: with or without folders where that is no other file's, with or without ending."""
        bare = (self.stem, self.entry.name.rpartition("/")[2]) if self.alone else ()
        return self.study, self.entry.name, *bare


class FileLabelling(Protocol):
    """A cohort's tables, asked file by file."""

    def known(self, file: NiftiFile) -> Known:
        """What the tables say of a file."""

    def unmatched(self) -> int:
        """Number of rows of the tables that no file was asked for so far."""


@dataclass(frozen=True, slots=True)
class FileTable:
    """The general labels CSV, its studies being files."""

    table: LabelTable = field(default_factory=LabelTable)

    def known(self, file: NiftiFile) -> Known:
        """What the rows say: the patient's row, and over it the file's own; the row's patient wins over the path's."""
        study = next((name for name in file.names if name in self.table.by_study), file.study)
        own = self.table.by_study.get(study)
        patient = (own.patient if own else None) or file.patient
        return replace(self.table.of(study, patient), patient=patient)

    def unmatched(self) -> int:
        """Number of rows whose file or patient was not found."""
        return self.table.unmatched()


def read_file_table(place: str | Location) -> FileTable:
    """The general labels CSV at a path or URI; raises as `read_labels` does."""
    return FileTable(read_labels(place))


@dataclass(frozen=True, kw_only=True, slots=True)
class NiftiCase:
    """A file, not read yet.

    Attributes:
        study: pseudonym; likewise ``patient`` and ``series``.
        path: relative to the root, as it may be shown.
        fingerprint: of its name, size and time.
        labels: what the tables know of it.
        split: what they prescribe.
        file: name below the root.
        bytes: its size, as stored.
    """

    study: str
    patient: str
    series: str
    path: str
    fingerprint: str
    labels: Int8[np.ndarray, "findings"]
    split: str | None
    file: str = field(repr=False)
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NiftiSource:
    """A cohort as a tree of NIfTI files.

    Attributes:
        root: folder or URI searched at any depth.
        pseudonymiser: makes what names patients, studies and series; made for the search only, so that the key stays
            on the machine of the job.
        labelling: makes the cohort's tables, likewise for the search only; without them every label is unknown.
        name: what the manifest calls the source.
        folder: the one below the root that holds the scans, where the cohort has such; others may hold masks.
        masks: whether paths are shown without what looks like a name, number or date; public cohorts have nothing to
            hide.
        linkage: file that says which study was which, the only one that does; none by default.
    """

    root: str
    pseudonymiser: Callable[[], Pseudonymiser]
    labelling: Callable[[], FileLabelling] = FileTable
    name: str = "nifti"
    folder: str = ""
    masks: bool = True
    linkage: Path | None = None

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Nothing: the files are there."""

    def find(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> FoundStudies:
        """Look for files by name, and match them with the labels; none is opened.

        Raises:
            ConfigError: the root is absent or holds no NIfTI file, or the labels are wrong.
        """
        tree = self._tree()
        if not tree.root.exists():
            raise ConfigError(f"no such folder: {tree.root}")
        labelling, listing = self.labelling(), _listed(tree, self.folder)
        files = listing.files()
        if not files:
            place = tree.root / self.folder if self.folder else tree.root
            raise ConfigError(f"no .nii or .nii.gz files under {place} ({listing.ignored} other files)")
        name = self.pseudonymiser().of
        shown = functools.partial(masked, person=None, secret=lambda part: name(part, "path")) if self.masks else str
        cases = tuple(_case(file, labelling.known(file), name, shown(file.entry.name)) for file in files)
        if self.linkage is not None:
            links = [Link(case.study, case.path, case.file) for case in cases]
            write_linkage(self.linkage, links + [Link("", shown(path), path) for path, _ in listing.refused])
        counts = {
            "rejected_files": len(listing.refused),
            "ignored_files": listing.ignored,
            "linked_folders": listing.links,
            "label_rows_unmatched": labelling.unmatched(),
        }
        refused = tuple((shown(path), reason.code, reason.sentence) for path, reason in listing.refused)
        return FoundStudies(cases=cases, refused=refused, counts=counts)

    def read(self, case: NiftiCase, grid: Grid) -> ReadStudy:
        """The file's volume, on the grid.

        Raises:
            Rejection: it cannot become a right volume.
            StoreError: the whole cohort is out of reach.
        """
        if case.bytes > MAX_FILE_MIB << 20:
            raise refusal("ENC_TOO_MANY_BYTES", limit_mib=MAX_FILE_MIB)
        with within_reach(self._tree(), [case.file]) as (path,):
            scan = read_nifti(path)
        volume = resample(scan.stack, grid)
        return ReadStudy(volume=volume, series=case.series, attributes=scan.attributes)

    def _tree(self) -> Tree:
        return Tree(Location.of(self.root))


@dataclass(kw_only=True, slots=True)
class _Listing:
    """What a tree holds, by name.

    Attributes:
        studies: files by what they are called.
        refused: paths that are no study, and why.
        ignored: number of other files.
        links: number of linked folders, which are not entered.
    """

    studies: dict[str, Entry] = field(default_factory=dict)
    refused: list[tuple[str, Rejection]] = field(default_factory=list)
    ignored: int = 0
    links: int = 0

    def add(self, entry: Entry, folder: str) -> None:
        """Take in one file; those outside the folder are no studies."""
        outside = bool(folder) and not entry.name.startswith(f"{folder}/")
        # "._name" is what macOS writes beside each file of an archive.
        if outside or not _ENDING.search(entry.name) or entry.name.rpartition("/")[2].startswith("._"):
            self.ignored += 1
        elif self.studies.setdefault(_ENDING.sub("", entry.name), entry) is not entry:
            self.refused.append((entry.name, nifti_refusal("NIFTI_DUPLICATE")))

    def files(self) -> list[NiftiFile]:
        """The studies in the order of their names."""
        stems = Counter(study.rpartition("/")[2] for study in self.studies)
        return [
            NiftiFile(entry=entry, study=study, alone=stems[study.rpartition("/")[2]] == 1)
            for study, entry in sorted(self.studies.items())
        ]


def _listed(tree: Tree, folder: str) -> _Listing:
    listing = _Listing()
    for one in tree.folders():
        listing.links += one.links
        if one.closed:
            listing.refused.append((one.name, refusal("ENC_UNREADABLE")))
            continue
        for entry in tree.entries(one.name):
            listing.add(entry, folder)
    return listing


def _case(file: NiftiFile, known: Known, name: Callable[[str, str], str], shown: str) -> NiftiCase:
    entry = file.entry
    state = f"{entry.name}\0{entry.size}\0{entry.modified_ns}".encode("utf-8", "surrogateescape")
    return NiftiCase(
        study=name(file.study, "study"),
        patient=name(known.patient or file.patient, "patient"),
        series=name(file.study, "series"),
        path=shown,
        fingerprint=hashlib.sha256(state).hexdigest(),
        labels=label_vector(known.labels),
        split=known.split,
        file=entry.name,
        bytes=entry.size,
    )

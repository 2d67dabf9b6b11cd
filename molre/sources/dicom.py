"""A tree of DICOM files, local or remote, and optionally a table of labels."""

from __future__ import annotations

import functools
import pickle
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8

from molre.dicom import Pseudonymiser, StudyFiles, read_study
from molre.dicom.choice import RULE
from molre.dicom.discovery import Found, Gathered, Glimpse, gather, look, lots, study_files
from molre.dicom.naming import LEAST_LETTERS, Person, masked
from molre.errors import ConfigError
from molre.findings import label_vector
from molre.location import Location
from molre.sources.found import FoundStudies, ReadStudy
from molre.sources.labels import Labelling, LabelTable
from molre.sources.linkage import Link, write_linkage
from molre.sources.reach import within_reach
from molre.tree import Tree
from molre.volume import Grid, resample

FEW_LOTS = 2
"""Lots of files that are looked at in this process: handing them to workers would take longer."""

TELL_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomCase:
    """A study of the tree, not read yet.

    Attributes:
        study: pseudonym; likewise ``patient``.
        path: its first file, relative to the root, without what it repeats of the header.
        fingerprint: of its files' names, sizes and times.
        labels: what the tables know of it.
        split: what they prescribe.
        files: `_Files`, packed: it is kept for every study until the study is read.
    """

    study: str
    patient: str
    path: str
    fingerprint: str
    labels: Int8[np.ndarray, "findings"]
    split: str | None
    files: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Files:
    """What a worker needs to read a study, without needing the key."""

    study_uid: str
    patient_ids: tuple[str, ...]
    names: Mapping[str, Sequence[str]]
    faults: Mapping[str, tuple[str, str]]
    pseudonyms: Mapping[str, str]

    def at(self, paths: Sequence[Path]) -> StudyFiles:
        """The study, its files being at the given paths, in the order of ``names``."""
        given = iter(paths)
        series = {uid: tuple(next(given) for _ in names) for uid, names in self.names.items()}
        return study_files(self.study_uid, self.patient_ids, series, self.faults, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomSource:
    """A cohort as a DICOM tree.

    Attributes:
        root: folder or URI searched at any depth.
        pseudonymiser: makes what names patients, studies and series; made for the search only, so that the key stays
            on the machine of the job.
        labelling: makes the cohort's tables, likewise for the search only; without them every label is unknown.
        name: what the manifest calls the source.
        masks: whether paths are shown without what they repeat of a header; public cohorts have nothing to hide.
        linkage: file that says which study was which, the only one that does; none by default.
    """

    root: str
    pseudonymiser: Callable[[], Pseudonymiser]
    labelling: Callable[[], Labelling] = LabelTable
    name: str = "dicom"
    masks: bool = True
    linkage: Path | None = None

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Nothing: the files are there."""

    def find(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> FoundStudies:
        """Look for studies, and match them with the labels.

        Raises:
            ConfigError: the root is absent or holds no DICOM file, or the labels are wrong.
        """
        labelling, tree = self.labelling(), self._tree()
        if not tree.root.exists():
            raise ConfigError(f"no such folder: {tree.root}")
        gathered = _looked(tree, spread)
        if not gathered.studies and not gathered.rejected:
            raise ConfigError(f"no DICOM files under {self.root} ({gathered.ignored} other files)")
        name = self.pseudonymiser().of
        shown = functools.partial(masked, secret=lambda part: name(part, "path")) if self.masks else _plain
        cases = tuple(_case(found, labelling, name, shown) for found in gathered.studies)
        names = frozenset[str]().union(*(found.person.words for found in gathered.studies))
        others = frozenset(word for word in names if len(word) >= LEAST_LETTERS)
        refused = tuple((shown(line.path, None, others=others), line.code, line.sentence) for line in gathered.rejected)
        if self.linkage is not None:
            write_linkage(self.linkage, _links(cases, gathered, refused))
        counts = {
            "rejected_files": sum(line.files for line in gathered.rejected),
            "ignored_files": gathered.ignored,
            "linked_folders": gathered.links,
            "label_rows_unmatched": labelling.unmatched(),
        }
        return FoundStudies(cases=cases, refused=refused, counts=counts, rule=RULE)

    def read(self, case: DicomCase, grid: Grid) -> ReadStudy:
        """The chosen series of a study, on the grid.

        Raises:
            Rejection: it cannot become a right volume.
            StoreError: the whole cohort is out of reach.
        """
        files: _Files = pickle.loads(zlib.decompress(case.files))  # noqa: S301 - packed by the job itself
        names = [name for series in files.names.values() for name in series]
        with within_reach(self._tree(), names) as paths:
            series = read_study(files.at(paths))
        volume = resample(series.stack, grid)
        return ReadStudy(volume=volume, series=files.pseudonyms[series.series_uid], attributes=series.attributes)

    def _tree(self) -> Tree:
        return Tree(Location.of(self.root))


def _looked(tree: Tree, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> Gathered:
    """All files looked at, by the cluster where there are many."""
    every = list(lots(tree))
    if len(every) <= FEW_LOTS:
        return gather(look(lot, tree) for lot in every)
    glimpses: dict[int, Glimpse] = {}
    told = time.monotonic()
    numbered = list(enumerate(every))
    for (number, _), glimpse in spread(functools.partial(_look, tree=tree), numbered):
        glimpses[number] = glimpse
        if time.monotonic() - told > TELL_EVERY_S or len(glimpses) == len(every):
            told = time.monotonic()
            print(f"looked through {len(glimpses) / len(every):.0%} of the files", flush=True)
    return gather(glimpses.pop(number) for number in range(len(every)))


def _look(numbered: tuple[int, Any], tree: Tree) -> Glimpse:
    return look(numbered[1], tree)


def _plain(path: str, _person: Person | None, others: frozenset[str] = frozenset()) -> str:
    return path


def _case(
    found: Found,
    labelling: Labelling,
    name: Callable[[str, str], str],
    shown: Callable[[str, Person | None], str],
) -> DicomCase:
    names = found.names()
    study = found.files(Path())
    known = labelling.known(study)
    # Without a Patient ID each study counts as a patient; one patient of all would put them into one split.
    person = known.patient or study.patient_id or study.study_uid
    pseudonyms = {uid: name(uid, "series") for uid in names}
    files = _Files(study.study_uid, study.patient_ids, names, found.faults, pseudonyms)
    return DicomCase(
        study=name(study.study_uid, "study"),
        patient=name(person, "patient"),
        path=shown(found.name, found.person),
        fingerprint=found.fingerprint,
        labels=label_vector(known.labels),
        split=known.split,
        files=zlib.compress(pickle.dumps(files), 1),
    )


def _links(cases: Sequence[DicomCase], gathered: Gathered, refused: Sequence[tuple[str, str, str]]) -> Iterator[Link]:
    for case, found in zip(cases, gathered.studies, strict=True):
        yield Link(case.study, case.path, found.name)
    for (shown, _, _), line in zip(refused, gathered.rejected, strict=True):
        yield Link("", shown, line.path)

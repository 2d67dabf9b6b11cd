"""The embedded cohort: synthetic head CT written as DICOM files, and read like any other archive."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import io
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molre.dicom import Pseudonymiser
from molre.errors import ConfigError
from molre.findings import KEYS
from molre.location import Location
from molre.phantom import (
    LESIONS,
    CohortConfig,
    PhantomStudy,
    labels_row,
    make_study,
    montage,
    write_masks,
    write_study,
)
from molre.sources.dicom import DicomCase, DicomFound, DicomSample, DicomSource
from molre.sources.labels import read_labels
from molre.volume import Grid

PUBLIC_KEY = b"molre phantom, nobody to protect"
"""Pseudonyms of invented patients need no secret; a fixed key makes their splits the same on every machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomSource:
    """A cohort of phantoms.

    Under the root lie ``dicom/`` with a folder a study, ``truth/`` with the masks and labels of each, ``labels.csv``
    and ``cohort.json``, which says what cohort it is.

    Attributes:
        root: where the cohort is, or is to be, written.
        studies: how many.
        seed: decides every study, with its number.
        montage: PNG that shows each finding the phantom draws, in a study that has nothing else.
        name: what the manifest calls the source.
    """

    root: Path
    studies: int
    seed: int
    montage: Path
    name: str = "phantom"

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Write the studies that are not there yet, their labels, and the montage.

        Raises:
            ConfigError: the root holds another cohort, or a setting is out of range.
        """
        cohort = CohortConfig(studies=self.studies, seed=self.seed)
        self._claim(cohort)
        self._write(spread, cohort)
        self._write_labels()
        if not self.montage.exists():
            self._draw(spread, cohort)

    def find(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> DicomFound:
        """The studies on disk, exactly as any DICOM archive is searched."""
        return self._dicom().find(spread)

    def read(self, case: DicomCase, grid: Grid) -> DicomSample:
        """One study, exactly as any DICOM study is read."""
        return self._dicom().read(case, grid)

    def _dicom(self) -> DicomSource:
        return DicomSource(
            root=str(self.root / "dicom"),
            pseudonymiser=functools.partial(Pseudonymiser, PUBLIC_KEY),
            labelling=functools.partial(read_labels, self.root / "labels.csv"),
            name=self.name,
            masks=False,
        )

    def _claim(self, cohort: CohortConfig) -> None:
        """Refuse a root with another cohort, and clear what a killed run left half written."""
        mark = Location.of(self.root / "cohort.json")
        told = dataclasses.asdict(cohort)
        if mark.exists() and json.loads(mark.read_bytes()) != told:
            raise ConfigError(f"{self.root} holds another phantom cohort: give another --root, or delete that folder")
        mark.write_bytes(json.dumps(told, indent=1).encode())
        for half in self.root.glob("*/.half-*"):
            shutil.rmtree(half, ignore_errors=True)

    def _write(self, spread: Callable[..., Iterator[tuple[Any, Any]]], cohort: CohortConfig) -> None:
        missing = [number for number in range(self.studies) if not _folder(self.root, "dicom", number).exists()]
        written = self.studies - len(missing)
        for _ in spread(functools.partial(_write_one, root=self.root, cohort=cohort), missing):
            written += 1
            if written % 50 == 0 or written == self.studies:
                print(f"{written} of {self.studies} phantoms written", flush=True)

    def _draw(self, spread: Callable[..., Iterator[tuple[Any, Any]]], cohort: CohortConfig) -> None:
        numbered = list(enumerate(LESIONS))
        drawn = dict(spread(functools.partial(_alone, cohort=cohort), numbered))
        self.montage.parent.mkdir(parents=True, exist_ok=True)
        montage([(key, drawn[number, key]) for number, key in numbered if (number, key) in drawn], self.montage)

    def _write_labels(self) -> None:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, ["study", "patient", *KEYS], lineterminator="\n", extrasaction="raise")
        table.writeheader()
        for number in range(self.studies):
            table.writerow(_truth(self.root, number))
        Location.of(self.root / "labels.csv").write_bytes(text.getvalue().encode())


def _folder(root: Path, kind: str, number: int) -> Path:
    return root / kind / f"{number:05d}"


def _truth(root: Path, number: int) -> Mapping[str, Any]:
    return json.loads((_folder(root, "truth", number) / "labels.json").read_bytes())


def _alone(numbered: tuple[int, str], cohort: CohortConfig) -> PhantomStudy:
    number, key = numbered
    return make_study(cohort, number, force=(key,))


def _write_one(number: int, root: Path, cohort: CohortConfig) -> None:
    """Write one study, its images last: where they are, the study is whole."""
    study = make_study(cohort, number)
    with _whole(_folder(root, "truth", number)) as folder:
        write_masks(study, folder)
        (folder / "labels.json").write_text(json.dumps(labels_row(study)))
    with _whole(_folder(root, "dicom", number)) as folder:
        write_study(study, folder)


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to write into that appears under its name when it is complete."""
    half = folder.with_name(f".half-{uuid.uuid4().hex[:12]}")
    half.mkdir(parents=True)
    yield half
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)

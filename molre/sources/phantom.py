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
from molre.findings import GROUPS, KEYS, group_of
from molre.location import Location
from molre.phantom import (
    CohortConfig,
    draw_sheet,
    entries,
    example,
    labels_row,
    make_study,
    write_masks,
    write_study,
)
from molre.sources.dicom import DicomCase, DicomSource
from molre.sources.found import FoundStudies, ReadStudy
from molre.sources.labels import read_labels
from molre.volume import Grid

SHOWN = tuple(
    key
    for group in GROUPS
    for key in sorted((key for key in KEYS if group_of(key) == group), key=lambda key: -entries()[key].prevalence)[:2]
)
"""The two most frequent findings of each group; ``python -m molre.phantom`` shows all."""
PUBLIC_KEY = b"molre phantom, nobody to protect"
"""Pseudonyms of invented patients need no secret; a fixed key makes their splits the same on every machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomSource:
    """A cohort of phantoms.

    Under the root lie ``dicom/`` with a folder a study, ``truth/`` with the masks and labels of each, ``labels.csv``
    and ``cohort.json``, which says what cohort it is.

    Attributes:
        root: where the cohort is, or is to be, written.
        cohort: what is drawn.
        sheet: PNG that shows some findings of each group, each beside the same head without it.
        name: what the manifest calls the source.
    """

    root: Path
    cohort: CohortConfig
    sheet: Path
    name: str = "phantom"

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Write the studies that are not there yet, their labels, and the sheet.

        Raises:
            ConfigError: the root holds another cohort.
        """
        self._claim()
        self._write(spread)
        self._write_labels()
        if not self.sheet.exists():
            shown = functools.partial(example, config=self.cohort)
            drawn = dict(spread(shown, list(SHOWN)))
            draw_sheet([drawn[key] for key in SHOWN], self.sheet)

    def find(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> FoundStudies:
        """The studies on disk, exactly as any DICOM archive is searched."""
        return self._dicom().find(spread)

    def read(self, case: DicomCase, grid: Grid) -> ReadStudy:
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

    def _claim(self) -> None:
        """Refuse a root with another cohort, and clear what a killed run left half written."""
        mark = Location.of(self.root / "cohort.json")
        told = json.loads(json.dumps(dataclasses.asdict(self.cohort)))
        if mark.exists() and json.loads(mark.read_bytes()) != told:
            raise ConfigError(f"{self.root} holds another phantom cohort: give another --root, or delete that folder")
        mark.write_bytes(json.dumps(told, indent=1).encode())
        for half in self.root.glob("*/.half-*"):
            shutil.rmtree(half, ignore_errors=True)

    def _write(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        studies = self.cohort.studies
        missing = [number for number in range(studies) if not _folder(self.root, "dicom", number).exists()]
        written = studies - len(missing)
        for _ in spread(functools.partial(_write_one, root=self.root, cohort=self.cohort), missing):
            written += 1
            if written % 50 == 0 or written == studies:
                print(f"{written} of {studies} phantoms written", flush=True)

    def _write_labels(self) -> None:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, ["study", "patient", *KEYS], lineterminator="\n", extrasaction="raise")
        table.writeheader()
        for number in range(self.cohort.studies):
            table.writerow(_truth(self.root, number))
        Location.of(self.root / "labels.csv").write_bytes(text.getvalue().encode())


def _folder(root: Path, kind: str, number: int) -> Path:
    return root / kind / f"{number:05d}"


def _truth(root: Path, number: int) -> Mapping[str, Any]:
    return json.loads((_folder(root, "truth", number) / "labels.json").read_bytes())


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

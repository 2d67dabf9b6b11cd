"""Filling a store from a cohort: which studies make which part, and what happens to those that cannot be read."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from molre import __version__
from molre.dicom.codes import failure, refusal
from molre.errors import ConfigError, MolreError, Rejection, StoreError, storage_fault
from molre.location import Location
from molre.store.attempts import PATIENCE, Attempts
from molre.store.cohort import Case, Sample, Source
from molre.store.commit import commit
from molre.store.lock import Hold, only_writer, publishing
from molre.store.manifest import Manifest, number_of
from molre.store.progress import Progress
from molre.store.reader import Store
from molre.store.schema import Row
from molre.store.sides import remembered_sides, sides_of
from molre.store.splits import SplitFractions
from molre.store.spread import spread
from molre.store.writer import Receipt, keep_only, receipts, write_part
from molre.volume import Grid


@dataclass(frozen=True, kw_only=True, slots=True)
class FillConfig:
    """Settings of the filling of a store.

    Attributes:
        grid: that every volume is resampled to.
        fractions: share of the patients in each split.
        rows_per_part: most series in one Arrow file.
        splits_from: store whose patients keep the side they have there; by default the one that is filled, if it has
            the same fractions.
    """

    grid: Grid
    fractions: SplitFractions = field(default_factory=SplitFractions)
    rows_per_part: int = 16
    splits_from: str | None = None

    def __post_init__(self) -> None:
        if self.rows_per_part < 1:
            raise ConfigError(f"rows per part is {self.rows_per_part}: it must be at least 1")

    def resolved(self) -> dict[str, Any]:
        """The settings that decide a row's content, as plain values."""
        told = {"grid": dataclasses.asdict(self.grid), "fractions": dataclasses.asdict(self.fractions)}
        return json.loads(json.dumps(told))


@dataclass(frozen=True, slots=True)
class Target:
    """Where parts go.

    Attributes:
        folder: the store.
        token: of the hold under which they are written.
    """

    folder: Location
    token: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PartJob:
    """What one task writes: a part of the store, from its studies."""

    number: int
    cases: tuple[Any, ...]
    marks: tuple[str, ...]
    sides: tuple[str, ...]
    source: Any
    target: Target
    grid: Grid


def fill(source: Source, place: str | Path | Location, config: FillConfig) -> Store:
    """Read every study of a cohort into a store, finishing what an earlier run left.

    Parts of earlier runs are kept where their studies, labels and the settings are unchanged. Studies that cannot be
    read are listed in ``rejected.csv``.

    Raises:
        ConfigError: the cohort is empty or its labels are wrong.
        StoreError: no study could be read, the store cannot be written, or another run is writing it.
    """
    folder = Location.of(place)
    try:
        with only_writer(folder) as hold:
            return _fill(source, folder, config, hold)
    except OSError as error:
        raise StoreError(
            f"cannot fill the store at {folder}: {storage_fault(error)}; run it again when that is mended"
        ) from None


def _fill(source: Source, folder: Location, config: FillConfig, hold: Hold) -> Store:
    source.prepare(spread)
    found = source.find(spread)
    current = _current(folder)
    sides = sides_of(found.cases, config.fractions, _remembered(folder, config, current))
    cases = sorted(found.cases, key=lambda case: case.study)
    settings = config.resolved()
    marks = [_mark(case, sides[case.patient], settings) for case in cases]
    kept = _still_valid(receipts(folder), set(marks))
    keep_only(folder, current.files if current else (), kept)
    studies = [(case, mark, sides[case.patient]) for case, mark in zip(cases, marks, strict=True)]
    taken = {number_of(part) for part in (current.parts if current else ())} | {receipt.number for receipt in kept}
    with contextlib.closing(Progress(len(cases), kept, hold.renew)) as progress:
        made = _run(plan(source, Target(folder, hold.token), config, studies, kept, taken), folder, progress)
    paths = {mark: case.path for case, mark in zip(cases, marks, strict=True)}
    settings |= {"rows_per_part": config.rows_per_part, "choice_rule": list(found.rule)}
    told = {"source": source.name, "config": settings}
    done = sorted([*kept, *made], key=lambda receipt: receipt.number)
    return commit(folder, config.grid, done, found, paths, told, current)


def _current(folder: Location) -> Manifest | None:
    """The manifest of the store as it is; none where there is none that can be read."""
    try:
        return Manifest.read(folder)
    except StoreError:
        return None


def _remembered(folder: Location, config: FillConfig, current: Manifest | None) -> dict[str, str]:
    """The side of each patient of the store that is asked, or else of the one that is filled."""
    if config.splits_from is not None:
        return remembered_sides(Store.open(config.splits_from))
    same = current is not None and current.config.get("fractions") == config.resolved()["fractions"]
    return remembered_sides(Store(folder, current) if current and same else None)


def _mark(case: Case, side: str, settings: Mapping[str, Any]) -> str:
    """Changes with anything that decides the study's row; a part is kept only while all its marks are current."""
    told = [__version__, settings, case.study, case.fingerprint, case.labels.tolist(), side]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _still_valid(earlier: Sequence[Receipt], marks: set[str]) -> list[Receipt]:
    kept, covered = [], set[str]()
    for receipt in earlier:
        studies = set(receipt.studies)
        if studies <= marks and not studies & covered:
            kept.append(receipt)
            covered |= studies
    return kept


def plan(
    source: Source,
    target: Target,
    config: FillConfig,
    studies: Sequence[tuple[Case, str, str]],
    kept: Sequence[Receipt],
    taken: set[int],
) -> list[PartJob]:
    """Parts for the studies that no kept part covers, under the lowest free numbers.

    A killed run leaves whole parts, so cutting what is left into pieces of the same length gives the same parts, with
    the same numbers, as an undisturbed run.

    Args:
        source: of the studies.
        target: the store.
        config: its settings.
        studies: case, mark and side of each, in the order of the rows.
        kept: receipts of finished parts.
        taken: numbers that are in use.
    """
    covered = {mark for receipt in kept for mark in receipt.studies}
    left = [study for study in studies if study[1] not in covered]
    free = (number for number in range(len(studies) + len(taken)) if number not in taken)
    jobs = []
    for start in range(0, len(left), config.rows_per_part):
        cases, marks, sides = zip(*left[start : start + config.rows_per_part], strict=True)
        job = PartJob(
            number=next(free), cases=cases, marks=marks, sides=sides, source=source, target=target, grid=config.grid
        )
        jobs.append(job)
    return jobs


def _run(jobs: Sequence[PartJob], folder: Location, progress: Progress) -> list[Receipt]:
    """Write all parts; returns their receipts."""
    made = []
    for _job, receipt in spread(_write, jobs):
        made.append(receipt)
        progress.add(receipt)
    unseen = len({receipt.name for receipt in made} - set(folder.names())) if made else 0
    if unseen:
        raise StoreError(
            f"{unseen} parts are written but not at {folder}: on several machines the store must be on storage "
            "that they all see; give such a --store"
        )
    return made


def _write(job: PartJob) -> Receipt:
    """Write one part and its receipt."""
    folder, refused = job.target.folder, list[tuple[str, str, str]]()
    attempts = Attempts(folder, job.number)
    with contextlib.closing(attempts), contextlib.ExitStack() as held:
        enter = functools.partial(held.enter_context, publishing(folder, job.target.token))
        part = write_part(folder, job.number, job.grid, _rows(job, attempts, refused), before=enter)
        receipt = Receipt(number=job.number, part=part, studies=job.marks, refused=tuple(refused))
        receipt.write(folder)
    return receipt


def _rows(job: PartJob, attempts: Attempts, refused: list[tuple[str, str, str]]) -> Iterator[Row]:
    """The rows of a part, one at a time; the studies that give none are added to ``refused``."""
    for case, mark, side in zip(job.cases, job.marks, job.sides, strict=True):
        if attempts.given_up(mark):
            fault = refusal("ENC_CRASHED", times=PATIENCE)
            refused.append((mark, fault.code, fault.sentence))
            continue
        attempts.begin(mark)
        outcome = _read(job.source, case, job.grid)
        if isinstance(outcome, Rejection):
            refused.append((mark, outcome.code, outcome.sentence))
        else:
            yield _row(case, side, outcome)


def _read(source: Source, case: Case, grid: Grid) -> Sample | Rejection:
    """The study, or why there is none: the boundary at which no study can end the job."""
    try:
        return source.read(case, grid)
    except Rejection as rejection:
        return rejection
    except MolreError:  # it is not the study's fault, but the cohort's or the storage's
        raise
    except Exception as error:  # noqa: BLE001 - whatever a file provokes, it concerns this study only
        return failure(error)


def _row(case: Case, side: str, sample: Sample) -> Row:
    return Row(
        hu=sample.volume.hu,
        spacing_mm=sample.volume.spacing_mm,
        affine=sample.volume.affine,
        labels=case.labels,
        split=side,
        patient=case.patient,
        study=case.study,
        series=sample.series,
        attributes=sample.attributes,
    )

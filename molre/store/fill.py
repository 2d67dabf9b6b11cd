"""Filling a store from a cohort: which studies make which part, and what happens to those that cannot be read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from molre import __version__
from molre.errors import ConfigError, Rejection, StoreError
from molre.findings import KEYS
from molre.location import Location
from molre.store.attempts import PATIENCE, Attempts
from molre.store.cohort import Case, Found, Sample, Source
from molre.store.lock import only_writer
from molre.store.manifest import Manifest, Part
from molre.store.reader import Store
from molre.store.schema import SPLITS, Row
from molre.store.splits import SplitFractions, split_of
from molre.store.spread import spread
from molre.store.writer import Receipt, Refused, keep_only, receipts, sweep, write_index, write_part, write_rejected
from molre.volume import Grid

CRASHED = "ENC_CRASHED"
FAILED = "ENC_FAILED"


@dataclass(frozen=True, kw_only=True, slots=True)
class FillConfig:
    """Settings of the filling of a store.

    Attributes:
        grid: that every volume is resampled to.
        fractions: share of the patients in each split.
        rows_per_part: most series in one Arrow file.
    """

    grid: Grid
    fractions: SplitFractions = field(default_factory=SplitFractions)
    rows_per_part: int = 16

    def __post_init__(self) -> None:
        if self.rows_per_part < 1:
            raise ConfigError(f"rows per part is {self.rows_per_part}: it must be at least 1")

    def resolved(self) -> dict[str, Any]:
        """The settings that decide a row's content, as plain values."""
        told = {"grid": dataclasses.asdict(self.grid), "fractions": dataclasses.asdict(self.fractions)}
        return json.loads(json.dumps(told))


@dataclass(frozen=True, kw_only=True, slots=True)
class _PartJob:
    """What one task writes: a part of the store, from its studies."""

    number: int
    cases: tuple[Any, ...]
    marks: tuple[str, ...]
    sides: tuple[str, ...]
    source: Any
    folder: Location
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
        with only_writer(folder) as renew:
            return _fill(source, folder, config, renew)
    except OSError as error:
        raise StoreError(f"cannot fill the store at {folder}: {error.strerror or type(error).__name__}") from None


def _fill(source: Source, folder: Location, config: FillConfig, renew: Callable[[], None]) -> Store:
    source.prepare(spread)
    found = source.find()
    cases = sorted(found.cases, key=lambda case: case.study)
    sides = _sides(cases, config.fractions)
    marks = [_mark(case, side, config) for case, side in zip(cases, sides, strict=True)]
    kept = _still_valid(receipts(folder), set(marks))
    keep_only(folder, kept)
    jobs = _plan(source, folder, config, list(zip(cases, marks, sides, strict=True)), kept)
    _run(jobs, folder, _Progress(len(cases), kept, renew))
    paths = {mark: case.path for case, mark in zip(cases, marks, strict=True)}
    return _commit(folder, source.name, found, paths, config)


def _sides(cases: Sequence[Case], fractions: SplitFractions) -> list[str]:
    """The split of each case: what the cohort prescribes for the patient, else by hash."""
    prescribed: dict[str, str] = {}
    for case in cases:
        if case.split is not None and prescribed.setdefault(case.patient, case.split) != case.split:
            raise ConfigError("the labels put studies of one patient into different splits: give each patient one")
    return [prescribed.get(case.patient) or split_of(case.patient, fractions) for case in cases]


def _mark(case: Case, side: str, config: FillConfig) -> str:
    """Changes with anything that decides the study's row; a part is kept only while all its marks are current."""
    told = [__version__, config.resolved(), case.study, case.fingerprint, case.labels.tolist(), side]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _still_valid(earlier: Sequence[Receipt], marks: set[str]) -> list[Receipt]:
    kept, covered = [], set[str]()
    for receipt in earlier:
        studies = set(receipt.studies)
        if studies <= marks and not studies & covered:
            kept.append(receipt)
            covered |= studies
    return kept


def _plan(
    source: Source,
    folder: Location,
    config: FillConfig,
    studies: Sequence[tuple[Case, str, str]],
    kept: Sequence[Receipt],
) -> list[_PartJob]:
    """Parts for the studies that no kept part covers, under the lowest free numbers.

    A killed run leaves whole parts, so cutting what is left into pieces of the same length gives the same parts, with
    the same numbers, as an undisturbed run.
    """
    covered = {mark for receipt in kept for mark in receipt.studies}
    left = [study for study in studies if study[1] not in covered]
    taken = {receipt.number for receipt in kept}
    free = (number for number in range(len(studies) + len(taken)) if number not in taken)
    jobs = []
    for start in range(0, len(left), config.rows_per_part):
        cases, marks, sides = zip(*left[start : start + config.rows_per_part], strict=True)
        job = _PartJob(
            number=next(free), cases=cases, marks=marks, sides=sides, source=source, folder=folder, grid=config.grid
        )
        jobs.append(job)
    return jobs


def _run(jobs: Sequence[_PartJob], folder: Location, progress: _Progress) -> None:
    """Write all parts."""
    for _job, receipt in spread(_write, jobs):
        progress.add(receipt)
    unseen = {job.number for job in jobs} - {receipt.number for receipt in receipts(folder)}
    if unseen:
        raise StoreError(
            f"{len(unseen)} parts are written but not at {folder}: on several machines the store must be on storage "
            "that they all see; give such a --store"
        )


def _write(job: _PartJob) -> Receipt:
    """Write one part and its receipt."""
    attempts, refused = Attempts(job.folder, job.number), list[tuple[str, str, str]]()
    part = write_part(job.folder, job.number, job.grid, _rows(job, attempts, refused))
    receipt = Receipt(number=job.number, part=part, studies=job.marks, refused=tuple(refused))
    receipt.write(job.folder)
    attempts.finish()
    return receipt


def _rows(job: _PartJob, attempts: Attempts, refused: list[tuple[str, str, str]]) -> Iterator[Row]:
    """The rows of a part, one at a time; the studies that give none are added to ``refused``."""
    for case, mark, side in zip(job.cases, job.marks, job.sides, strict=True):
        if attempts.given_up(mark):
            refused.append((mark, CRASHED, f"reading it killed its process {PATIENCE} times"))
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
    except Exception as error:  # noqa: BLE001 - whatever a file provokes, it concerns this study only
        return Rejection(FAILED, _without_text(error))


def _without_text(error: Exception) -> str:
    """Kind and place of an error; its message may quote a header, so it stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"reading it failed with {type(error).__name__}{place}"


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


def _commit(folder: Location, name: str, found: Found, paths: Mapping[str, str], config: FillConfig) -> Store:
    """Index, ``rejected.csv``, and the manifest that makes the store complete."""
    sweep(folder)
    done = receipts(folder)
    studies = [(paths[mark], code, text) for receipt in done for mark, code, text in receipt.refused]
    refused = [Refused(path=path, code=code, sentence=text) for path, code, text in (*studies, *found.refused)]
    rejected = write_rejected(folder, refused)
    parts = [receipt.part for receipt in done if receipt.part]
    rows = sum(part.rows for part in parts)
    if rows + len(studies) != len(paths):
        raise StoreError(f"{len(paths)} studies found, but {rows} rows and {len(studies)} rejected: run it again")
    if not rows:
        keep_only(folder, [])
        raise StoreError(
            f"no study could be read: {len(studies)} studies and {len(found.refused)} files were rejected, "
            f"see {rejected}"
        )
    index = write_index(folder, config.grid, parts)
    counts = {"studies": len(paths), "rows": rows, "rejected_studies": len(studies)}
    counts["rejected_files"] = len(found.refused)
    manifest = _manifest(name, config, parts, index, {**counts, **found.counts})
    counted = Store(folder, manifest)
    manifest = dataclasses.replace(manifest, counts={**manifest.counts, **_counts(counted)})
    if not _already(folder, manifest):
        manifest.write(folder)
    return Store.open(folder)


def _already(folder: Location, manifest: Manifest) -> bool:
    """Whether the store says the same already; what is computed from it is then still current."""
    try:
        earlier = Manifest.read(folder)
    except StoreError:
        return False
    return dataclasses.replace(manifest, created=earlier.created) == earlier


def _manifest(name: str, config: FillConfig, parts: Sequence[Part], index: Part, counts: Mapping[str, int]) -> Manifest:
    return Manifest(
        grid=config.grid,
        parts=tuple(parts),
        index=index,
        counts=counts,
        source=name,
        config={**config.resolved(), "rows_per_part": config.rows_per_part},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _counts(store: Store) -> dict[str, Any]:
    """Patients, rows by split, and positives and known labels by finding."""
    labels = store.labels()
    positives, known = (labels == 1).sum(axis=0), (labels >= 0).sum(axis=0)
    by_finding = {
        key: {"positives": int(positives[place]), "known": int(known[place])} for place, key in enumerate(KEYS)
    }
    return {
        "patients": len(set(store.table(["patient"])["patient"].to_pylist())),
        "splits": {split: len(store.indices(split)) for split in SPLITS},
        "findings": by_finding,
    }


class _Progress:
    """Counts and prints what is done; the numbers are of studies."""

    _EVERY_S = 5.0

    def __init__(self, total: int, kept: Sequence[Receipt], renew: Callable[[], None]) -> None:
        self._total, self._renew = total, renew
        self._done = self._kept = sum(len(receipt.studies) for receipt in kept)
        self._refused = sum(len(receipt.refused) for receipt in kept)
        self._start = self._told = time.monotonic()
        if kept:
            print(f"{self._kept} of {total} studies are in the store already", flush=True)

    def add(self, receipt: Receipt) -> None:
        """Count a finished part."""
        self._done += len(receipt.studies)
        self._refused += len(receipt.refused)
        self._renew()
        now = time.monotonic()
        if now - self._told > self._EVERY_S or self._done == self._total:
            self._told = now
            rate = (self._done - self._kept) / (now - self._start)
            print(f"{self._done} of {self._total} studies, {self._refused} rejected, {rate:.1f} studies/s", flush=True)

"""What a search has tried, a file a trial, so that a killed search loses nothing that was finished."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import optuna

from molre.errors import ConfigError
from molre.location import Location
from molre.tuning.config import TuneConfig

SEARCH = "search.json"
TRIALS = "trials"
RECORD = "trial.json"
STUDY = "molre"

FREE = ("out", "resume", "trials", "concurrent", "workers", "max_failures", "evaluate", "bootstrap")
"""Settings that may differ when a search is taken up again."""

UNFINISHED = ("RUNNING", "ERROR")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One trial.

    Attributes:
        number: from 0, in the order of suggestion.
        params: as Optuna drew them.
        chosen: the settings that follow.
        status: RUNNING, FINISHED, STOPPED (a poor one) or ERROR.
        score: highest validation mean AUC.
        loss: of the last epoch trained.
        epochs: trained.
        seconds: that it took.
        history: epoch and highest score so far at every validation.
        error: why it failed.
    """

    number: int
    params: dict[str, Any]
    chosen: dict[str, Any]
    status: str = "RUNNING"
    score: float | None = None
    loss: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    history: list[list[float]] = field(default_factory=list)
    error: str = ""


def folder_of(out: str, number: int) -> str:
    """Where a trial's training lies."""
    return (Location.of(out) / TRIALS / f"{number:04d}").uri


def write(out: str, record: Record) -> None:
    """Keep a record."""
    place = Location.of(folder_of(out, record.number)) / RECORD
    place.write_bytes(json.dumps(dataclasses.asdict(record), indent=2).encode())


def records(out: str) -> list[Record]:
    """Every trial of a search, in order."""
    folder = Location.of(out) / TRIALS
    found = []
    for name in folder.names():
        place = folder / name / RECORD
        if place.exists():
            found.append(Record(**json.loads(place.read_bytes())))
    return sorted(found, key=lambda each: each.number)


def claim(config: TuneConfig) -> None:
    """Begin a search in a folder, or go on with the one that is there.

    Raises:
        ConfigError: it is of other settings, or there is none to resume.
    """
    where = Location.of(config.out) / SEARCH
    wanted = {k: v for k, v in json.loads(json.dumps(dataclasses.asdict(config))).items() if k not in FREE}
    if not where.exists():
        if config.resume:
            raise ConfigError(f"there is no search to resume in {config.out}: leave out --resume to begin one")
        where.write_bytes(json.dumps(wanted, indent=2).encode())
        return
    saved = json.loads(where.read_bytes())
    for key, value in wanted.items():
        if saved.get(key) != value:
            raise ConfigError(
                f"{config.out} holds a search with {key} {saved.get(key)!r}, not {value!r}: choose another --out"
            )


def study_of(known: list[Record], distributions: dict[int, dict[str, Any]]) -> optuna.storages.BaseStorage:
    """Optuna's memory of a search: finished trials with their scores, and those to be done again as they were.

    Args:
        known: what was tried.
        distributions: by number, what each of its parameters was drawn from.
    """
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name=STUDY, direction="maximize")
    by_number = {each.number: each for each in known}
    for number in range(max(by_number, default=-1) + 1):  # in order, so that each keeps its number
        record = by_number.get(number)
        if record is None:  # suggested, and killed before it began
            study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        elif record.status in UNFINISHED:
            study.enqueue_trial(record.params)
        else:
            study.add_trial(
                optuna.trial.create_trial(value=record.score, params=record.params, distributions=distributions[number])
            )
    return storage

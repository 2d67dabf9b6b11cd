"""What a search tells while it goes on: a line a trial for people, and a file a trial for a search taken up again."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import optuna
from ray.tune import Callback

from molre.training.lines import duration
from molre.training.validation import BEST, SCORE
from molre.tuning import ledger
from molre.tuning.config import TuneConfig
from molre.tuning.ledger import Record


class Progress(Callback):
    """Told by Ray Tune what becomes of each trial.

    Args:
        config: of the search.
        storage: Optuna's, which knows what was drawn.
        done: trials finished before.
    """

    def __init__(self, config: TuneConfig, storage: optuna.storages.BaseStorage, done: list[Record]) -> None:
        self._config = config
        self._study = optuna.load_study(study_name=ledger.STUDY, storage=storage)
        self._running: dict[int, Record] = {}
        self._scores = {each.number: each.score or 0.0 for each in done}
        self._before, self._begun = len(done), time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial begins, or begins again after its process died."""
        number = trial.config["number"]
        if number not in self._running:
            params = self._study.get_trials(deepcopy=False)[number].params
            self._running[number] = Record(number=number, params=params, chosen=trial.config["chosen"])
            ledger.write(self._config.out, self._running[number])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial was validated."""
        record = self._running[trial.config["number"]]
        if BEST not in result or (record.history and result["epoch"] <= record.history[-1][0]):
            return
        self._running[record.number] = replace(
            record,
            score=result[BEST],
            loss=result["loss"],
            epochs=int(result["epoch"]),
            seconds=round(result["time_total_s"], 2),
            history=[*record.history, [result["epoch"], result[BEST]]],
        )

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial is over, early or not."""
        record = self._running[trial.config["number"]]
        self._over(replace(record, status="FINISHED" if record.epochs >= self._config.epochs else "STOPPED"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed for good, or the process died that had already ended it and was kept for the next one."""
        record = self._running.get(trial.config["number"])
        if record is not None:
            said = " ".join(str(trial.get_error() or "").split())[-300:]
            self._over(replace(record, status="ERROR", error=said))

    def _over(self, record: Record) -> None:
        self._running.pop(record.number)
        ledger.write(self._config.out, record)
        self._scores[record.number] = record.score or 0.0
        print(self._line(record), flush=True)

    def _line(self, record: Record) -> str:
        over, of = len(self._scores), self._config.trials
        left_s = (time.monotonic() - self._begun) / max(1, over - self._before) * max(0, of - over)
        best = max(self._scores, key=lambda number: self._scores[number])
        if record.status == "ERROR":
            result = f"failed: {record.error}"
        else:
            early = ", stopped" if record.status == "STOPPED" else ""
            result = f"{SCORE} {record.score or 0.0:.3f} after {record.epochs} epochs{early}"
        return (
            f"{over} of {of} trials: trial {record.number} {result}; "
            f"best {self._scores[best]:.3f} (trial {best}), {duration(left_s)} left"
        )

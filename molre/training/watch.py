"""What a run tells while it goes on, and to whom: a watcher is told every step and every validation by rank 0."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A moment of a run, told every so many steps.

    Attributes:
        epoch: number of the running epoch, from 0.
        epochs: of the whole run.
        taken: optimiser steps taken so far.
        total: optimiser steps of the whole run.
        seen: studies seen so far, over all workers.
        loss: mean over the steps since the last time.
        learning_rate: of the last step.
        studies_per_second: over all workers, since the last time.
        seconds_left: at that rate, validation not counted.
        mean_auc: of the last validation; None before the first, and where no finding has one.
    """

    epoch: int
    epochs: int
    taken: int
    total: int
    seen: int
    loss: float
    learning_rate: float
    studies_per_second: float
    seconds_left: float
    mean_auc: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """What a validation found.

    Attributes:
        epoch: epochs finished.
        taken: optimiser steps taken so far.
        seen: studies seen so far, over all workers.
        mean_auc: over the findings that count; None where none does.
        findings: how many those are.
        loss: mean over the training steps of the last epoch.
        best: whether it is the best so far.
        studies_per_second: of the training before it.
        gates: by adapter site, ``entropy`` and ``effective`` experts as ``GateFigures`` has them, and the number of
            ``experts``, over the whole validation split; empty without a router.
    """

    epoch: int
    taken: int
    seen: int
    mean_auc: float | None
    findings: int
    loss: float
    best: bool
    studies_per_second: float
    gates: dict[str, Any]


class Watcher:
    """Told what happens; the base is told and does nothing."""

    def step(self, step: Step) -> None:
        """Some steps were taken."""

    def validation(self, validation: Validation) -> None:
        """The validation split was scored."""

    def close(self) -> None:
        """The worker's part of the run is over."""


class Pace:
    """When to tell, and how fast it goes: every so many seconds, measured since the last time.

    Args:
        every_s: seconds between two tellings.
    """

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self._begun, self._studies, self._steps = time.monotonic(), 0, 0

    def add(self, studies: int) -> None:
        """A step was taken."""
        self._studies += studies
        self._steps += 1

    @property
    def due(self) -> bool:
        """Whether it is time to tell."""
        return time.monotonic() - self._begun >= self.every_s

    @property
    def studies_per_second(self) -> float:
        """Since the last time."""
        return self._studies / max(1e-9, time.monotonic() - self._begun)

    @property
    def steps_per_second(self) -> float:
        """Since the last time."""
        return self._steps / max(1e-9, time.monotonic() - self._begun)

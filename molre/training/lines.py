"""What a person reads of a run: lines of progress, which on a terminal are one line that is written anew.

Rank 0 prints plain lines; Ray forwards them to the driver, where ``live`` tells those of progress from the others. So
the same words reach a terminal, a log, and whoever follows ``ray job submit``.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from typing import IO

from molre.training.config import TrainConfig
from molre.training.watch import Step, Validation, Watcher

PASSING = re.compile(r"epoch \d+/\d+, step ")
"""How a line begins that the next one replaces."""

CHATTER = re.compile(
    r"DeepSpeed [\w.]+ built successfully|core_worker\.cc:\d+: Actor with class name: .* has constructor"
)
"""Lines of workers that say nothing about the run."""

LIVE_EVERY_S = 1.0
"""Seconds between two lines of progress on a terminal, where each takes the place of the one before."""


class Lines(Watcher):
    """A line of progress every few seconds, and one a validation.

    Args:
        config: of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def step(self, step: Step) -> None:
        """Loss, last score, pace and what is left."""
        score = "" if step.mean_auc is None else f"validation AUC {step.mean_auc:.3f}, "
        print(
            f"epoch {step.epoch + 1}/{step.epochs}, step {step.taken:,}/{step.total:,}: loss {step.loss:.4f}, {score}"
            f"{step.studies_per_second:.3g} studies/s, {duration(step.seconds_left)} left",
            flush=True,
        )

    def validation(self, validation: Validation) -> None:
        """The score, and whether it is the best."""
        auc = validation.mean_auc
        told = "no finding with both classes" if auc is None else f"validation mean AUC {auc:.3f}"
        best = ", the best so far" if validation.best and auc is not None else ""
        epoch = f"epoch {validation.epoch}/{self.config.epochs}"
        print(f"{epoch}: loss {validation.loss:.4f}, {told} ({validation.findings} findings){best}", flush=True)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def on_terminal() -> bool:
    """Whether a person looks at this process's output as it comes."""
    return sys.stdout.isatty()


@contextlib.contextmanager
def live() -> Iterator[None]:
    """While the block runs, lines of progress replace each other on a terminal; everywhere, chatter is left out."""
    screen = _Screen(sys.stdout, rewrites=on_terminal())
    with contextlib.redirect_stdout(_Lines(screen, sys.stdout)), contextlib.redirect_stderr(_Lines(screen, sys.stderr)):
        try:
            yield
        finally:
            screen.clear()


class _Screen:
    """What is shown, whose last line may be one of progress."""

    def __init__(self, stream: io.TextIOBase | IO[str], *, rewrites: bool) -> None:
        self._stream, self._rewrites = stream, rewrites
        self._shown, self._lock = False, threading.RLock()

    def show(self, line: str, stream: io.TextIOBase | IO[str]) -> None:
        if CHATTER.search(line):
            return
        with self._lock:
            if self._rewrites and PASSING.match(line):
                # A line that wraps could not be written over.
                width = shutil.get_terminal_size().columns - 1
                self._stream.write(f"\r{line[:width]}\x1b[K")
                self._stream.flush()
                self._shown = True
                return
            self.clear()
            stream.write(f"{line}\n")
            stream.flush()

    def clear(self) -> None:
        with self._lock:
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
            self._shown = False


class _Lines(io.TextIOBase):
    """A stream that hands whole lines to a screen."""

    def __init__(self, screen: _Screen, stream: io.TextIOBase | IO[str]) -> None:
        self._screen, self._stream, self._begun = screen, stream, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._screen.show(line, self._stream)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

"""Storage that may refuse for a while, and the thread that brings a run's checkpoints to it."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from molre.errors import TrainingError, storage_fault
from molre.location import Location
from molre.training import checkpoint as checkpoints
from molre.training.checkpoint import Checkpoint

T = TypeVar("T")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
WAITING = 2
"""Checkpoints that may wait for the one on its way, each a copy of the state in memory; then training waits too."""


def at_once(work: Callable[[], T], aim: str) -> T:
    """What the work gives, where a refusal is the user's to mend before anything has begun.

    Args:
        work: touches storage.
        aim: what for, as in "cannot write the run to /x".

    Raises:
        TrainingError: storage refused.
    """
    return patiently(work, aim, 0.0)


def patiently(work: Callable[[], T], aim: str, patience_s: float) -> T:
    """What the work gives, done again while storage refuses.

    Args:
        work: touches storage; what it did in part it may do again.
        aim: what for.
        patience_s: how long storage may refuse.

    Raises:
        TrainingError: storage refused for longer.
    """
    begun, wait_s = time.monotonic(), FIRST_WAIT_S
    while True:
        try:
            return work()
        except OSError as fault:
            passed_s = time.monotonic() - begun
            if passed_s >= patience_s:
                tried = f", for {passed_s:.0f} seconds" if patience_s else ""
                raise TrainingError(
                    f"cannot {aim}: {storage_fault(fault)}{tried}; mend it and run the same command again"
                ) from fault
            print(f"note: cannot {aim} ({storage_fault(fault)}); trying again", flush=True)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


class Uploader:
    """Brings checkpoints to a run's folder one after another while training goes on, and thins out the earlier ones.

    They go there in the order they were put, so that an older one never comes after a newer. Nothing passes through
    local files that a killed worker would leave behind.

    Args:
        run: folder of the run's checkpoints.
        patience_s: how long storage may refuse one.
    """

    def __init__(self, run: Location, patience_s: float) -> None:
        self._run, self._patience_s = run, patience_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._under_way: deque[Future[None]] = deque()
        self.trouble = ""
        """Why a checkpoint could not be kept; empty while all is well."""

    def put(self, checkpoint: Checkpoint) -> None:
        """Let a checkpoint be kept; returns before it is, unless too many wait already."""
        self._settle(WAITING)
        self._under_way.append(self._thread.submit(self._keep, checkpoint))

    def finish(self) -> None:
        """Wait until every checkpoint is kept, or could not be."""
        self._settle(0)

    def _settle(self, left: int) -> None:
        while len(self._under_way) > left or (self._under_way and self._under_way[0].done()):
            try:
                self._under_way.popleft().result()
            except TrainingError as fault:
                self.trouble = str(fault)

    def _keep(self, checkpoint: Checkpoint) -> None:
        place = self._run / checkpoints.folder_name(checkpoint.progress.taken)
        patiently(lambda: checkpoints.write(place, checkpoint), "write a checkpoint", self._patience_s)
        # What could not be removed is removed after the next checkpoint: nothing depends on it.
        with contextlib.suppress(OSError):
            checkpoints.thin(self._run)

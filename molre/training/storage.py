"""Checkpoints on their way to storage that may refuse them for a while."""

from __future__ import annotations

import time
from typing import Any

from ray.train import Checkpoint

from molre.errors import TrainingError, storage_fault

PATIENCE_S = 600.0
"""How long storage may refuse a checkpoint before the run gives up; an outage of minutes is common, of more is not."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


class Uploader:
    """Copies checkpoints to a run's storage, trying again while it refuses; Ray Train calls it beside the training.

    Args:
        storage: of the run, ``ray.train.get_context().get_storage()``.
    """

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def __call__(self, checkpoint: Checkpoint, name: str) -> Checkpoint:
        """The checkpoint where it is kept.

        Raises:
            TrainingError: storage refused it for ten minutes.
        """
        begun, wait = time.monotonic(), FIRST_WAIT_S
        while True:
            try:
                kept: Checkpoint = self._storage.persist_current_checkpoint(checkpoint, name)
                return kept
            except OSError as fault:
                if time.monotonic() - begun > PATIENCE_S:
                    raise TrainingError(
                        f"storage refused a checkpoint for {PATIENCE_S / 60:.0f} minutes: {storage_fault(fault)}; "
                        "mend it and run the same command again"
                    ) from fault
                print(f"note: storage refuses a checkpoint ({storage_fault(fault)}); trying again", flush=True)
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)

"""Where a run goes on from."""

from __future__ import annotations

import torch

from molre.location import Location
from molre.training import checkpoint as checkpoints
from molre.training.checkpoint import Checkpoint
from molre.training.storage import patiently


def furthest(run: Location, rank: int, world: int, patience_s: float) -> Checkpoint | None:
    """The furthest whole checkpoint of a run, the same on every worker; None where there is none.

    Rank 0 chooses, and removes damaged ones and what killed runs left.

    Args:
        run: folder of the run's checkpoints.
        rank: of this worker.
        world: number of workers.
        patience_s: how long storage may refuse.

    Raises:
        TrainingError: storage refused for longer.
    """
    chosen: list[str | None] = [None]
    if rank == 0:
        chosen = [patiently(lambda: _choose(run), "read the checkpoints", patience_s)]
    if world > 1:
        torch.distributed.broadcast_object_list(chosen, src=0)
    if chosen[0] is None:
        return None
    place = Location.of(chosen[0])
    return patiently(lambda: checkpoints.read(place), "read a checkpoint", patience_s)


def _choose(run: Location) -> str | None:
    found, damaged = checkpoints.newest(run)
    for name, sentence in damaged.items():
        before = "going on from the one before it" if found else "beginning from the start"
        print(f"note: {sentence}; {before}", flush=True)
        (run / name).delete()
    for name in checkpoints.sweep(run):
        print(f"note: the checkpoint {name} is incomplete, as a killed run leaves one; removed", flush=True)
    return found.place.uri if found else None

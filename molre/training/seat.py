"""Where a worker stands: alone in its process, or one of those that Ray Train started, and whom it tells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray.train
import torch
from ray.train import CheckpointUploadMode

from molre.training.config import TrainConfig
from molre.training.watch import Watcher
from molre.training.watchers import watchers_of

NOTICE_S = 120.0
"""How long before its end a node is told of it where the notice does not say, as on AWS."""

ALONE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
"""What a launcher of several processes would set, and DeepSpeed asks for."""


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A worker alone in its process, which tells one listener.

    Attributes:
        listener: told the figures of every validation.
        rank: number of the worker.
        world: workers of the run.
        here: those of them on this node.
    """

    listener: Callable[[dict[str, Any]], None]
    rank: int = 0
    world: int = 1
    here: int = 1

    def report(self, metrics: dict[str, Any]) -> None:
        """Tell the figures of a validation; it may not return, where the run is to stop."""
        self.listener(metrics)

    def say(self, line: str) -> None:
        """A line for people, which a process among many keeps to itself."""

    def watchers(self, config: TrainConfig, seen: int) -> list[Watcher]:
        """Who is told of steps."""
        return []

    def ends_s(self) -> float | None:
        """When this node is about to be taken away, in seconds since the epoch; None where it stays."""
        return None


class TrainSeat(Seat):
    """A worker of Ray Train."""

    def __init__(self) -> None:
        context = ray.train.get_context()
        super().__init__(
            listener=_to_controller,
            rank=context.get_world_rank(),
            world=context.get_world_size(),
            here=context.get_local_world_size(),
        )

    def say(self, line: str) -> None:
        """A line for people."""
        print(line, flush=True)

    def watchers(self, config: TrainConfig, seen: int) -> list[Watcher]:
        """Everybody that rank 0 tells."""
        return watchers_of(config, seen) if self.rank == 0 else []

    def ends_s(self) -> float | None:
        """When a node of the run is about to be taken away."""
        notice = ray.train.get_preemption_info()
        if notice is None:
            return None
        return notice.deadline_ms / 1000 if notice.deadline_ms else time.time() + NOTICE_S


def _to_controller(metrics: dict[str, Any]) -> None:
    # Asynchronous, since the controller takes one report a poll; what it is told of needs no upload.
    ray.train.report(metrics, checkpoint_upload_mode=CheckpointUploadMode.ASYNC)


def alone() -> torch.device:
    """See to a process group of this process only, as DeepSpeed asks for one, and name the device to work on.

    The group stays to the end of the process: DeepSpeed keeps the first it sees.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.distributed.is_initialized():
        os.environ.update(ALONE)
        backend = "nccl" if device.type == "cuda" else "gloo"
        store = torch.distributed.HashStore()  # type: ignore[attr-defined]  # not in its stubs
        torch.distributed.init_process_group(backend, store=store, rank=0, world_size=1)
    return device

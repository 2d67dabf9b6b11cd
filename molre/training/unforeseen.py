"""Why a run ended, in one line: the worker that failed first, without the traceback that Ray wraps it in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError
from ray.train import TrainingFailedError, UserCallback
from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError
from ray.train.v2.api.exceptions import PreemptionError

from molre.errors import MolreError, TrainingError, storage_fault
from molre.location import Location
from molre.training.config import TrainConfig

FAILURE = "failure.txt"
"""File in OUT with all that Ray says of a run that failed: tracebacks and ends of processes, worker by worker."""

AGAIN = "run the same command again to go on from the last checkpoint"

_COLLATERAL = re.compile(r"gloo|nccl|Connection (closed|reset)|DistBackendError|Broken pipe", re.IGNORECASE)
"""What the other workers meet when one is gone."""


def unforeseen(failure: TrainingFailedError, config: TrainConfig) -> MolreError:
    """The error to raise for a failure of Ray Train; everything that Ray says goes into ``OUT/failure.txt``."""
    met = {rank: _inner(error) for rank, error in _worker_failures(failure).items()}
    for error in met.values():
        if isinstance(error, MolreError):
            return error
    sentence = _of_workers(met, config) if met else _of_controller(failure, config)
    return TrainingError(f"{sentence}; {_kept(failure, config)}")


def _worker_failures(failure: TrainingFailedError) -> Mapping[int, Exception]:
    return getattr(failure, "worker_failures", {})


def _inner(error: BaseException) -> BaseException:
    """What the worker met, below what Ray wraps around it."""
    for name in ("_base_exc", "health_check_failure", "cause"):
        within = getattr(error, name, None)
        if isinstance(within, BaseException):
            return _inner(within)
    return error


class Noted(UserCallback):
    """Says in one line that a worker failed, each time; Ray Train would print a traceback for every worker."""

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by the controller, whether or not the run is taken up again."""
        rank, error = _first({each: _inner(fault) for each, fault in worker_exceptions.items()})
        print(f"note: worker {rank} {_how(error)}", flush=True)


def _of_workers(met: Mapping[int, BaseException], config: TrainConfig) -> str:
    rank, error = _first(met)
    if isinstance(error, RayActorError | OutOfMemoryError):
        return (
            f"worker {rank} {_how(error)}, more often than --max-failures {config.max_failures} allows: use fewer "
            "--workers, a smaller --batch-size or more --accumulation, and run the same command again to go on"
        )
    often = f" {config.max_failures + 1} times, last" if config.max_failures else ""
    return f"worker {rank} {_how(error).replace('failed', f'failed{often}', 1)}"


def _first(met: Mapping[int, BaseException]) -> tuple[int, BaseException]:
    """The worker whose error the others' most likely follow from."""
    rank = min(met, key=lambda each: (_last(met[each]), each))
    return rank, met[rank]


def _how(error: BaseException) -> str:
    if _out_of_memory(error):
        return "ran out of memory"
    if isinstance(error, RayActorError):
        return "was killed from outside, as happens without memory"
    said = " ".join(str(error).split())[:300]
    return f"failed with {type(error).__name__}{': ' if said else ''}{said}"


def _last(error: BaseException) -> int:
    """How likely an error only follows from another's: 0 for one of its own, 2 for a connection that was cut."""
    if isinstance(error, RayActorError | OutOfMemoryError):
        return 1
    return 2 if _COLLATERAL.search(f"{type(error).__name__} {error}") else 0


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, OutOfMemoryError) or (isinstance(error, ActorDiedError) and "OOM" in _reason(error))


def _reason(error: ActorDiedError) -> str:
    """What Ray says of the end of an actor, where it knows and does not only list what may be."""
    said = str(error)
    return "" if re.search("(potential root|common) causes", said) else said


def _of_controller(failure: TrainingFailedError, config: TrainConfig) -> str:
    inner = getattr(failure, "controller_failure", failure)
    if isinstance(inner, PreemptionError):
        return f"nodes were taken away more often than --max-preemptions {config.max_preemptions} allows: {AGAIN}"
    if isinstance(inner, WorkerGroupStartupTimeoutError):
        return (
            f"the cluster did not start {inner.num_workers} workers in time: ask for fewer with --workers, or wait "
            "longer with --start-timeout-s"
        )
    if isinstance(inner, OSError):
        return f"cannot write to {config.out} ({storage_fault(inner)}): {AGAIN}"
    return f"the training could not be run: {' '.join(str(inner).split())[:400]}"


def _kept(failure: TrainingFailedError, config: TrainConfig) -> str:
    """Where the rest of what is known lies."""
    where = Location.of(config.out) / FAILURE
    try:
        where.write_bytes(f"{failure}\n".encode())
    except OSError as fault:
        return f"Ray's own words could not be written to {where} ({storage_fault(fault)})"
    return f"tracebacks lie in {where}"

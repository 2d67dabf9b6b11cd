"""What Ray Train says of a run that failed, as the one line that the person who started it can act on."""

from __future__ import annotations

import ray.train
from ray.exceptions import NodeDiedError, ObjectStoreFullError, OutOfMemoryError, RayError
from ray.train import TrainingFailedError
from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError, WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import ControllerError, PreemptionError

from molre.cluster import offer
from molre.errors import MolreError, TrainingError, storage_fault
from molre.training.config import TrainConfig

AGAIN = "run the same command again to go on from the last checkpoint"


def cause_of(failure: TrainingFailedError, config: TrainConfig) -> MolreError | None:
    """What went wrong, where it is something to act on; None for what is a fault in the code."""
    if isinstance(failure, PreemptionError):
        return TrainingError(f"nodes were taken away more than {config.max_preemptions} times: {AGAIN}")
    if isinstance(failure, ControllerError):
        return _of_controller(failure.controller_failure, config)
    faults = list(getattr(failure, "worker_failures", {}).values())
    for fault in faults:  # an error of ours first: the others often only follow from it
        if isinstance(fault, MolreError):
            return fault
    for fault in faults:
        told = _of_worker(fault, config)
        if told:
            return told
    return None


def _of_controller(fault: BaseException, config: TrainConfig) -> MolreError | None:
    if isinstance(fault, WorkerGroupStartupTimeoutError):
        return TrainingError(
            f"the cluster did not start {fault.num_workers} workers in time, for it offers {offer().workers}: "
            "ask for fewer with --workers, or wait longer with --start-timeout-s"
        )
    if isinstance(fault, OSError):
        return TrainingError(f"cannot write to {config.out}: {storage_fault(fault)}; {AGAIN}")
    if isinstance(fault, RayError):
        return TrainingError(f"Ray could not go on ({type(fault).__name__}): {AGAIN}")
    return None


def _of_worker(fault: BaseException, config: TrainConfig) -> MolreError | None:
    if isinstance(fault, WorkerHealthCheckFailedError):
        fault = fault.health_check_failure
    if isinstance(fault, OutOfMemoryError | ObjectStoreFullError):
        return TrainingError(f"a worker had no memory left ({type(fault).__name__}): {AGAIN} when there is more")
    if isinstance(fault, ray.exceptions.RayActorError | NodeDiedError):
        return TrainingError(f"workers died more often than --max-failures {config.max_failures} allows: {AGAIN}")
    if isinstance(fault, OSError):
        return TrainingError(f"a worker met an error of storage: {storage_fault(fault)}; {AGAIN}")
    return None

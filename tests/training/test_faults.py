"""Faults of processes, checkpoints and data while a run is on: each ends as if there had been none."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fault_runs import LONG, STEPS, Job, assert_same_run, folder, last, reached, worker_pids

from molre.embedding import EmbedConfig, embed
from molre.training.config import TrainConfig
from molre.training.run import train

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def features(ray_cluster, small_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("features")
    return embed(EmbedConfig(store=small_store, backbone="dinov3-tiny", weights="random", out=str(out))).uri


@pytest.fixture(scope="module")
def calm(small_store, features, tmp_path_factory):
    """Folder of the undisturbed run on two workers."""
    out = tmp_path_factory.mktemp("calm")
    same = {flag[2:].replace("-", "_"): value for flag, value in LONG.items()}
    train(TrainConfig(store=small_store, features=features, out=str(out), weights="random", **same))
    assert last(out).progress.taken == STEPS
    return out


@pytest.fixture
def job(ray_cluster, small_store, features):
    """Start a training on the test run's cluster."""
    import ray

    address = ray.get_runtime_context().gcs_address
    started = []

    def start(out, **flags):
        flags = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
        started.append(Job(str(out), small_store, features, flags, {"RAY_ADDRESS": address}))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()


def test_calm(calm):
    pass

"""Faults of processes, checkpoints and data while a run is on: each ends as if there had been none."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from fault_runs import Job, assert_same_run, folder, last, worker_pids

from molre.store import Store
from molre.training import checkpoint as checkpoints

pytestmark = [pytest.mark.ray, pytest.mark.faults]


@pytest.fixture
def job(jobs, ray_cluster, small_store, features):
    """Start a training on the test run's cluster."""
    import ray

    environment = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}

    def start(out, **flags):
        store, place = flags.pop("store", small_store), flags.pop("features", features)
        jobs.append(Job(str(out), store, place, flags, environment))
        return jobs[-1]

    return start


@pytest.fixture
def full_object_store(ray_cluster):
    """Fill Ray's object store, with objects that are held and so can neither be dropped nor spilled."""
    import ray

    capacity, held = int(ray.cluster_resources()["object_store_memory"]), []
    for size in (50_000_000, 2_000_000):
        while sum(each.nbytes for each in held) + size < 0.985 * capacity:
            held.append(ray.get(ray.put(np.ones(size, np.uint8))))
    yield
    held.clear()


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_worker_and_driver_killed_and_checkpoints_damaged(job, calm, full_object_store, tmp_path):
    first = job(tmp_path)
    first.wait_for_step(120)
    os.kill(worker_pids()[0], signal.SIGKILL)
    first.wait_until(lambda: "going on from step" in first.told)
    first.wait_for_step(320)
    first.kill()

    before, newest = checkpoints.whole(folder(tmp_path))[-2:]
    damaged = Path(newest.place.path)
    flip(damaged / checkpoints.TRAINED, -1)
    cut_short = damaged.with_name("step-99999999-00000000")
    shutil.copytree(damaged, cut_short)
    (cut_short / checkpoints.MANIFEST).unlink()

    told = job(tmp_path).end()
    assert "trained.safetensors of the checkpoint" in told
    assert "going on from the one before it" in told
    assert f"going on from step {before.progress.taken} of" in told
    assert not cut_short.exists()
    assert not damaged.exists()
    assert_same_run(tmp_path, calm, exactly=True)


def test_a_loss_that_is_no_number_ends_the_run_in_one_line(job, tmp_path):
    told = job(tmp_path, learning_rate=1e30, workers=1, checkpoint_every_steps=1).end(status=2)
    said = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert "was not a number" in said[0]
    assert "the checkpoint before it is kept" in said[0]
    assert "Traceback" not in told
    assert all(bool(value.isfinite().all()) for value in last(tmp_path).parameters.values())


def damaged_copy(store: str, place: Path) -> tuple[Path, bytes]:
    """A copy of a store whose second part is of the right size and cannot be read; the part, and what it was."""
    shutil.copytree(store, place)
    part = place / Store.open(place).manifest.parts[1].name
    whole = part.read_bytes()
    part.write_bytes(whole[:-200] + bytes(200))
    return part, whole


@pytest.mark.parametrize("kind", ["auto", "live"])
def test_a_damaged_part_is_named_and_the_run_goes_on_once_it_is_mended(job, calm, small_store, kind, tmp_path):
    part, whole = damaged_copy(small_store, tmp_path / "store")
    more = {"store": str(tmp_path / "store"), "features": kind, "max_failures": 0}
    if kind == "live":
        more |= {"epochs": 2, "checkpoint_every_steps": 1, "workers": 1}
    told = job(tmp_path / "run", **more).end(status=2)
    said = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert str(part) in said[0]
    part.write_bytes(whole)
    job(tmp_path / "run", **more).end()
    if kind == "live":
        assert last(tmp_path / "run").progress.seen == 2 * last(calm).progress.seen // 120
    else:
        assert_same_run(tmp_path / "run", calm, exactly=True)

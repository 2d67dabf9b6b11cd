"""Storage that refuses a run's checkpoints for a while, for real: a disk that fills up, an S3 server that is gone."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from fault_runs import Job, assert_same_run, folder, reached, worker_pids

from molre.training import checkpoint as checkpoints

server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")

pytestmark = [pytest.mark.ray, pytest.mark.faults]

PAGE = 4096


@pytest.fixture
def job(jobs, ray_cluster, small_store, features):
    """Start a training on the test run's cluster, with variables for its workers too."""
    import ray

    def start(out, **variables):
        inherited = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": {"env_vars": variables}})}
        environment = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address, **(inherited if variables else {})}
        jobs.append(Job(str(out), small_store, features, {}, environment))
        return jobs[-1]

    return start


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 MiB."""
    root = tmp_path / "disk"
    root.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", root], capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield root
    subprocess.run(["umount", "--lazy", root], check=True)


def leave(disk, size: int) -> None:
    """Take all of a disk's space but so many bytes."""
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, os.statvfs(disk).f_bavail * PAGE - size)


def cut_short(out) -> list[str]:
    whole = {one.place.name for one in checkpoints.whole(folder(out))}
    return [name for name in folder(out).names() if name.startswith(checkpoints.PREFIX) and name not in whole]


def test_a_disk_that_fills_up_and_workers_killed_in_the_midst_of_an_upload(job, calm, disk):
    out = disk / "run"
    run = job(out)
    run.wait_for_step(80)
    size = Path(checkpoints.whole(folder(out))[-1].place.path, checkpoints.TRAINED).stat().st_size
    leave(disk, size + 3 * PAGE)  # for the first file of a checkpoint, not for the second
    run.wait_until(lambda: "trying again" in run.told)
    (left,) = cut_short(out)
    assert checkpoints.TRAINED in (folder(out) / left).names()
    for pid in worker_pids():
        os.kill(pid, signal.SIGKILL)
    run.wait_until(lambda: f"the checkpoint {left} is incomplete" in run.told)
    assert left not in folder(out).names()
    (disk / "filler").unlink()
    told = run.end()
    assert "note: cannot write a checkpoint (no space is left on its disk); trying again" in told
    assert_same_run(out, calm, exactly=True)


@pytest.fixture
def s3(monkeypatch):
    """A bucket's URI, the variables to reach it with, and its server, which can be stopped and started again."""

    def start(port=0):
        running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        running.start()
        return running

    servers = [start()]
    port = servers[0].get_host_and_port()[1]
    endpoint = f"http://127.0.0.1:{port}"
    variables = {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    variables |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    pafs.S3FileSystem(allow_bucket_creation=True, region="us-east-1", endpoint_override=endpoint).create_dir("runs")
    yield "s3://runs", variables, lambda: servers.pop().stop(), lambda: servers.append(start(port))
    for running in servers:
        running.stop()


def test_an_s3_server_that_is_gone_for_a_while_and_training_goes_on_meanwhile(job, calm, s3):
    uri, variables, stop, start = s3
    run = job(f"{uri}/run", **variables)
    run.wait_for_step(40)
    kept = reached(run.out)
    stop()
    run.wait_until(lambda: "trying again" in run.told)
    # One checkpoint is on its way and two wait: so long training goes on, and then it waits too.
    run.wait_until(lambda: run.step >= kept + 80)
    start()
    told = run.end()
    assert "note: cannot write a checkpoint (AWS Error NETWORK_CONNECTION)" in told
    assert_same_run(run.out, calm, exactly=True)

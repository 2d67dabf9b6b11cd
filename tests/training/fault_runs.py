"""A training as its user starts it, in a process of its own that can be killed, and what it left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from molre.location import Location
from molre.training import checkpoint as checkpoints

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = {"--epochs": 60, "--batch-size": 4, "--checkpoint-every-epochs": 15, "--checkpoint-every-steps": 25}
"""Steps of milliseconds, and enough of them that a fault meets the run in the midst of it."""
STEPS = 60 * 8


@dataclass
class Job:
    """``python jobs/train.py`` on a store, in a process group of its own.

    Attributes:
        out: of the run.
        store: what it is trained on.
        features: of the store.
        flags: more of the command line.
        environment: of the process.
    """

    out: str
    store: str
    features: str
    flags: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        flags = {"--store": self.store, "--features": self.features, "--out": self.out, "--weights": "random"}
        flags |= {**LONG, "--check-every-steps": 5, "--tell-every-s": 0.2, **self.flags}
        words = [str(word) for pair in flags.items() for word in pair]
        path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-u", "jobs/train.py", *words, "--no-evaluate"], cwd=REPOSITORY, start_new_session=True,
            env=os.environ | {"PYTHONPATH": path} | self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def wait_until(self, condition, timeout_s=180) -> None:
        """Wait for what is to come true while the run is on."""
        begun = time.monotonic()
        while not condition():
            assert self.process.poll() is None, self.process.stdout.read()
            assert time.monotonic() < begun + timeout_s, f"not in {timeout_s} s: {condition}"
            time.sleep(0.02)

    def wait_for_step(self, step, timeout_s=180) -> None:
        """Wait for a whole checkpoint of that step or a later one."""
        self.wait_until(lambda: reached(self.out) >= step, timeout_s)

    def kill(self) -> None:
        """``kill -9`` of the driver alone; its workers are Ray's to end."""
        assert self.process.poll() is None, self.process.stdout.read()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self, status=0, timeout_s=300) -> str:
        """What it printed, once it has ended with that exit status."""
        try:
            told, _ = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGINT)
            told, _ = self.process.communicate(timeout=60)
            raise AssertionError(f"not ended in {timeout_s} s: {told}") from None
        assert self.process.returncode == status, told
        return told


def folder(out) -> Location:
    return Location.of(str(out)) / "checkpoints"


def reached(out) -> int:
    """Steps of the furthest whole checkpoint."""
    with contextlib.suppress(OSError):
        found = checkpoints.whole(folder(out))
        return found[-1].progress.taken if found else 0
    return 0


def last(out) -> checkpoints.Checkpoint:
    return checkpoints.read(checkpoints.whole(folder(out))[-1].place)


def assert_same_run(out, calm, *, exactly: bool) -> None:
    """A run saw what the calm one saw, and ended where it did."""
    one, other = last(out), last(calm)
    for name in ("epoch", "step", "taken", "seen", "order", "waited", "stopped"):
        assert getattr(one.progress, name) == getattr(other.progress, name), name
    assert len(one.losses) == one.progress.taken
    assert [each["taken"] for each in one.validations] == [each["taken"] for each in other.validations]
    if exactly:
        assert np.array_equal(one.losses, other.losses)
        assert one.progress == other.progress
        assert np.array_equal(one.logits, other.logits)
        assert all(one.parameters[name].equal(value) for name, value in other.parameters.items())
    else:
        np.testing.assert_allclose(one.losses, other.losses, atol=1e-4)
        for name, value in other.parameters.items():
            assert (one.parameters[name] - value).abs().max() < 1e-3, name
    assert_swept(out)


def assert_swept(out) -> None:
    """Every folder of a checkpoint is whole, and there are no more than are to stay."""
    names = [name for name in folder(out).names() if name.startswith(checkpoints.PREFIX)]
    assert sorted(names) == sorted(one.place.name for one in checkpoints.whole(folder(out)))
    assert 2 <= len(names) <= checkpoints.KEPT + 1


def worker_pids() -> list[int]:
    """Train workers on this machine that belong to this test run's Ray."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mine = os.environ["RAY_AUTH_TOKEN_PATH"].encode() in (entry / "environ").read_bytes()
            if mine and b"RayTrainWorker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found

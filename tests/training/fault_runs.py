"""A training as its user starts it, in a process of its own that can be killed, and what it left."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from molre.location import Location
from molre.training import checkpoint as checkpoints

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = {
    "epochs": 120,
    "batch_size": 4,
    "checkpoint_every_epochs": 30,
    "checkpoint_every_steps": 40,
    "weights": "random",
}
"""Steps of milliseconds, and enough of them that a fault meets the run in the midst of it."""
STEPS = 120 * 8


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
        flags = {"store": self.store, "features": self.features, "out": self.out, **LONG, "check_every_s": 0.1}
        flags |= {"tell_every_s": 0.2, **self.flags}
        words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
        number, name = tempfile.mkstemp(prefix="molre-told-")
        self._told = Path(name)
        self.process = subprocess.Popen(
            [sys.executable, "-u", "jobs/train.py", *words, "--no-evaluate"], cwd=REPOSITORY, start_new_session=True,
            env=os.environ | {"PYTHONPATH": path} | self.environment, stdout=number, stderr=subprocess.STDOUT,
        )  # fmt: skip

        os.close(number)

    @property
    def told(self) -> str:
        """What it has printed so far."""
        return self._told.read_text(errors="replace")

    @property
    def step(self) -> int:
        """The step that it told last."""
        return int(([0, *re.findall(r"step (\d+)/", self.told.replace(",", ""))])[-1])

    def wait_until(self, condition, timeout_s=240) -> None:
        """Wait for what is to come true while the run is on."""
        begun = time.monotonic()
        while not condition():
            assert self.process.poll() is None, self.told
            assert time.monotonic() < begun + timeout_s, f"not in {timeout_s} s: {self.told}"
            time.sleep(0.02)

    def wait_for_step(self, step) -> None:
        """Wait for a whole checkpoint of that step or a later one."""
        self.wait_until(lambda: reached(self.out) >= step)

    def close(self) -> None:
        """Kill it where it is still on, and forget what it printed."""
        if self.process.poll() is None:
            self.kill()
        self._told.unlink()

    def kill(self) -> None:
        """``kill -9`` of the driver alone; its workers are Ray's to end."""
        assert self.process.poll() is None, self.told
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self, status=0, timeout_s=400) -> str:
        """What it printed, once it has ended with that exit status."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not ended in {timeout_s} s: {self.told}") from None
        assert self.process.returncode == status, self.told
        return self.told


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
        # Sums over another number of workers round otherwise, which Adam makes more of step by step.
        np.testing.assert_allclose(one.losses[:200], other.losses[:200], atol=1e-4)
        np.testing.assert_allclose(one.losses, other.losses, atol=1e-2)
        for mine, calms in zip(one.validations, other.validations, strict=True):
            assert abs(mine["mean_auc"] - calms["mean_auc"]) < 0.02
    assert_swept(out)


def assert_swept(out) -> None:
    """Every folder of a checkpoint is whole, and there are no more than are to stay."""
    names = [name for name in folder(out).names() if name.startswith(checkpoints.PREFIX)]
    assert sorted(names) == sorted(one.place.name for one in checkpoints.whole(folder(out)))
    assert 2 <= len(names) <= checkpoints.KEPT + 1


def worker_pids(token: str | None = None) -> list[int]:
    """Train workers on this machine that belong to the Ray with that token, this test run's by default."""
    wanted, found = (token or os.environ["RAY_AUTH_TOKEN_PATH"]).encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"RayTrainWorker" in (entry / "cmdline").read_bytes() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return sorted(found)


@contextlib.contextmanager
def slowed(token: str | None = None):
    """Hold the Train workers nine tenths of the time, so that what is slow meets them in the midst of the run."""
    over = threading.Event()

    def hold():
        while not over.is_set():
            pids = worker_pids(token)
            for pause_s, what in ((0.27, signal.SIGSTOP), (0.03, signal.SIGCONT)):
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, what)
                time.sleep(pause_s)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

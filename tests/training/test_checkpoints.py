"""Checkpoints on storage that is slow, full or cut short: whole or absent, in order, and no more than are to stay."""

import errno
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from molre.errors import TrainingError
from molre.location import Location
from molre.training import checkpoint as checkpoints
from molre.training import storage
from molre.training.checkpoint import Checkpoint, DamagedCheckpoint, Progress
from molre.training.storage import Uploader, at_once, patiently


def state(taken: int, score: float | None = None) -> Checkpoint:
    """A checkpoint after so many steps, validated where it has a score."""
    return Checkpoint(
        progress=Progress(taken=taken, score=score or 0.0),
        parameters={"a.weight": torch.full((3, 2), float(taken))},
        moments={"a.weight": {"exp_avg": torch.ones(3, 2), "exp_avg_sq": torch.zeros(3, 2)}},
        losses=np.arange(taken, dtype=np.float32),
        logits=None if score is None else np.ones((2, 75), np.float32),
    )


@pytest.fixture
def run(tmp_path):
    return Location.of(tmp_path / "checkpoints")


def steps(run) -> list[int]:
    return [one.progress.taken for one in checkpoints.whole(run)]


def written(run, checkpoint, name=None) -> Path:
    place = run / (name or checkpoints.folder_name(checkpoint.progress.taken))
    checkpoints.write(place, checkpoint)
    return Path(place.path)


def test_what_is_written_is_read(run):
    place = written(run, state(7, score=0.5))
    again = checkpoints.read(Location.of(place))
    assert again.progress == Progress(taken=7, score=0.5)
    assert again.parameters["a.weight"].equal(torch.full((3, 2), 7.0))
    assert again.moments["a.weight"]["exp_avg"].equal(torch.ones(3, 2))
    assert np.array_equal(again.losses, np.arange(7))


@pytest.mark.parametrize(
    "name", [checkpoints.TRAINED, checkpoints.OPTIMIZER, checkpoints.HISTORY, checkpoints.MANIFEST]
)
@pytest.mark.parametrize("fault", ["missing", "cut short", "bit"])
def test_a_damaged_file_is_found_and_the_checkpoint_before_taken(run, name, fault):
    written(run, state(1))
    file = written(run, state(2)) / name
    content = file.read_bytes()
    if fault == "missing":
        file.unlink()
    elif fault == "cut short":
        file.write_bytes(content[: len(content) // 2])
    else:
        at = content.index(b'"taken": 2') + 9 if name == checkpoints.MANIFEST else len(content) // 2
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    found, _ = checkpoints.newest(run)
    assert found.progress.taken == 1
    with pytest.raises(DamagedCheckpoint, match=str(file.parent)):
        checkpoints.read(Location.of(file.parent))


def test_only_what_is_not_whole_is_swept(run):
    written(run, state(1))
    cut_short = written(run, state(2))
    (cut_short / checkpoints.MANIFEST).unlink()
    (run / "other.json").write_bytes(b"{}")
    assert checkpoints.sweep(run) == [cut_short.name]
    assert steps(run) == [1]
    assert (run / "other.json").exists()


def test_the_last_two_and_the_best_stay(run):
    for taken, score in ((1, 0.4), (2, 0.9), (3, None), (4, 0.9), (5, 0.2), (6, None), (7, None)):
        written(run, state(taken, score))
        checkpoints.thin(run)
    assert steps(run) == [4, 6, 7]
    assert [one.progress.taken for one in checkpoints.best(run)] == [4]


@pytest.fixture
def gate(monkeypatch):
    """Holds every write of a checkpoint until it is opened, or lets it fail."""
    opened, faults, write = threading.Event(), [], checkpoints.write

    def held(place, checkpoint):
        opened.wait(20)
        if faults:
            raise faults.pop()
        write(place, checkpoint)

    monkeypatch.setattr(storage.checkpoints, "write", held)
    monkeypatch.setattr(storage, "FIRST_WAIT_S", 0.01)
    return opened, faults


def test_training_goes_on_while_a_checkpoint_is_on_its_way(run, gate):
    opened, _ = gate
    uploader = Uploader(run, patience_s=5.0)
    begun = time.monotonic()
    uploader.put(state(1))
    uploader.put(state(2))
    assert time.monotonic() - begun < 1
    assert steps(run) == []
    opened.set()
    uploader.finish()
    assert steps(run) == [1, 2]


def test_an_older_checkpoint_never_comes_after_a_newer_and_a_refusal_is_outlasted(run, gate, monkeypatch, capsys):
    opened, faults = gate
    faults += [OSError(errno.EIO, "x"), OSError(errno.ENOSPC, "x")]
    uploader, seen, thin = Uploader(run, patience_s=5.0), [], checkpoints.thin
    monkeypatch.setattr(storage.checkpoints, "thin", lambda run: (thin(run), seen.append(steps(run)[-1])))
    opened.set()
    for taken in (1, 2, 3):
        uploader.put(state(taken))
    uploader.finish()
    assert seen == [1, 2, 3]
    assert not uploader.trouble
    assert "note: cannot write a checkpoint (no space is left on its disk); trying again" in capsys.readouterr().out


def test_storage_that_refuses_for_too_long_is_told_in_one_line(run, gate):
    opened, faults = gate
    opened.set()
    faults += [OSError(errno.EIO, "x")] * 9
    uploader = Uploader(run, patience_s=0.0)
    uploader.put(state(1))
    uploader.finish()
    assert uploader.trouble == ("cannot write a checkpoint: Input/output error; mend it and run the same command again")


def test_a_refusal_before_the_start_is_told_at_once():
    def refuse():
        raise PermissionError(errno.EACCES, "x")

    with pytest.raises(TrainingError, match="cannot write to /x: Permission denied; mend it"):
        at_once(refuse, "write to /x")
    assert patiently(lambda: 3, "count", 1.0) == 3

"""What a person sees of a run, on a real terminal and in a file."""

import contextlib
import io
import os
import select
import sys

import pytest

from molre.training.config import TrainConfig
from molre.training.lines import Lines, duration, live
from molre.training.watch import Step, Validation


def step(taken, mean_auc=None):
    return Step(
        epoch=2, epochs=40, taken=taken, total=1600, seen=8 * taken, loss=0.0312, learning_rate=1e-3,
        studies_per_second=143.2, seconds_left=130.0, mean_auc=mean_auc,
    )  # fmt: skip


VALIDATION = Validation(
    epoch=5,
    taken=200,
    seen=1600,
    mean_auc=0.8123,
    findings=61,
    loss=0.03,
    best=True,
    studies_per_second=140.0,
    gates={},
)


def tell():
    """What rank 0 prints, with chatter and a note in between."""
    lines = Lines(TrainConfig())
    lines.step(step(100))
    lines.step(step(120, 0.8))
    print("DeepSpeed deepspeed.ops.comm.deepspeed_shm_comm_op built successfully")
    lines.validation(VALIDATION)
    lines.step(step(140))
    print("note: something", file=sys.stderr)


@contextlib.contextmanager
def terminal(monkeypatch):
    """Standard output and error on a pseudo-terminal of 60 columns; tells what it was sent since the last time.

    No fixture: pytest takes the streams back between the set-up and the call of a test.
    """
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        patch.setenv("COLUMNS", "60")
        yield lambda: _sent(master)
    os.close(master)


def _sent(master):
    """What the terminal was sent since the last time."""
    sent = ""
    while select.select([master], [], [], 0.1)[0]:
        sent += os.read(master, 65536).decode().replace("\r\n", "\n")
    return sent


def screen(sent):
    """The rows a terminal shows after what it was sent; knows carriage return and erase to the end of the line."""
    rows, column = [""], 0
    for piece in sent.replace("\x1b[K", "\x00"):
        if piece == "\n":
            rows, column = [*rows, ""], 0
        elif piece == "\r":
            column = 0
        elif piece == "\x00":
            rows[-1] = rows[-1][:column]
        else:
            rows[-1], column = rows[-1][:column] + piece + rows[-1][column + 1 :], column + 1
    return rows


def test_on_a_terminal_progress_is_one_line_written_anew(monkeypatch):
    with terminal(monkeypatch) as sent:
        with live():
            tell()
            during = screen(sent())
            Lines(TrainConfig()).step(step(160))
            last = screen(sent())
        after = screen(sent())
    assert during == [
        "epoch 5/40: loss 0.0300, validation mean AUC 0.812 (61 findings), the best so far",
        "note: something",
        "",
    ]
    assert last == ["epoch 3/40, step 160/1,600: loss 0.0312, 143 studies/s, 2 m"]  # cut where it would wrap
    assert after == [""]


def test_elsewhere_every_line_stays(monkeypatch):
    told, wrong = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", told)
    monkeypatch.setattr(sys, "stderr", wrong)
    with live():
        tell()
    assert told.getvalue().splitlines() == [
        "epoch 3/40, step 100/1,600: loss 0.0312, 143 studies/s, 2 min left",
        "epoch 3/40, step 120/1,600: loss 0.0312, validation AUC 0.800, 143 studies/s, 2 min left",
        "epoch 5/40: loss 0.0300, validation mean AUC 0.812 (61 findings), the best so far",
        "epoch 3/40, step 140/1,600: loss 0.0312, 143 studies/s, 2 min left",
    ]
    assert wrong.getvalue() == "note: something\n"


@pytest.mark.parametrize(
    ("seconds", "said"), [(9.4, "9 s"), (99, "99 s"), (130, "2 min"), (5900, "98 min"), (9e3, "2.5 h")]
)
def test_a_duration_is_told_in_the_unit_that_suits_it(seconds, said):
    assert duration(float(seconds)) == said

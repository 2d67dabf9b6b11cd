"""DICOM series to an int16 HU volume in memory, on one core, beside the readers that others use.

All readers run in turn, in processes of their own, bound to the same core. Compared is processor time, which other work
on the machine disturbs least; on an idle machine the clock says the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from head_series import LINES, SYNTAXES, head_hu, write_series

SLICES = 128
ROUNDS = 7
NAMES = {
    "molre": "molre",
    "simpleitk": "SimpleITK series reader",
    "dcm2niix": "dcm2niix (a process that writes a file)",
    "pydicom": "pydicom pixel_array (no order, no HU)",
    "file_bytes": "reading the bytes alone",
}
START_UP = "dcm2niix without its start-up"
LEAST = {
    "uncompressed": {"simpleitk": 2.0, START_UP: 1.2},
    "RLE": {"simpleitk": 1.0},
    "JPEG-LS": {"simpleitk": 1.0},
    "JPEG 2000": {"simpleitk": 1.0},
}
"""How many times as fast as others we are to be."""

pytestmark = pytest.mark.bench


@dataclass
class Timed:
    """A reader's process and what it measured, a value a round; ``fault`` where it cannot read the series."""

    process: subprocess.Popen
    digest: list[int] | None
    fault: str
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def run(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wall_s, cpu_s = json.loads(self.process.stdout.readline())
        self.wall_s.append(wall_s)
        self.cpu_s.append(cpu_s)


@contextlib.contextmanager
def reader_on(name: str, folder: Path) -> Iterator[Timed]:
    """A reader that has read the series once, on the last core that this process may use."""
    core = str(max(os.sched_getaffinity(0)))
    command = [sys.executable, str(Path(__file__).with_name("reader_process.py")), name, str(folder), core]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        about = json.loads(process.stdout.readline())
        yield Timed(process, about.get("digest"), about.get("fault", ""))
        process.stdin.close()


def measured(folder: Path) -> tuple[dict[str, Timed], Timed]:
    """Every reader on a series, and dcm2niix on its first slice alone, round by round."""
    single = folder.with_name(f"{folder.name}-single")
    single.mkdir()
    shutil.copy(min(folder.iterdir()), single)
    with contextlib.ExitStack() as stack:
        readers = {name: stack.enter_context(reader_on(name, folder)) for name in NAMES}
        start_up = stack.enter_context(reader_on("dcm2niix", single))
        for _ in range(ROUNDS):
            for reader in (*readers.values(), start_up):
                if not reader.fault:
                    reader.run()
    return readers, start_up


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory, so that no disk is measured."""
    folder = Path("/dev/shm") / f"molre-bench-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    return head_hu(SLICES)


@pytest.mark.parametrize("name", SYNTAXES)
def test_ingest_is_faster_than_other_readers(name, memory, head, table):
    folder = memory / name.replace(" ", "-")
    size = write_series(folder, head, SYNTAXES[name])
    readers, start_up = measured(folder)
    shutil.rmtree(folder)
    ours = readers["molre"]
    hu = head.astype(np.int64)
    assert ours.digest == [hu.size, int(hu.sum()), int((hu**2).sum())]

    rows, times = [], {}
    for key, title in NAMES.items():
        reader = readers[key]
        if reader.fault:
            rows.append((title, "cannot read it", "", "", ""))
            continue
        wall, cpu = (SLICES / statistics.median(values) for values in (reader.wall_s, reader.cpu_s))
        times[key] = statistics.median(other / own for other, own in zip(reader.cpu_s, ours.cpu_s, strict=True))
        same = "" if key == "file_bytes" else "yes" if reader.digest == ours.digest else "no"
        rows.append((title, f"{wall:,.0f}", f"{cpu:,.0f}", f"{times[key]:.2f}", same))
        if key == "dcm2niix":
            rest_s = [whole - one for whole, one in zip(reader.cpu_s, start_up.cpu_s, strict=True)]
            times[START_UP] = statistics.median(
                rest / own * SLICES / (SLICES - 1) for rest, own in zip(rest_s, ours.cpu_s, strict=True)
            )
            cpu = (SLICES - 1) / statistics.median(rest_s)
            rows.append((START_UP, "", f"{cpu:,.0f}", f"{times[START_UP]:.2f}", ""))
    table(
        f"{name}: {SLICES} slices of {LINES} x {LINES}, compressed {head.nbytes / size:.1f} times, one core",
        ("reader", "slices/s by the clock", "by processor time", "molre is faster by", "same HU"),
        rows,
    )
    for key, least in LEAST.get(name, {}).items():
        assert times[key] >= least, f"{times[key]:.2f} times as fast as {key}, not {least}"

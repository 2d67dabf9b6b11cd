"""One reader of DICOM series on one core, in a process of its own that answers every line it is sent with a time.

Usage: reader_process.py READER FOLDER CORE

The first line it writes says whether it can read the series, and a digest of the HU; each later one gives the seconds
of one more reading, by the clock and by the processor (its own and that of processes it started).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

INTERCEPT = -1024


def molre(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Ours, as the ingestion calls it."""
    from molre.dicom import read_study, scan_files

    def read() -> np.ndarray:
        (study,) = scan_files(sorted(folder.iterdir()), folder).studies
        return read_study(study).stack.hu

    return read, lambda hu: hu


def simpleitk(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """SimpleITK's series reader on one thread."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def read() -> Any:
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        return reader.Execute()

    return read, SimpleITK.GetArrayFromImage


def dcm2niix(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """dcm2niix to an uncompressed NIfTI beside the series: it has no other way to give its result."""
    import dcm2niix as package
    import nibabel

    out = folder.with_name(f"{folder.name}-nii")

    def read() -> Path:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        command = [package.bin, "-z", "n", "-b", "n", "-f", "hu", "-o", str(out), str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return out / "hu.nii"

    return read, lambda path: np.asarray(nibabel.load(path).dataobj)


def pydicom(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """pydicom's ``pixel_array`` of each file: stored values, without order, scale or checks."""
    from pydicom import dcmread

    def read() -> np.ndarray:
        return np.stack([dcmread(path).pixel_array for path in sorted(folder.iterdir())])

    return read, lambda stored: stored.astype(np.int32) + INTERCEPT


def file_bytes(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """The files' bytes and nothing more: no reader can be faster."""

    def read() -> int:
        return sum(len(path.read_bytes()) for path in sorted(folder.iterdir()))

    return read, lambda _: np.zeros(0, np.int16)


READERS = {reader.__name__: reader for reader in (molre, simpleitk, dcm2niix, pydicom, file_bytes)}


def main(name: str, folder: str, core: str) -> None:
    os.sched_setaffinity(0, {int(core)})
    read, values = READERS[name](Path(folder))
    try:
        hu = np.asarray(values(read()), np.int64)
    except Exception as fault:
        print(json.dumps({"fault": type(fault).__name__}), flush=True)
        return
    print(json.dumps({"digest": [int(hu.size), int(hu.sum()), int((hu**2).sum())]}), flush=True)
    del hu
    for _ in sys.stdin:
        wall_s, cpu_s = time.perf_counter(), _cpu_s()
        result = read()
        print(json.dumps([time.perf_counter() - wall_s, _cpu_s() - cpu_s]), flush=True)
        del result


def _cpu_s() -> float:
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + started.ru_utime + started.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])

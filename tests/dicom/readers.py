"""Readers of a DICOM series, each as a function from a folder to HU at points of the patient.

What a reader says beside its result, in warnings, on its output or in its log, is caught with it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Reading:
    """A volume as its reader places it.

    Attributes:
        voxels: (i, j, k).
        to_lps: of (i, j, k, 1).
    """

    voxels: np.ndarray
    to_lps: np.ndarray

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Interpolated values at LPS points (n, 3); none outside."""
        homogeneous = np.concatenate([points_mm, np.ones((len(points_mm), 1))], axis=1)
        places = np.linalg.solve(self.to_lps, homogeneous.T)[:3]
        return map_coordinates(self.voxels.astype(float), places, order=1, cval=np.nan)


def ours(folder: Path) -> tuple[Reading, tuple[str, ...]]:
    """The project's, resampled onto a grid so that there is one volume to look into; and the codes of its repairs."""
    from molre.dicom import read_study, scan
    from molre.volume import Grid, resample

    (study,) = scan(folder).studies
    series = read_study(study)
    volume = resample(series.stack, Grid(name="corpus", shape=(34, 60, 60), spacing_mm=(5.0, 4.0, 4.0)))
    codes = tuple(line.split(":")[0] for line in series.repairs)
    return Reading(volume.hu.transpose(2, 1, 0), RAS_TO_LPS @ volume.affine), codes


def monai(folder: Path) -> Reading:
    """MONAI's reader, as its LoadImage calls it."""
    from monai.data.image_reader import PydicomReader

    reader = PydicomReader()
    voxels, meta = reader.get_data(reader.read(folder))
    return Reading(np.asarray(voxels), RAS_TO_LPS @ np.asarray(meta["affine"], float))


def simpleitk(folder: Path) -> Reading:
    """SimpleITK's series reader, as its documentation shows it."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    to_lps[:3, 3] = image.GetOrigin()
    return Reading(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), to_lps)


def dicom2nifti(folder: Path) -> Reading:
    """dicom2nifti with its default settings."""
    from dicom2nifti import dicom_series_to_nifti

    with tempfile.TemporaryDirectory() as place:
        dicom_series_to_nifti(str(folder), str(Path(place) / "out.nii"), reorient_nifti=False)
        return _nifti(Path(place) / "out.nii")


def dcm2niix(folder: Path) -> Reading:
    """dcm2niix; of several files one of many slices, and where that is corrected as well, the correction."""
    import dcm2niix

    with tempfile.TemporaryDirectory() as place:
        command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "out", "-o", place, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        told = [line for line in done.stdout.splitlines() if line.startswith(("Warning", "Error"))]
        print("\n".join(told) + done.stderr, file=sys.stderr)
        files = list(Path(place).glob("*.nii"))
        if done.returncode or not files:
            raise RuntimeError(f"dcm2niix ended with {done.returncode} and {len(files)} files")
        readings = {path.name: _nifti(path) for path in files}
        return readings[max(readings, key=lambda name: (readings[name].voxels.shape[2] > 3, len(name)))]


def _nifti(path: Path) -> Reading:
    import nibabel

    image = nibabel.load(path)
    return Reading(np.array(image.dataobj), RAS_TO_LPS @ image.affine)


PEERS: dict[str, tuple[str, Callable[[Path], Reading]]] = {
    "MONAI": ("monai", monai),
    "SimpleITK": ("SimpleITK", simpleitk),
    "dicom2nifti": ("dicom2nifti", dicom2nifti),
    "dcm2niix": ("dcm2niix", dcm2niix),
}
"""Name to the module that has to be there, and the reader."""


@dataclass
class Said:
    """What was said meanwhile."""

    lines: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Said]:
    """Catches warnings, log records from warnings on, and what libraries in C++ write to standard error."""
    said = Said()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.lines.append(record.getMessage())
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        logging.getLogger().addHandler(handler)
        os.dup2(caught.fileno(), 2)
        stderr, sys.stderr = sys.stderr, os.fdopen(os.dup(2), "w")
        try:
            yield said
        finally:
            sys.stderr.close()
            sys.stderr = stderr
            os.dup2(kept, 2)
            os.close(kept)
            logging.getLogger().removeHandler(handler)
            caught.seek(0)
            said.lines += [*caught.read().decode(errors="replace").split("\n"), *(str(one.message) for one in warned)]
            said.lines[:] = filter(str.strip, said.lines)

"""From the files of an upload to one volume on the bundle's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molre.dicom import read_study, scan
from molre.errors import Rejection
from molre.nifti import is_nifti, read_nifti
from molre.serving.limits import Limits, RequestError
from molre.serving.uploads import head, unpack
from molre.volume import Grid, Volume, resample

_HEADER_BYTES = 348


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """What was uploaded, ready for the network.

    Attributes:
        volume: on the bundle's grid.
        facts: what the reply says about it; nothing that names a patient.
    """

    volume: Volume
    facts: dict[str, Any]


def read(files: list[Path], folder: Path, grid: Grid, limits: Limits) -> Study:
    """Unpack an upload and read the one study in it.

    Args:
        files: as received.
        folder: private; unpacked files go into a folder inside it.
        grid: the bundle's.
        limits: bounds on the upload.

    Raises:
        RequestError: there is no study or more than one, or an archive is refused.
        Rejection: the study cannot become a right volume.
    """
    inside = folder / "unpacked"
    inside.mkdir()
    unpacked = unpack(files, inside, limits)
    volumes = [file for file in unpacked if is_nifti(head(file, _HEADER_BYTES))]
    if not volumes:
        return _dicom(inside, grid)
    if len(unpacked) > 1:
        raise RequestError(422, "several_studies", "the upload holds a NIfTI file beside other files: send it alone")
    return _nifti(volumes[0], grid)


def _nifti(file: Path, grid: Grid) -> Study:
    scan = read_nifti(file)
    facts = {
        "format": "nifti",
        "slices": int(scan.stack.hu.shape[0]),
        "repairs": list(scan.attributes["repairs"]),
        "rejected_files": 0,
        "ignored_files": 0,
    }
    return Study(volume=resample(scan.stack, grid), facts=facts)


def _dicom(folder: Path, grid: Grid) -> Study:
    inventory = scan(folder)
    if len(inventory.studies) > 1:
        count = len(inventory.studies)
        raise RequestError(422, "several_studies", f"the upload holds {count} studies: send one at a time")
    if not inventory.studies:
        if inventory.rejected:
            raise Rejection(inventory.rejected[0].code, inventory.rejected[0].sentence)
        raise RequestError(422, "no_study", "the upload holds no DICOM image and no NIfTI file")
    series = read_study(inventory.studies[0])
    facts = {
        "format": "dicom",
        "slices": int(series.stack.hu.shape[0]),
        "repairs": list(series.repairs),
        "rejected_files": len(inventory.rejected),
        "ignored_files": int(inventory.ignored),
    }
    return Study(volume=resample(series.stack, grid), facts=facts)

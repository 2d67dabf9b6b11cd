"""A small scanner that writes what it sees as DICOM, with any fault asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from molre.dicom import read_study, scan
from molre.errors import Rejection

HEAD_MM = np.array([62.0, 78.0, 70.0])
PATIENT = ("Musterfrau^Erika", "ID-4711-SECRET")


def head_hu(points_mm: np.ndarray) -> np.ndarray:
    """A head as a function of LPS mm: air, a skull, and inside a ramp that linear interpolation keeps exactly."""
    radius = np.linalg.norm(points_mm / HEAD_MM, axis=-1)
    ramp = 60 + points_mm @ np.array([0.5, 0.8, -0.6])
    return np.where(radius > 1.06, -1000.0, np.where(radius > 1, 900.0, ramp))


@dataclass(frozen=True)
class Scan:
    """What is scanned and how it is written."""

    count: int = 7
    shape: tuple[int, int] = (40, 48)
    pixel_mm: tuple[float, float] = (5.0, 4.0)
    step_mm: float = 18.0
    heights_mm: tuple[float, ...] = ()
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    travel: tuple[float, float, float] | None = None
    study: str = "1.2.3"
    series: str = "1.2.3.1"
    syntax: str = uid.ExplicitVRLittleEndian
    bits_stored: int = 16
    signed: bool = True
    intercept: int = -24
    changes: dict = field(default_factory=dict)
    scene: Callable[[np.ndarray], np.ndarray] = head_hu

    def heights(self) -> np.ndarray:
        return np.array(self.heights_mm or [(i - (self.count - 1) / 2) * self.step_mm for i in range(self.count)])

    def origins(self) -> np.ndarray:
        row, column = np.array(self.row), np.array(self.column)
        normal = np.cross(row, column)
        normal *= np.sign(normal[2]) or 1.0
        travel = normal if self.travel is None else np.array(self.travel) / (np.array(self.travel) @ normal)
        corner = -row * self.pixel_mm[1] * (self.shape[1] - 1) / 2 - column * self.pixel_mm[0] * (self.shape[0] - 1) / 2
        return corner + self.heights()[:, None] * travel

    def hu(self, index: int) -> np.ndarray:
        r, c = np.indices(self.shape)[..., None]
        along_row = c * self.pixel_mm[1] * np.array(self.row)
        along_column = r * self.pixel_mm[0] * np.array(self.column)
        return np.rint(self.scene(self.origins()[index] + along_row + along_column)).astype(np.int16)

    def dataset(self, index: int) -> Dataset:
        origins = self.origins()
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID = uid.CTImageStorage, f"{self.series}.{index + 1}"
        data.ImageType, data.Modality, data.Manufacturer = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT", "ACME"
        data.PatientName, data.PatientID = PATIENT
        data.StudyInstanceUID, data.SeriesInstanceUID, data.InstanceNumber = self.study, self.series, index + 1
        data.KVP, data.SliceThickness, data.ConvolutionKernel = "120", "5", "STANDARD"
        data.ImagePositionPatient = [f"{v:.6f}" for v in origins[index]]
        data.ImageOrientationPatient = [f"{v:.10f}"[:16] for v in (*self.row, *self.column)]
        data.PixelSpacing = [f"{v:.6f}" for v in self.pixel_mm]
        data.Rows, data.Columns = self.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, self.bits_stored, self.bits_stored - 1
        data.PixelRepresentation = int(self.signed)
        data.RescaleSlope, data.RescaleIntercept = "1", str(self.intercept)
        stored = self.hu(index).astype(np.int32) - self.intercept
        data.PixelData = stored.astype("<i2" if self.signed else "<u2").tobytes()
        data["PixelData"].VR = "OW"
        for keyword, value in self.changes.items():
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)
        return data


def encoded(data: Dataset, syntax: str) -> bytes:
    """The dataset as a file in that transfer syntax; the pixels compressed by the library's own encoders."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    data = Dataset({element.tag: element for element in data})
    data.file_meta = meta
    if uid.UID(syntax).is_compressed and syntax != uid.DeflatedExplicitVRLittleEndian:
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        data.compress(syntax, generate_instance_uid=False)
    elif syntax == uid.ExplicitVRBigEndian:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    stream = BytesIO()
    dcmwrite(stream, data, enforce_file_format=True, implicit_vr=syntax == uid.ImplicitVRLittleEndian,
             little_endian=syntax != uid.ExplicitVRBigEndian)  # fmt: skip
    return stream.getvalue()


def write(scan_: Scan, folder: Path, names: Callable[[int], str] = "{:03d}.dcm".format) -> list[Path]:
    """One file a slice."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / names(index) for index in range(len(scan_.heights()))]
    for index, path in enumerate(paths):
        path.write_bytes(encoded(scan_.dataset(index), scan_.syntax))
    return paths


def only_study(folder: Path):
    """The one study of a folder without refused files."""
    inventory = scan(folder)
    assert not inventory.rejected
    (study,) = inventory.studies
    return study


def rewrite(scan_: Scan, path: Path, index: int, **changes) -> None:
    """One slice of a scan written anew with other header values; none removes one."""
    other = replace(scan_, changes={**scan_.changes, **changes})
    path.write_bytes(encoded(other.dataset(index), other.syntax))


def refused(study) -> str:
    """The code that a study is refused with."""
    with pytest.raises(Rejection) as found:
        read_study(study)
    return found.value.code


def codes(series) -> list[str]:
    """Of the repairs of a series."""
    return [line.split(":")[0] for line in series.repairs]


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What the tests of this room share."""
    return SimpleNamespace(
        scan=Scan, write=write, rewrite=rewrite, encoded=encoded, study=only_study, head_hu=head_hu, replace=replace,
        patient=PATIENT, refused=refused, codes=codes,
    )  # fmt: skip


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    if not folder.exists():
        pytest.skip("the real scans are not on this machine")
    return folder

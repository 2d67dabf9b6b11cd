"""Small heads in the formats of public cohorts, and a look at the store that is made of them."""

from __future__ import annotations

import csv
import gzip
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from molre.findings import KEYS
from molre.sources.ingest import IngestConfig, ingest

ROOT_UID = "1.2.826.0.1.3680043.9.9999"
STEP_MM, PIXEL_MM = 8.0, 6.0


def head(slices: int = 5, width: int = 40) -> np.ndarray:
    """An ellipsoid of tissue in air, (z, y, x)."""
    z, y, x = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in (slices, width, width)), indexing="ij")
    return np.where(z**2 + y**2 + x**2 < 1, 35, -1000).astype(np.int16)


def write_nifti(path: Path, hu: np.ndarray | None = None) -> Path:
    """A head as NIfTI, compressed if the name says so."""
    affine = np.diag([PIXEL_MM, PIXEL_MM, STEP_MM, 1.0])
    raw = nib.Nifti1Image((head() if hu is None else hu).transpose(2, 1, 0), affine).to_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix.lower() == ".gz" else raw)
    return path


def write_slices(
    folder: Path, names: list[str], study: int, patient: str, series: int = 1, contrast: str = "", uids: bool = False
) -> None:
    """A head as CT images, one a name from feet to head; ``uids`` makes the names SOP Instance UIDs, as RSNA has it."""
    folder.mkdir(parents=True, exist_ok=True)
    hu = head(len(names))
    for number, name in enumerate(names):
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, f"{ROOT_UID}.{study}.{series}.{number + 1}"
        data.StudyInstanceUID, data.SeriesInstanceUID = f"{ROOT_UID}.{study}", f"{ROOT_UID}.{study}.{series}"
        data.PatientID, data.Modality, data.ImageType = patient, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.ContrastBolusAgent = contrast
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.Rows, data.Columns = hu.shape[1:]
        data.PixelSpacing, data.ImageOrientationPatient = [PIXEL_MM] * 2, [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [-120, -120, STEP_MM * number]
        data.RescaleIntercept, data.RescaleSlope = 0, 1
        data.PixelData = hu[number].astype("<i2").tobytes()
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta = meta
        with warnings.catch_warnings(action="ignore"):  # such names are no UIDs
            if uids:
                data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = Path(name).stem
            dcmwrite(folder / name, data)


def ingested(source: str, root: Path | str, beside: Path, **flags) -> tuple[object, dict, dict]:
    """The store; its rows by path of the study's first file; what was refused, by path."""
    linkage = beside / "linkage.csv"
    store = ingest(
        IngestConfig(
            source=source, root=str(root), store=str(beside / "store"), key_file=str(beside / "key"),
            linkage=str(linkage), **flags,
        )
    )  # fmt: skip
    paths = {line["study"]: line["path"] for line in read_csv(linkage)}
    rows = {paths[row["study"]]: row for row in store.table().to_pylist()}
    assert len(rows) == store.rows
    refused = {line["path"]: line["code"] for line in read_csv(beside / "store" / "rejected.csv")}
    counts = store.manifest.counts
    assert counts["studies"] == counts["rows"] + counts["rejected_studies"]
    return store, rows, refused


def known(row: dict) -> dict[str, int]:
    """The labels of a row that are not unknown."""
    return {key: value for key, value in zip(KEYS, row["labels"], strict=True) if value >= 0}


def read_csv(file: Path) -> list[dict[str, str]]:
    """The lines of a table."""
    with file.open(newline="", errors="surrogateescape") as lines:
        return list(csv.DictReader(lines))


def one_by_one(function, items):
    """What spreads work over a cluster, without one."""
    return ((item, function(item)) for item in items)


def in_this_process(monkeypatch) -> None:
    """Fill stores without a cluster."""
    from molre.store import fill

    monkeypatch.setattr(fill, "spread", one_by_one)

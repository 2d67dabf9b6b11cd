"""A phantom study as DICOM files, as a scanner would send it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from molre.phantom.study import PhantomStudy, uid

RESCALE_INTERCEPT = -1024


def write_study(study: PhantomStudy, folder: Path | str) -> None:
    """Write one CT Image file a slice, under random names in no order.

    One study in four also has a localizer, one in five a file that is not DICOM, as exports from archives do.

    Args:
        study: what to write.
        folder: made if absent.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int(study.study_uid.rsplit(".", 1)[1]))
    names = [f"IM{number:05d}" for number in rng.choice(100_000, len(study.hu) + 1, replace=False)]
    suffix = ".dcm" if rng.random() < 0.6 else ""
    header = _header(study)
    for number, name in enumerate(names[:-1]):
        _write(_slice(header, study, number), folder / f"{name}{suffix}")
    if rng.random() < 0.25:
        _write(_localizer(study), folder / f"{names[-1]}{suffix}")
    if rng.random() < 0.2:
        (folder / "README.txt").write_text("exported study\n", encoding="ascii")


def _header(study: PhantomStudy) -> Dataset:
    """What all images of the study share (DICOM PS3.3 A.3, CT Image IOD)."""
    data = Dataset()
    data.SOPClassUID = CTImageStorage
    data.StudyInstanceUID, data.SeriesInstanceUID = study.study_uid, study.series_uid
    data.FrameOfReferenceUID = uid(int(study.study_uid.rsplit(".", 1)[1]), 3)
    data.PatientID = data.PatientName = study.patient
    data.PatientSex, data.PatientBirthDate = "O", ""
    data.PatientAge = f"{int(study.age_years):03d}Y"
    data.StudyDate = data.SeriesDate = data.ContentDate = "20200101"
    data.StudyTime = data.SeriesTime = data.ContentTime = "120000"
    data.AccessionNumber = data.ReferringPhysicianName = data.PositionReferenceIndicator = ""
    data.StudyID, data.SeriesNumber, data.AcquisitionNumber = "1", 2, 1
    data.Modality, data.Manufacturer, data.ManufacturerModelName = "CT", "molre", "phantom"
    data.SeriesDescription, data.BodyPartExamined, data.PatientPosition = "HEAD 5MM SOFT", "HEAD", "HFS"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.KVP, data.ConvolutionKernel = 120, "SOFT"
    data.GantryDetectorTilt = f"{study.geometry.tilt_deg:.1f}"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.Rows, data.Columns = study.hu.shape[1:]
    data.PixelSpacing = [f"{study.geometry.pixel_mm:.6f}"] * 2
    cosines = (*study.geometry.row_cosine, *study.geometry.column_cosine)
    data.ImageOrientationPatient = [f"{c:.9f}" for c in cosines]
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = RESCALE_INTERCEPT, 1, "HU"
    data.WindowCenter, data.WindowWidth = 40, 80
    return data


def _slice(header: Dataset, study: PhantomStudy, number: int) -> Dataset:
    header.SOPInstanceUID = f"{study.series_uid[:-4]}{number + 1000}"
    header.InstanceNumber = len(study.hu) - number
    position = study.geometry.positions_mm[number]
    header.ImagePositionPatient = [f"{p:.6f}" for p in position]
    header.SliceThickness = f"{study.geometry.thickness_mm[number]:.3f}"
    header.SliceLocation = f"{position[2]:.3f}"
    header.PixelData = (study.hu[number] - RESCALE_INTERCEPT).astype("<u2").tobytes()
    return header


def _localizer(study: PhantomStudy) -> Dataset:
    """A side view in a series of its own: the mean over columns, as a scout shows it."""
    data = _header(study)
    data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    data.SeriesInstanceUID, data.SeriesNumber = f"{study.series_uid[:-4]}0999", 1
    data.SOPInstanceUID, data.InstanceNumber = f"{study.series_uid[:-4]}0998", 1
    data.SeriesDescription = "SCOUT"
    view = np.repeat(study.hu.mean(2)[::-1], 4, axis=0).round().astype(np.int16)
    data.Rows, data.Columns = view.shape
    data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    data.ImagePositionPatient = [f"{p:.6f}" for p in study.geometry.positions_mm[-1]]
    data.PixelData = (np.clip(view, -1024, 3071) + 1024).astype("<u2").tobytes()
    return data


def _write(data: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    dcmwrite(path, data, enforce_file_format=True)

"""DICOM headers of a phantom study: what all its objects share, and what each kind adds (PS3.3, A.3 and A.8)."""

from __future__ import annotations

import datetime

import numpy as np
from jaxtyping import Int16, UInt8
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from molre.phantom.geometry import Geometry
from molre.phantom.protocol import Kernel
from molre.phantom.scanner import Scan
from molre.phantom.study import PhantomStudy, uid

SYNTHETIC = "SYNTHETIC PHANTOM, NOT A PATIENT"
SOFT_WINDOW, BONE_WINDOW = (40, 80), (600, 2800)
TURN_MS = 1000


def study_header(study: PhantomStudy, number: int, description: str, start_s: int) -> Dataset:
    """Patient, study, series and equipment.

    Args:
        study: which.
        number: of the series.
        description: of the series.
        start_s: seconds from the study's first moment to the series'.
    """
    scanner, moment = study.scan.protocol.scanner, study.moment + datetime.timedelta(seconds=start_s)
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.Modality, data.Manufacturer, data.ManufacturerModelName = "CT", scanner.manufacturer, scanner.model
    data.InstitutionName, data.StationName, data.SoftwareVersions = "molre synthetic cohort", "SYNTHETIC", "molre"
    data.StudyInstanceUID, data.StudyID, data.AccessionNumber = study.study_uid, "1", ""
    data.StudyDescription, data.SeriesDescription, data.ProtocolName = "CT HEAD", description, "HEAD"
    data.StudyDate, data.StudyTime = f"{study.moment:%Y%m%d}", f"{study.moment:%H%M%S}"
    for kind in ("Series", "Acquisition", "Content"):
        setattr(data, f"{kind}Date", f"{moment:%Y%m%d}")
        setattr(data, f"{kind}Time", f"{moment:%H%M%S.%f}"[:-4])
    data.SeriesInstanceUID = series_uid(study, number)
    data.SeriesNumber, data.ReferringPhysicianName, data.BodyPartExamined = number, "", "HEAD"
    data.PatientID, data.PatientName = study.patient, study.patient.replace("-", "^")
    data.PatientSex, data.PatientBirthDate, data.PatientAge = study.sex, "", f"{int(study.age_years):03d}Y"
    data.PatientIdentityRemoved, data.DeidentificationMethod = "YES", SYNTHETIC
    data.ImageComments, data.BurnedInAnnotation, data.LossyImageCompression = SYNTHETIC, "NO", "00"
    return data


def series_uid(study: PhantomStudy, number: int) -> str:
    """UID of a series: the soft axial one's is known with the study."""
    if number == study.scan.protocol.scanner.numbers[1]:
        return study.series_uid
    return uid(_number_of(study.study_uid), number)


def instance_uid(study: PhantomStudy, series: int, instance: int) -> str:
    """UID of an image."""
    return uid(_number_of(study.study_uid), series, instance)


def _number_of(text: str) -> int:
    return int(text.rsplit(".", 1)[1])


def image_header(
    study: PhantomStudy, scan: Scan, kernel: Kernel, number: int, description: str, start_s: int
) -> Dataset:
    """What all axial images of a series share."""
    protocol, geometry, scanner = scan.protocol, scan.geometry, scan.protocol.scanner
    data = study_header(study, number, description, start_s)
    _ct_image(data, study, scan)
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    if np.ptp(geometry.step_mm) < 1e-6:
        data.SpacingBetweenSlices = decimal(float(geometry.step_mm[0]))
    data.GantryDetectorTilt, data.ConvolutionKernel = decimal(protocol.tilt_deg, 1), kernel.name
    data.DataCollectionDiameter = decimal(500.0 if scanner.spiral else 250.0, 1)
    data.ReconstructionDiameter = decimal(geometry.pixel_mm * geometry.matrix_px, 2)
    if scanner.spiral:
        data.SpiralPitchFactor = 0.55
    data.PixelSpacing = [decimal(geometry.pixel_mm)] * 2
    data.ImageOrientationPatient = [decimal(c, 9) for c in (*geometry.row_cosine, *geometry.column_cosine)]
    data.Rows = data.Columns = geometry.matrix_px
    window = BONE_WINDOW if kernel == scanner.bone else SOFT_WINDOW
    data.WindowCenter, data.WindowWidth = window
    if scanner.padding_hu:
        data.PixelPaddingValue = scanner.padding_hu - scanner.intercept
    return data


def _ct_image(data: Dataset, study: PhantomStudy, scan: Scan) -> None:
    """The CT Image module (PS3.3, C.8.2.1), and where the patient lies."""
    protocol, scanner = scan.protocol, scan.protocol.scanner
    data.SOPClassUID = CTImageStorage
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = uid(_number_of(study.study_uid), 0), "OM"
    data.PatientPosition, data.AcquisitionNumber = "HFS", 1
    data.KVP, data.ExposureTime, data.XRayTubeCurrent = protocol.kvp, TURN_MS, round(protocol.mas * 1000 / TURN_MS)
    data.Exposure, data.RotationDirection = round(protocol.mas), "CW"
    data.TableHeight = decimal(protocol.table_height_mm, 1)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.PixelRepresentation = 16, int(scanner.signed)
    data.BitsStored = 16 if scanner.signed else 12
    data.HighBit = data.BitsStored - 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = scanner.intercept, 1, "HU"


def set_slice(data: Dataset, study: PhantomStudy, geometry: Geometry, number: int) -> None:
    """What differs from image to image, the first being at the vertex."""
    data.InstanceNumber = len(geometry.positions_mm) - number
    data.SOPInstanceUID = instance_uid(study, int(data.SeriesNumber), data.InstanceNumber)
    position = geometry.positions_mm[number]
    data.ImagePositionPatient = [decimal(p) for p in position]
    data.SliceLocation, data.SliceThickness = decimal(position[2], 3), decimal(geometry.thickness_mm[number], 3)


def set_pixels(data: Dataset, hu: Int16[np.ndarray, "rows columns"], scan: Scan) -> None:
    """Stored values; outside of the circle that of the padding, where the scanner reconstructs no more than it."""
    stored = hu - np.int16(scan.protocol.scanner.intercept)
    if "PixelPaddingValue" in data:
        stored[scan.geometry.outside()] = data.PixelPaddingValue
    data.PixelData = stored.astype("<i2").tobytes()


def localizer_header(
    study: PhantomStudy, view: str, image: Int16[np.ndarray, "rows columns"], corner_mm: np.ndarray, number: int
) -> Dataset:
    """A scout view; those of one series differ in their number."""
    scan, scanner = study.scan, study.scan.protocol.scanner
    data = study_header(study, scanner.numbers[0], "LOCALIZER", 0)
    _ct_image(data, study, scan)
    data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    data.InstanceNumber, data.SOPInstanceUID = number, instance_uid(study, scanner.numbers[0], number)
    data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1] if view == "LATERAL" else [1, 0, 0, 0, 0, -1]
    data.ImagePositionPatient = [decimal(c) for c in corner_mm]
    data.SliceThickness, data.PixelSpacing = "1.0", [decimal(scan.geometry.pixel_mm)] * 2
    # Attenuation summed along rays is in no unit (PS3.3, C.8.2.1.1.2).
    data.RescaleType = "US"
    data.Rows, data.Columns = image.shape
    data.WindowCenter, data.WindowWidth = 200, 1200
    data.PixelData = (image - scanner.intercept).astype("<i2").tobytes()
    return data


def dose_header(study: PhantomStudy, picture: UInt8[np.ndarray, "rows columns"]) -> Dataset:
    """A dose report as a screen capture."""
    data = study_header(study, study.scan.protocol.scanner.numbers[4], "DOSE REPORT", 300)
    data.SOPClassUID, data.ConversionType = SecondaryCaptureImageStorage, "WSD"
    data.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    data.InstanceNumber, data.SOPInstanceUID = 1, instance_uid(study, int(data.SeriesNumber), 1)
    data.PatientOrientation = ""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.Rows, data.Columns = picture.shape
    data.PixelData = picture.tobytes()
    return data


def decimal(number: float, digits: int = 6) -> str:
    """A number as text, which takes 16 characters at most (PS3.5, 6.2)."""
    return f"{number + 0.0:.{digits}f}"

"""A head CT of a full-size matrix, written as a scanner would send it, in any transfer syntax."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from scipy.ndimage import gaussian_filter

LINES = 512
PIXEL_MM, STEP_MM = 0.46875, 1.25
INTERCEPT = -1024
BITS = 12
ROOT = "1.2.826.0.1.3680043.10.511"

SYNTAXES: dict[str, str] = {
    "uncompressed": uid.ExplicitVRLittleEndian,
    "RLE": uid.RLELossless,
    "JPEG-LS": uid.JPEGLSLossless,
    "JPEG 2000": uid.JPEG2000Lossless,
    "JPEG lossless": uid.JPEGLosslessSV1,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}


def head_hu(slices: int, seed: int = 0) -> np.ndarray:
    """HU of thin slices through an ellipsoid with skull, brain and ventricles.

    The noise is that of thin slices, so that they are a little harder to compress than a real scan of thick ones.
    """
    generator = np.random.default_rng(seed)
    hu = np.empty((slices, LINES, LINES), np.int16)
    for index, z in enumerate(np.linspace(-0.95, 0.8, slices)):
        hu[index] = _slice(z, generator)
    return hu


def _slice(z: float, generator: np.random.Generator) -> np.ndarray:
    y, x = np.meshgrid(*[np.linspace(-1.15, 1.15, LINES)] * 2, indexing="ij")
    radius = np.sqrt((x / 0.78) ** 2 + (y / 0.95) ** 2 + z**2)
    plain = np.select([radius > 1, radius > 0.97, radius > 0.9], [-1000.0, 40.0, 1200.0], 35.0)
    plain[((np.abs(x) - 0.12) / 0.1) ** 2 + (y / 0.4) ** 2 + (z / 0.4) ** 2 < 1] = 5
    noise = gaussian_filter(generator.standard_normal(x.shape), 0.5)
    noisy = gaussian_filter(plain, 0.8) + noise / noise.std() * np.where(radius < 1, 12, 16)
    noisy[x**2 + y**2 > 1.15**2] = INTERCEPT
    return np.clip(np.rint(noisy), -1024, 3071)


def write_series(folder: Path, hu: np.ndarray, syntax: str) -> int:
    """One file a slice; returns the bytes of all files."""
    folder.mkdir(parents=True)
    total = 0
    for index, plane in enumerate(hu):
        path = folder / f"IM{index:04d}"
        _write(_header(index), plane, path, syntax)
        total += path.stat().st_size
    return total


def _write(data: Dataset, plane: np.ndarray, path: Path, syntax: str) -> None:
    stored = (plane.astype(np.int32) - INTERCEPT).astype(np.uint16)
    data.PixelData = stored.tobytes()
    data["PixelData"].VR = "OW"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    if syntax == uid.JPEGLosslessSV1:
        frame = imagecodecs.jpeg8_encode(stored, lossless=True, predictor=1, bitspersample=BITS)
        data.PixelData = encapsulate([bytes(frame)])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    elif syntax in (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        data.compress(syntax, generate_instance_uid=False)
    data.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, data, enforce_file_format=True)


def _header(index: int) -> Dataset:
    """About a hundred elements, private ones and sequences among them, as headers of CT slices have."""
    data = Dataset()
    data.SpecificCharacterSet, data.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID, data.SOPInstanceUID = uid.CTImageStorage, f"{ROOT}.3.{index + 1}"
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = "20200101"
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "120000.000"
    data.AccessionNumber, data.Modality, data.Manufacturer = "A1", "CT", "ACME"
    data.InstitutionName, data.StationName, data.ManufacturerModelName = "Hospital", "CT1", "Scanner 64"
    data.ReferringPhysicianName = data.OperatorsName = data.PerformingPhysicianName = ""
    data.StudyDescription, data.SeriesDescription, data.ProtocolName = "CT HEAD", "HEAD 1.25 SOFT", "HEAD ROUTINE"
    data.PatientName, data.PatientID, data.PatientBirthDate = "Doe^Jane", "P1", "19700101"
    data.PatientSex, data.PatientAge, data.BodyPartExamined, data.PatientPosition = "O", "050Y", "HEAD", "HFS"
    data.SliceThickness, data.SpacingBetweenSlices, data.KVP = STEP_MM, STEP_MM, 120
    data.DataCollectionDiameter, data.ReconstructionDiameter = 250, 240
    data.DistanceSourceToDetector, data.DistanceSourceToPatient = 949, 541
    data.GantryDetectorTilt, data.TableHeight, data.RotationDirection = 0, 150, "CW"
    data.ExposureTime, data.XRayTubeCurrent, data.Exposure = 1000, 250 + index % 7, 250
    data.FilterType, data.GeneratorPower, data.FocalSpots, data.ConvolutionKernel = "HEAD FILTER", 36, 0.7, "STANDARD"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = f"{ROOT}.4", "OM"
    data.StudyID, data.SeriesNumber, data.AcquisitionNumber, data.InstanceNumber = "1", 2, 1, index + 1
    data.ImagePositionPatient = [-120, -120, round(-60 + STEP_MM * index, 4)]
    data.ImageOrientationPatient, data.SliceLocation = [1, 0, 0, 0, 1, 0], round(-60 + STEP_MM * index, 4)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.Rows, data.Columns = 1, "MONOCHROME2", LINES, LINES
    data.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, BITS, BITS - 1, 0
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = INTERCEPT, 1, "HU"
    data.WindowCenter, data.WindowWidth = 40, 80
    data.ReferencedImageSequence = Sequence([_reference(f"{ROOT}.5")])
    data.ProcedureCodeSequence = Sequence([_code("CTHEAD")])
    data.RequestAttributesSequence = Sequence([_code("REQUEST")])
    for group in (0x0019, 0x0027, 0x0043):
        block = data.private_block(group, f"ACME_{group:04X}", create=True)
        for element in range(8):
            block.add_new(element, ("DS", "SH", "SS", "FL")[element % 4], ("1.25", "VALUE", 7, 0.5)[element % 4])
    return data


def _reference(instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = uid.CTImageStorage, instance
    return item


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "LOCAL", value.lower()
    return item

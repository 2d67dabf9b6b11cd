"""A phantom written as DICOM is what a scanner would send."""

import numpy as np
import pydicom
import pytest

from molre.findings import KEYS
from molre.phantom import CohortConfig, labels_row, make_study, montage, read_masks, write_masks, write_study

CONFIG = CohortConfig(studies=20, seed=11, tilted_fraction=1.0)


def slices(folder):
    found = [pydicom.dcmread(p) for p in folder.iterdir() if p.suffix != ".txt"]
    return [d for d in found if "LOCALIZER" not in d.ImageType]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study = make_study(CONFIG, 2)
    write_study(study, folder)
    return study, slices(folder), folder


def test_voxels_come_back_bit_equal_in_the_order_of_positions(written):
    study, found, _ = written
    normal = np.cross(found[0].ImageOrientationPatient[:3], found[0].ImageOrientationPatient[3:])
    found = sorted(found, key=lambda d: float(np.dot(normal, d.ImagePositionPatient)))
    hu = np.stack([d.pixel_array.astype(int) * int(d.RescaleSlope) + int(d.RescaleIntercept) for d in found])
    assert np.array_equal(hu, study.hu)


def test_positions_step_along_the_table_and_the_tilt_is_the_header_s(written):
    study, found, _ = written
    orientation = np.asarray(found[0].ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    assert np.linalg.norm(normal) == pytest.approx(1, abs=1e-6)
    assert abs(np.rad2deg(np.arccos(normal[2]))) == pytest.approx(abs(float(found[0].GantryDetectorTilt)), abs=0.02)
    assert study.geometry.tilt_deg != 0
    positions = np.array(sorted((list(map(float, d.ImagePositionPatient)) for d in found), key=lambda p: p[2]))
    steps = np.diff(positions, axis=0)
    assert np.all(steps[:, 2] > 2)
    assert np.abs(steps[:, :2]).max() < 1e-6
    along_normal = steps @ normal
    assert along_normal == pytest.approx(
        (study.geometry.thickness_mm[1:] + study.geometry.thickness_mm[:-1]) / 2, abs=0.01
    )


def test_headers_identify_one_study_with_valid_unique_uids(written):
    study, found, _ = written
    uids = [d.SOPInstanceUID for d in found]
    assert len(set(uids)) == len(found) == len(study.hu)
    assert all(
        uid.is_valid and uid.startswith("2.25.")
        for uid in [*uids, found[0].StudyInstanceUID, found[0].SeriesInstanceUID]
    )
    assert {d.StudyInstanceUID for d in found} == {study.study_uid}
    assert {str(d.PatientID) for d in found} == {"PHANTOM-000002"}
    assert {d.SOPClassUID for d in found} == {pydicom.uid.CTImageStorage}


def test_file_names_do_not_tell_the_order(written):
    study, _, folder = written
    named = sorted(p for p in folder.iterdir() if p.suffix != ".txt")
    heights = [float(d.ImagePositionPatient[2]) for d in map(pydicom.dcmread, named) if "LOCALIZER" not in d.ImageType]
    assert heights != sorted(heights)
    assert len(study.hu) == len(heights)


def test_some_studies_hold_a_localizer_and_other_files(tmp_path):
    seen = set()
    for index in range(14):
        write_study(
            make_study(CohortConfig(seed=1, matrix_px=96, slices_min=16, slices_max=16), index, force=()),
            tmp_path / str(index),
        )
        for path in (tmp_path / str(index)).iterdir():
            if path.suffix == ".txt":
                seen.add("text")
            elif "LOCALIZER" in pydicom.dcmread(path, stop_before_pixels=True).ImageType:
                seen.add("localizer")
    assert seen == {"text", "localizer"}


def test_masks_round_trip(tmp_path):
    study = make_study(CONFIG, 1, force=("meningioma", "cerebral_atrophy"))
    tissue, masks = read_masks(write_masks(study, tmp_path))
    assert np.array_equal(tissue, study.tissue)
    assert set(masks) == set(study.masks)
    assert all(np.array_equal(masks[key], study.masks[key]) for key in masks)


def test_montage_is_a_picture(tmp_path):
    study = make_study(CONFIG, 1, force=("meningioma",))
    path = montage([("meningioma", study)], tmp_path / "sheet.png", columns=1)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_row_of_labels_names_the_study_and_patient_of_the_files(tmp_path):
    study = make_study(CONFIG, 2)
    write_study(study, tmp_path / "dicom")
    row = labels_row(study)
    found = slices(tmp_path / "dicom")
    assert {(d.StudyInstanceUID, d.PatientID) for d in found} == {(row["study"], row["patient"])}
    assert set(row) == {"study", "patient", *KEYS}

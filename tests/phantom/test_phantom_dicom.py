"""A phantom written as DICOM is what a scanner would send, and is read back as the arrays it was written from."""

import collections
import dataclasses
import datetime
import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from molre.dicom import read_study, scan
from molre.findings import KEYS
from molre.phantom import CohortConfig, labels_row, make_study, read_masks, write_masks, write_study
from molre.phantom.plan import patient_of
from molre.phantom.protocol import draw_protocol, scanners
from molre.phantom.series import draw_series
from molre.phantom.stack import volume_of
from molre.volume import grid_named, resample

CONFIG = CohortConfig(studies=20, seed=11, matrix_px=96, tilted_fraction=1.0, scanners=("ge_sequential",))


def objects(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir()) if path.suffix != ".txt"]


def slices(folder):
    """The soft axial series."""
    found = [data for data in objects(folder) if "AXIAL" in data.ImageType]
    soft = {scanner.soft.name for scanner in scanners().values()}
    return [data for data in found if data.ConvolutionKernel in soft]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study = make_study(CONFIG, 2)
    write_study(study, folder)
    return study, slices(folder), folder


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Of each scanner, a study with all the series it ever sends."""
    root, found = tmp_path_factory.mktemp("everything"), {}
    for name in scanners():
        config = CohortConfig(seed=6, matrix_px=96, scanners=(name,))
        protocol = draw_protocol(np.random.default_rng(0), config)
        thin = next(i for i in range(99) if draw_series(config, protocol, i).thin == scanners()[name].thin)
        study = make_study(config, thin, force=())
        sent = dataclasses.replace(study.scan.sent, localizer=True, bone=True, dose=True, stray=True)
        found[name] = dataclasses.replace(study, scan=dataclasses.replace(study.scan, sent=sent))
        write_study(found[name], root / name)
    return found, root


def test_voxels_come_back_bit_equal_in_the_order_of_positions(written):
    study, found, _ = written
    normal = np.cross(found[0].ImageOrientationPatient[:3], found[0].ImageOrientationPatient[3:])
    found = sorted(found, key=lambda d: float(np.dot(normal, d.ImagePositionPatient)))
    hu = np.stack([d.pixel_array.astype(int) * int(d.RescaleSlope) + int(d.RescaleIntercept) for d in found])
    padded = study.geometry.outside()
    assert np.array_equal(hu[:, ~padded], study.hu[:, ~padded])
    assert np.all(hu[:, padded] == scanners()["ge_sequential"].padding_hu)
    assert np.all(study.hu[:, padded] == -1024)


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
    between = (study.geometry.step_mm[1:] + study.geometry.step_mm[:-1]) / 2
    assert steps @ normal == pytest.approx(between, abs=0.01)


@pytest.mark.parametrize("name", scanners())
def test_ingestion_takes_the_soft_series_and_reads_the_volume_that_needs_no_files(everything, name):
    found, root = everything
    (study,) = scan(root / name).studies
    series = read_study(study)
    assert series.series_uid == found[name].series_uid
    assert series.attributes["kernel"] == scanners()[name].soft.name
    for grid in (grid_named("demo"), grid_named("head-5mm")):
        read, made = resample(series.stack, grid), volume_of(found[name], grid)
        assert np.array_equal(read.hu, made.hu)
        assert np.array_equal(read.affine, made.affine)


def test_series_are_those_that_a_scanner_sends_under_numbers_and_uids_of_their_own(everything):
    found, root = everything
    for name, study in found.items():
        series = collections.defaultdict(list)
        for data in objects(root / name):
            series[data.SeriesInstanceUID].append(data)
        numbers = {images[0].SeriesNumber for images in series.values()}
        expected = set(scanners()[name].numbers)
        assert numbers == expected - ({scanners()[name].numbers[3]} if study.scan.thin is None else set())
        assert len(series) == len(numbers)
        assert len({data.StudyInstanceUID for images in series.values() for data in images}) == 1
        assert {len(images) for images in series.values() if "AXIAL" in images[0].ImageType} <= {
            len(study.hu), study.geometry.fine * len(study.hu),
        }  # fmt: skip


def test_the_bone_series_shows_the_same_slices_sharper(everything):
    found, root = everything
    scanner = scanners()["siemens_spiral"]
    named = {scanner.soft.name: [], scanner.bone.name: []}
    for data in objects(root / "siemens_spiral"):
        if "AXIAL" in data.ImageType and data.SeriesNumber in scanner.numbers[1:3]:
            named[data.ConvolutionKernel].append(data)
    soft, bone = (sorted(images, key=lambda d: d.InstanceNumber) for images in named.values())
    assert [d.ImagePositionPatient for d in soft] == [d.ImagePositionPatient for d in bone]
    middle = len(soft) // 2
    steep = [np.abs(np.diff(images[middle].pixel_array.astype(float))).max() for images in (soft, bone)]
    assert steep[1] > steep[0]
    assert len(found["siemens_spiral"].hu) == len(soft)


def test_every_object_says_that_it_is_synthetic_and_names_nobody(everything):
    _, root = everything
    for name in scanners():
        for data in objects(root / name):
            assert "Synthetic" in data.ManufacturerModelName
            assert "SYNTHETIC" in data.ImageComments
            assert data.PatientIdentityRemoved == "YES"
            assert data.BurnedInAnnotation == "NO"
            assert data.PatientBirthDate == ""
            assert str(data.PatientID).startswith("PHANTOM-")


def test_every_kind_of_object_is_valid(everything):
    """By the validator of David Clunie's dicom3tools (Debian package dicom3tools)."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    _, root = everything
    met = set()
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".txt"):
        data = pydicom.dcmread(path, stop_before_pixels=True)
        kind = data.Manufacturer, data.SeriesInstanceUID, tuple(data.get("ImageOrientationPatient", ()))
        if kind in met:
            continue
        met.add(kind)
        told = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        assert [line for line in told.stderr.splitlines() if line.startswith("Error")] == []
    assert len(met) > 4 * len(scanners())


def test_headers_identify_one_study_with_valid_unique_uids(written):
    study, found, folder = written
    uids = [d.SOPInstanceUID for d in objects(folder)]
    assert len(set(uids)) == len(uids)
    assert len(found) == len(study.hu)
    assert all(
        uid.is_valid and uid.startswith("2.25.")
        for uid in [*uids, found[0].StudyInstanceUID, found[0].SeriesInstanceUID]
    )
    assert {d.StudyInstanceUID for d in found} == {study.study_uid}
    assert {str(d.PatientID) for d in found} == {study.patient}
    assert {d.SOPClassUID for d in found} == {pydicom.uid.CTImageStorage}


def test_a_patient_s_studies_follow_each_other_and_agree_on_age_and_sex():
    config, seed = CohortConfig(seed=1, matrix_px=96, slices_max=8, slices_min=8), 1
    visits = collections.defaultdict(list)
    for number in range(4):
        visits[patient_of(seed, number)[0]].append(number)
    several = [numbers for numbers in visits.values() if len(numbers) > 1]
    assert several
    for numbers in several:
        studies = [make_study(config, number) for number in numbers]
        assert len({(study.patient, study.sex) for study in studies}) == 1
        days = [study.moment.date() for study in studies]
        assert days == sorted(set(days))
        older = [(day - days[0]) / datetime.timedelta(days=365.25) for day in days]
        assert [study.age_years - studies[0].age_years for study in studies] == pytest.approx(older, abs=0.02)


def test_the_files_of_a_study_do_not_depend_on_what_it_shows(tmp_path):
    config = CohortConfig(seed=1, matrix_px=96, slices_min=8, slices_max=8)
    for number in range(3):
        kinds = []
        for force in ((), ("epidural_hematoma",)):
            folder = tmp_path / f"{number}{len(force)}"
            write_study(make_study(config, number, force=force, age_years=50.0), folder)
            kinds.append(sorted((d.SeriesNumber, d.Manufacturer, d.KVP, d.StudyTime) for d in objects(folder)
                                if "KVP" in d))  # fmt: skip
            kinds[-1].append(sorted(path.name for path in folder.iterdir()))
        assert kinds[0] == kinds[1]


def test_file_names_do_not_tell_the_order(written):
    _, found, folder = written
    named = [d for d in objects(folder) if d.SeriesInstanceUID == found[0].SeriesInstanceUID]
    heights = [float(d.ImagePositionPatient[2]) for d in named]
    assert heights not in (sorted(heights), sorted(heights)[::-1])


def test_without_further_series_there_is_the_axial_one_alone(tmp_path):
    study = make_study(CohortConfig(seed=1, matrix_px=96, slices_min=8, slices_max=8, further_series=0.0), 0, force=())
    write_study(study, tmp_path)
    assert len(list(tmp_path.iterdir())) == len(study.hu) == len(slices(tmp_path))


def test_masks_round_trip(tmp_path):
    study = make_study(CONFIG, 1, force=("meningioma", "cerebral_atrophy"))
    tissue, masks = read_masks(write_masks(study, tmp_path))
    assert np.array_equal(tissue, study.tissue)
    assert set(masks) == set(study.masks)
    assert all(np.array_equal(masks[key], study.masks[key]) for key in masks)


def test_the_row_of_labels_names_the_study_and_patient_of_the_files(written):
    study, found, _ = written
    row = labels_row(study)
    assert {(d.StudyInstanceUID, d.PatientID) for d in found} == {(row["study"], row["patient"])}
    assert set(row) == {"study", "patient", *KEYS}

"""One fixture a fault: a right volume, or a volume with what was repaired, or a refusal by its code."""

import numpy as np
import pytest
from pydicom import uid

from molre.dicom import read_study, scan
from molre.dicom.codes import REPAIRS
from molre.errors import Rejection


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("GEO_NO_ORIENTATION", {"ImageOrientationPatient": None}),
        ("GEO_NO_ORIENTATION", {"ImagePositionPatient": None}),
        ("GEO_BAD_ORIENTATION", {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}),
        ("GEO_SPACING_CONFLICT", {"PixelSpacing": None}),
        ("GEO_SPACING_CONFLICT", {"PixelSpacing": [0, 0.5]}),
        ("VAL_NO_RESCALE", {"RescaleSlope": None}),
        ("VAL_NO_RESCALE", {"RescaleIntercept": None}),
        ("VAL_NO_RESCALE", {"RescaleSlope": "0"}),
        ("VAL_MONOCHROME1", {"PhotometricInterpretation": "MONOCHROME1"}),
        ("VAL_COLOUR", {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}),
        ("VAL_BITS", {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}),
        ("VAL_RANGE", {"RescaleIntercept": "1200"}),
        ("VAL_RANGE", {"RescaleIntercept": "-5000"}),
        ("VAL_DERIVED", {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}),
        ("PHI_BURNED_IN", {"BurnedInAnnotation": "YES"}),
        ("SER_NOT_CT", {"Modality": "MR"}),
        ("SER_LOCALIZER", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("SER_SECONDARY", {"SOPClassUID": uid.SecondaryCaptureImageStorage}),
        ("ENC_TOO_MANY_PIXELS", {"Rows": 60000}),
        ("ENC_BAD_PIXELS", {"Rows": 20}),
        ("ENC_TRUNCATED", {"Rows": 400}),
    ],
)
def test_a_fault_of_every_slice_is_refused_by_its_code(kit, tmp_path, code, changes):
    kit.write(kit.scan(changes=changes), tmp_path)
    assert kit.refused(kit.study(tmp_path)) == code


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("GEO_NO_ORIENTATION", {"ImageOrientationPatient": None}),
        ("GEO_MIXED_ORIENTATION", {"ImageOrientationPatient": [1, 0, 0, 0, 0.96, -0.28]}),
        ("VAL_NO_RESCALE", {"RescaleIntercept": None}),
        ("VAL_MONOCHROME1", {"PhotometricInterpretation": "MONOCHROME1"}),
        ("SER_MIXED_UID", {"PixelSpacing": [5, 4.5]}),
        ("SER_MIXED_PATIENT", {"PatientID": "another"}),
    ],
)
def test_a_fault_of_one_slice_is_refused_too(kit, tmp_path, code, changes):
    scan_ = kit.scan()
    kit.rewrite(scan_, kit.write(scan_, tmp_path)[3], 3, **changes)
    assert kit.refused(kit.study(tmp_path)) == code


def test_values_that_are_no_numbers_are_refused(kit, tmp_path):
    paths = kit.write(kit.scan(), tmp_path)
    paths[2].write_bytes(paths[2].read_bytes().replace(b"5.000000\\4.000000", b"5.000000\\Muster.."))
    assert kit.refused(kit.study(tmp_path)) == "ENC_BAD_VALUE"


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.4, 0.25])
def test_a_truncated_slice_is_refused(kit, tmp_path, kept):
    paths = kit.write(kit.scan(), tmp_path)
    data = paths[4].read_bytes()
    paths[4].write_bytes(data[: int(kept * len(data))])
    assert kit.refused(kit.study(tmp_path)) == "ENC_TRUNCATED"


def test_a_slice_cut_within_its_header_is_known_by_its_folder(kit, tmp_path):
    paths = kit.write(kit.scan(), tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:420])
    assert kit.refused(kit.study(tmp_path)) == "ENC_TRUNCATED"


def test_too_few_slices(kit, tmp_path):
    kit.write(kit.scan(count=2), tmp_path)
    assert kit.refused(kit.study(tmp_path)) == "GEO_TOO_FEW_SLICES"


@pytest.mark.parametrize("column", [(0, 0, -1.0), (0, 0.6, -0.8)])
def test_coronal_slices_are_refused(kit, tmp_path, column):
    kit.write(kit.scan(column=column), tmp_path)
    assert kit.refused(kit.study(tmp_path)) == "GEO_NOT_AXIAL"


def test_missing_slice_of_a_thick_scan_is_refused_and_of_a_thin_one_bridged(kit, tmp_path):
    thick = kit.write(kit.scan(count=24, step_mm=5), tmp_path / "thick")
    thick[9].unlink()
    assert kit.refused(kit.study(tmp_path / "thick")) == "GEO_MISSING_SLICE"
    thin = kit.write(kit.scan(count=40, step_mm=2.5), tmp_path / "thin")
    thin[9].unlink()
    series = read_study(kit.study(tmp_path / "thin"))
    assert kit.codes(series) == ["GEO_MISSING_SLICE"]
    assert len(series.stack.hu) == 39


def test_steps_that_change_midway_are_no_gap(kit, tmp_path):
    heights = (*np.arange(-60, -20, 4.0), -19, *np.arange(-12, 70, 7.0))
    kit.write(kit.scan(heights_mm=heights), tmp_path)
    assert kit.codes(read_study(kit.study(tmp_path))) == ["GEO_IRREGULAR_STEP"]


@pytest.mark.parametrize(("code", "name"), [("GEO_DUP_POSITION", "1.2.3.1.99"), ("SER_DUPLICATE_SOP", "1.2.3.1.3")])
def test_identical_repeats_are_dropped_and_differing_ones_refused(kit, tmp_path, code, name):
    scan_ = kit.scan()
    kit.write(scan_, tmp_path)
    kit.rewrite(scan_, tmp_path / "copy.dcm", 2, SOPInstanceUID=name)
    series = read_study(kit.study(tmp_path))
    assert series.repairs == (f"{code}: {REPAIRS[code].format(count=1)}",)
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])
    kit.rewrite(scan_, tmp_path / "copy.dcm", 2, SOPInstanceUID=name, RescaleIntercept="-23")
    assert kit.refused(kit.study(tmp_path)) == code


@pytest.mark.parametrize("marked", [True, False])
def test_a_localizer_in_the_series_is_left_out(kit, tmp_path, marked):
    scan_ = kit.scan()
    kit.write(scan_, tmp_path)
    image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER" if marked else "AXIAL"]
    scout = kit.scan(count=1, shape=(60, 50), column=(0, 0, -1.0), changes={"ImageType": image_type})
    kit.write(scout, tmp_path / "scout")
    series = read_study(kit.study(tmp_path))
    assert kit.codes(series) == ["SER_LOCALIZER"]
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])


def test_a_fault_in_one_study_touches_no_other(kit, tmp_path):
    good = kit.scan(study="1.9", series="1.9.1")
    kit.write(good, tmp_path / "good")
    kit.write(kit.scan(changes={"RescaleSlope": None}), tmp_path / "bad")
    bad, fine = scan(tmp_path).studies
    assert kit.refused(bad) == "VAL_NO_RESCALE"
    np.testing.assert_array_equal(read_study(fine).stack.hu, [good.hu(index) for index in range(7)])


def test_random_damage_never_escapes_as_another_error(kit, tmp_path):
    rng, sentences = np.random.default_rng(5), set()
    paths = kit.write(kit.scan(shape=(16, 16), pixel_mm=(12, 12)), tmp_path)
    whole = [path.read_bytes() for path in paths]
    for _ in range(150):
        index = int(rng.integers(len(paths)))
        data = bytearray(whole[index])
        for _ in range(int(rng.integers(1, 12))):
            data[int(rng.integers(128, len(data)))] = int(rng.integers(256))
        paths[index].write_bytes(bytes(data[: int(rng.integers(130, len(data) + 1))]))
        for study in scan(tmp_path).studies:
            try:
                read_study(study)
            except Rejection as fault:
                sentences.add(fault.sentence)
        paths[index].write_bytes(whole[index])
    # Nothing met was unforeseen: that would name a line of code.
    assert sentences
    assert not any(".py:" in sentence for sentence in sentences)

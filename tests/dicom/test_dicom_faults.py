"""One fixture a fault: a right volume, or a volume with what was repaired, or a refusal by its code."""

import numpy as np
import pytest
from pydicom import uid

from molre.dicom import read_study, scan
from molre.errors import Rejection


def refused(study):
    with pytest.raises(Rejection) as found:
        read_study(study)
    return found.value.code


def rewrite(kit, scan_, paths, index, **changes):
    """One slice of a series written anew with other header values; none removes one."""
    other = kit.replace(scan_, changes={**scan_.changes, **changes})
    paths[index].write_bytes(kit.encoded(other.dataset(index), other.syntax))


def codes(series):
    return [line.split(":")[0] for line in series.repairs]


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
    assert refused(kit.study(tmp_path)) == code


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
    rewrite(kit, scan_, kit.write(scan_, tmp_path), 3, **changes)
    assert refused(kit.study(tmp_path)) == code


def test_values_that_are_no_numbers_are_refused(kit, tmp_path):
    paths = kit.write(kit.scan(), tmp_path)
    paths[2].write_bytes(paths[2].read_bytes().replace(b"5.000000\\4.000000", b"5.000000\\Muster.."))
    assert refused(kit.study(tmp_path)) == "ENC_BAD_VALUE"


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.4, 0.25])
def test_a_truncated_slice_is_refused(kit, tmp_path, kept):
    paths = kit.write(kit.scan(), tmp_path)
    data = paths[4].read_bytes()
    paths[4].write_bytes(data[: int(kept * len(data))])
    assert refused(kit.study(tmp_path)) == "ENC_TRUNCATED"


def test_a_slice_cut_within_its_header_is_a_line_of_its_own(kit, tmp_path):
    paths = kit.write(kit.scan(), tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:420])
    inventory = scan(tmp_path)
    assert [(fault.path, fault.code) for fault in inventory.rejected] == [("003.dcm", "ENC_TRUNCATED")]
    assert refused(inventory.studies[0]) == "GEO_MISSING_SLICE"


def test_too_few_slices(kit, tmp_path):
    kit.write(kit.scan(count=2), tmp_path)
    assert refused(kit.study(tmp_path)) == "GEO_TOO_FEW_SLICES"


@pytest.mark.parametrize("column", [(0, 0, -1.0), (0, 0.6, -0.8)])
def test_coronal_slices_are_refused(kit, tmp_path, column):
    kit.write(kit.scan(column=column), tmp_path)
    assert refused(kit.study(tmp_path)) == "GEO_NOT_AXIAL"


def test_missing_slice_of_a_thick_scan_is_refused_and_of_a_thin_one_bridged(kit, tmp_path):
    thick = kit.write(kit.scan(count=24, step_mm=5), tmp_path / "thick")
    thick[9].unlink()
    assert refused(kit.study(tmp_path / "thick")) == "GEO_MISSING_SLICE"
    thin = kit.write(kit.scan(count=40, step_mm=2.5), tmp_path / "thin")
    thin[9].unlink()
    series = read_study(kit.study(tmp_path / "thin"))
    assert codes(series) == ["GEO_MISSING_SLICE"]
    assert len(series.stack.hu) == 39


def test_steps_that_change_midway_are_no_gap(kit, tmp_path):
    heights = (*np.arange(-60, -20, 4.0), -19, *np.arange(-12, 70, 7.0))
    kit.write(kit.scan(heights_mm=heights), tmp_path)
    assert codes(read_study(kit.study(tmp_path))) == ["GEO_IRREGULAR_STEP"]


def test_identical_repeats_are_dropped_and_differing_ones_refused(kit, tmp_path):
    scan_ = kit.scan()
    paths = kit.write(scan_, tmp_path)
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    series = read_study(kit.study(tmp_path))
    assert codes(series) == ["GEO_DUP_POSITION"]
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])
    rewrite(kit, scan_, [tmp_path / "copy.dcm"] * 7, 2, RescaleIntercept="-23")
    assert refused(kit.study(tmp_path)) == "GEO_DUP_POSITION"


@pytest.mark.parametrize("marked", [True, False])
def test_a_localizer_in_the_series_is_left_out(kit, tmp_path, marked):
    scan_ = kit.scan()
    kit.write(scan_, tmp_path)
    image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER" if marked else "AXIAL"]
    scout = kit.scan(count=1, shape=(60, 50), column=(0, 0, -1.0), changes={"ImageType": image_type})
    kit.write(scout, tmp_path / "scout")
    series = read_study(kit.study(tmp_path))
    assert codes(series) == ["SER_LOCALIZER"]
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])


@pytest.mark.parametrize("padding", [-1500, -2000, -3024])
def test_padding_becomes_air_after_rescale_and_is_counted(kit, tmp_path, padding):
    scan_ = kit.scan()
    paths = kit.write(scan_, tmp_path)
    data = scan_.dataset(3)
    stored = np.frombuffer(data.PixelData, "<i2").copy().reshape(scan_.shape)
    stored[:, :6] = padding
    data.PixelData, data.PixelPaddingValue = stored.tobytes(), padding
    data["PixelPaddingValue"].VR = "SS"
    paths[3].write_bytes(kit.encoded(data, uid.ImplicitVRLittleEndian))
    series = read_study(kit.study(tmp_path))
    assert series.repairs == ("VAL_PADDING: 240 voxels of padding are set to -1024 HU",)
    assert (series.stack.hu[3, :, :6] == -1024).all()
    np.testing.assert_array_equal(series.stack.hu[3, :, 6:], scan_.hu(3)[:, 6:])


def test_rescale_is_taken_slice_by_slice(kit, tmp_path):
    scan_ = kit.scan()
    paths = kit.write(scan_, tmp_path)
    for index, (slope, intercept) in enumerate([(1, -24), (2, -1024), (0.5, 100), (1, 0)]):
        data = scan_.dataset(index)
        stored = (scan_.hu(index) - intercept) / slope
        data.PixelData = np.rint(stored).astype("<i2").tobytes()
        data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)
        paths[index].write_bytes(kit.encoded(data, scan_.syntax))
    series = read_study(kit.study(tmp_path))
    assert np.abs(series.stack.hu - [scan_.hu(index) for index in range(7)]).max() <= 1


@pytest.mark.parametrize(
    "layout",
    [
        {"bits_stored": 12, "signed": False, "intercept": -1024},
        {"bits_stored": 12, "signed": True, "intercept": 0},
        {"bits_stored": 16, "signed": False, "intercept": -8192},
        {"bits_stored": 16, "signed": True, "intercept": -1024},
    ],
)
def test_every_way_to_store_gives_the_same_hu(kit, tmp_path, layout):
    scan_ = kit.scan(**layout)
    kit.write(scan_, tmp_path)
    series = read_study(kit.study(tmp_path))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])
    assert series.repairs == ()


@pytest.mark.parametrize("modulo", [4096, 65536])
def test_negative_values_stored_as_unsigned_are_turned_back(kit, tmp_path, modulo):
    scan_ = kit.scan(bits_stored=12, signed=False, intercept=0)
    paths = kit.write(scan_, tmp_path)
    for index, path in enumerate(paths):
        data = scan_.dataset(index)
        data.PixelData = (scan_.hu(index).astype(np.int32) % modulo).astype("<u2").tobytes()
        path.write_bytes(kit.encoded(data, scan_.syntax))
    series = read_study(kit.study(tmp_path))
    assert codes(series) == ["VAL_UNSIGNED_OVERFLOW"]
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])


def test_an_overlay_in_unused_bits_does_not_reach_the_hu(kit, tmp_path):
    scan_ = kit.scan(bits_stored=12, signed=False, intercept=-1024)
    paths = kit.write(scan_, tmp_path)
    data = scan_.dataset(3)
    stored = np.frombuffer(data.PixelData, "<u2").copy()
    stored[100:200] |= 0x4000
    data.PixelData = stored.tobytes()
    paths[3].write_bytes(kit.encoded(data, scan_.syntax))
    np.testing.assert_array_equal(read_study(kit.study(tmp_path)).stack.hu[3], scan_.hu(3))


def test_a_fault_in_one_study_touches_no_other(kit, tmp_path):
    good = kit.scan(study="1.9", series="1.9.1")
    kit.write(good, tmp_path / "good")
    kit.write(kit.scan(changes={"RescaleSlope": None}), tmp_path / "bad")
    bad, fine = scan(tmp_path).studies
    assert refused(bad) == "VAL_NO_RESCALE"
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

"""Which series of a study is read, and that the reason is told."""

import numpy as np
import pytest
from pydicom import uid

import molre.dicom.series
from molre.dicom import read_study
from molre.dicom.choice import RULE
from molre.dicom.codes import PASSED_OVER, REFUSALS
from molre.dicom.kernels import kernel_class, names_contrast


@pytest.fixture
def build(kit, tmp_path):
    """A study of several series, each given by what sets it apart."""

    def made(*series):
        for number, options in enumerate(series):
            changes = {**options.pop("changes", {})}
            scan_ = kit.scan(**{"count": 9, "step_mm": 15, **options, "series": f"1.2.3.{number}", "changes": changes})
            kit.write(scan_, tmp_path / str(number))
        return kit.study(tmp_path)

    return made


BONE = {"changes": {"ConvolutionKernel": "BONEPLUS"}}
SOFT = {"changes": {"ConvolutionKernel": "H31s"}}


def test_soft_kernel_comes_before_bone_unless_asked_otherwise(build):
    study = build(dict(BONE), dict(SOFT))
    soft, bone = read_study(study), read_study(study, kernel="bone")
    assert (soft.series_uid, soft.attributes["choice"]) == ("1.2.3.1", "1 of 2 series: soft kernel")
    assert bone.series_uid == "1.2.3.0"


def test_a_stub_with_the_right_kernel_does_not_beat_a_whole_head(build):
    series = read_study(build({**SOFT, "count": 4}, dict(BONE)))
    assert (series.series_uid, series.attributes["choice"]) == ("1.2.3.1", "1 of 2 series: enough coverage")


def test_no_contrast_comes_first(build):
    series = read_study(build({"changes": {"ContrastBolusAgent": "Iohexol"}}, dict(BONE)))
    assert (series.series_uid, series.attributes["choice"]) == ("1.2.3.1", "1 of 2 series: no contrast agent")


def test_finer_steps_come_first_among_equals(build):
    series = read_study(build({"count": 9, "step_mm": 15}, {"count": 25, "step_mm": 5}))
    assert (series.series_uid, series.attributes["choice"]) == ("1.2.3.1", "1 of 2 series: finer steps")


def test_an_original_acquisition_comes_before_one_derived_from_it(build):
    study = build({"count": 25, "step_mm": 5, "changes": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}}, {})
    series = read_study(study)
    assert (series.series_uid, series.attributes["choice"]) == ("1.2.3.1", "1 of 2 series: original acquisition")
    assert series.attributes["passed_over"] == ["SER_DERIVED"]


def test_a_derived_axial_reformat_is_taken_where_there_is_no_other(build):
    series = read_study(build({"changes": {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}}))
    assert series.repairs == ()


def test_every_series_that_is_not_taken_is_accounted_for_by_a_code(build):
    series = read_study(
        build(
            dict(SOFT),
            {**SOFT, "count": 3, "step_mm": 12},
            dict(BONE),
            {"changes": {"ContrastBolusAgent": "Iohexol"}},
            {**SOFT, "count": 5, "step_mm": 30},
            dict(SOFT),
            {"changes": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "ConvolutionKernel": "H31s"}},
            {"changes": {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}},
            {"changes": {"SOPClassUID": uid.SecondaryCaptureImageStorage}},
            {"changes": {"SOPClassUID": uid.SecondaryCaptureImageStorage, "BurnedInAnnotation": "YES"}},
            {"count": 1, "changes": {"SOPClassUID": uid.XRayRadiationDoseSRStorage, "PixelData": None}},
            {"column": (0, 0, -1.0), "count": 2, "changes": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}},
            {"column": (0, 0, -1.0)},
            {"count": 2},
            {"changes": {"RescaleSlope": None}},
            {**SOFT, "count": 25, "step_mm": 5, "changes": {"RescaleIntercept": "1500"}},
            {**SOFT, "changes": {"Modality": "PT"}},
        )
    )
    assert (series.series_uid, series.attributes["choice"]) == (
        "1.2.3.0",
        "1 of 11 series: a better one was refused (VAL_RANGE)",
    )
    assert series.attributes["passed_over"] == sorted(
        [
            *["SER_COVERAGE", "SER_KERNEL", "SER_CONTRAST", "SER_THICKNESS", "SER_EQUAL", "SER_DERIVED", "VAL_DERIVED"],
            *["SER_SECONDARY", "PHI_BURNED_IN", "SER_DOSE", "SER_LOCALIZER", "GEO_NOT_AXIAL", "GEO_TOO_FEW_SLICES"],
            *["VAL_NO_RESCALE", "VAL_RANGE", "SER_NOT_CT"],
        ]
    )
    assert set(series.attributes["passed_over"]) <= {*REFUSALS, *PASSED_OVER}


def test_the_order_of_files_does_not_decide_among_equals(kit, tmp_path):
    for folder, names in (("one", ("a", "b")), ("other", ("b", "a"))):
        for number, name in enumerate(names):
            kit.write(kit.scan(series=f"1.2.3.{number}"), tmp_path / folder / name)
        series = read_study(kit.study(tmp_path / folder))
        assert (series.series_uid, series.attributes["choice"]) == ("1.2.3.0", "1 of 2 series: first of equals")


def test_the_rule_is_stated_in_sentences():
    assert len(RULE) == 10
    told = " ".join(" ".join(RULE).split())
    stated = [sentence.strip() for sentence in " ".join(molre.dicom.series.__doc__.split()).split(";")[1:7]]
    assert all(sentence in told for sentence in stated)


def test_the_next_series_is_read_where_the_best_is_refused(build, tmp_path):
    study = build(dict(SOFT), dict(BONE))
    path = tmp_path / "0" / "003.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    series = read_study(study)
    assert series.series_uid == "1.2.3.1"
    assert series.attributes["choice"] == "1 of 2 series: a better one was refused (ENC_TRUNCATED)"
    assert series.attributes["passed_over"] == ["ENC_TRUNCATED"]


def test_reports_captures_and_localizers_are_left_out(build):
    left_out = [
        {"changes": {"SOPClassUID": uid.SecondaryCaptureImageStorage}},
        {"changes": {"SOPClassUID": uid.XRayRadiationDoseSRStorage, "PixelData": None}},
        {"column": (0, 0, -1.0), "count": 2, "changes": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}},
    ]
    assert read_study(build(*left_out, dict(SOFT))).series_uid == "1.2.3.3"


CAPTURE = {"SOPClassUID": uid.SecondaryCaptureImageStorage}


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("SER_DOSE", {"SOPClassUID": uid.XRayRadiationDoseSRStorage, "PixelData": None}),
        ("SER_SECONDARY", CAPTURE),
        ("PHI_BURNED_IN", {**CAPTURE, "BurnedInAnnotation": "YES"}),
        ("SER_SECONDARY", {**CAPTURE, "PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}),
    ],
)
def test_a_study_of_nothing_but_what_is_left_out_is_refused(kit, build, code, changes):
    assert kit.refused(build({"count": 3, "changes": changes})) == code


def test_two_kernels_under_one_series_uid_are_told_apart(kit, tmp_path):
    soft, bone = kit.scan(changes=SOFT["changes"]), kit.scan(changes=BONE["changes"], intercept=-30)
    kit.write(bone, tmp_path / "bone")
    kit.write(soft, tmp_path / "soft")
    series = read_study(kit.study(tmp_path))
    assert (series.attributes["slice_count"], series.attributes["kernel"]) == (7, "H31s")
    np.testing.assert_array_equal(series.stack.hu, [soft.hu(index) for index in range(7)])


@pytest.mark.parametrize(
    ("kernel", "description", "width", "expected"),
    [
        ("STANDARD", "", None, "soft"),
        ("STD+", "", None, "soft"),
        ("BONEPLUS", "", None, "bone"),
        ("H30s", "", None, "soft"),
        ("Hr40f\\3", "", None, "soft"),
        ("J70h\\2", "", None, "bone"),
        ("H60s", "brain", None, "bone"),
        ("FC26", "", None, "soft"),
        ("FC30", "", None, "bone"),
        ("FC81", "", None, "bone"),
        ("UB", "", None, "soft"),
        ("YA", "", None, "bone"),
        ("11", "HEAD BONE 2.0", None, "bone"),
        ("11", "", 2000.0, "bone"),
        ("11", "", 80.0, "unknown"),
    ],
)
def test_kernels_of_the_makers(kernel, description, width, expected):
    assert kernel_class(kernel, description, width) == expected


@pytest.mark.parametrize(
    ("agent", "description", "expected"),
    [
        ("Iohexol", "", True),
        ("NONE", "", False),
        ("", "CT POST CONTRAST THIN", True),
        ("", "HEAD W/O CONTRAST", False),
        ("", "NON-CONTRAST HEAD", False),
        ("", "CT PLAIN THIN", False),
        ("", "CTA COW", True),
    ],
)
def test_contrast_by_agent_or_description(agent, description, expected):
    assert names_contrast(agent, description) is expected

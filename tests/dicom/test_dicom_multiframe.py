"""Enhanced CT: many frames in one file, each with its own place and scale."""

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from molre.dicom import read_study, scan
from molre.errors import Rejection


def item(**values):
    data = Dataset()
    for keyword, value in values.items():
        setattr(data, keyword, value)
    return data


def enhanced(scan_, order, own_intercept=False):
    """The scan's slices as one file, its frames in the order given."""
    data = scan_.dataset(0)
    data.SOPClassUID = uid.EnhancedCTImageStorage
    slope, orientation, spacing = data.RescaleSlope, data.ImageOrientationPatient, data.PixelSpacing
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(data, keyword)
    del data.RescaleIntercept
    data.NumberOfFrames = len(order)
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=orientation)],
        PixelMeasuresSequence=[item(PixelSpacing=spacing)],
    )
    frames, pixels = [], b""
    for place, index in enumerate(order):
        intercept = scan_.intercept - (place if own_intercept else 0)
        scale = item(RescaleSlope=slope, RescaleIntercept=str(intercept), RescaleType="HU")
        position = item(ImagePositionPatient=[f"{v:.6f}" for v in scan_.origins()[index]])
        frames.append(item(PlanePositionSequence=[position], PixelValueTransformationSequence=[scale]))
        pixels += (scan_.hu(index).astype(np.int32) - intercept).astype("<i2").tobytes()
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    data.PixelData = pixels
    return data


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless])
def test_frames_become_slices_by_their_own_place_and_scale(kit, tmp_path, syntax):
    scan_ = kit.scan(travel=(0, 0.3, 1))
    data = enhanced(scan_, [4, 0, 6, 1, 2, 5, 3], own_intercept=True)
    (tmp_path / "frames.dcm").write_bytes(kit.encoded(data, syntax))
    series = read_study(kit.study(tmp_path))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])
    np.testing.assert_allclose(series.stack.origins_mm, scan_.origins(), atol=1e-5)


@pytest.mark.parametrize("cut", ["frames", "groups", "pixels"])
def test_a_file_whose_frames_do_not_add_up_is_refused(kit, tmp_path, cut):
    data = enhanced(kit.scan(), range(7))
    if cut == "frames":
        data.NumberOfFrames = 6
    elif cut == "groups":
        del data.PerFrameFunctionalGroupsSequence
    else:
        data.PixelData = data.PixelData[:-200]
    (tmp_path / "frames.dcm").write_bytes(kit.encoded(data, uid.ExplicitVRLittleEndian))
    with pytest.raises(Rejection) as refused:
        read_study(kit.study(tmp_path))
    assert refused.value.code == ("ENC_TRUNCATED" if cut == "pixels" else "SER_MULTIFRAME")


def test_frames_without_scale_are_refused(kit, tmp_path):
    data = enhanced(kit.scan(), range(7))
    for frame in data.PerFrameFunctionalGroupsSequence:
        del frame.PixelValueTransformationSequence
    (tmp_path / "frames.dcm").write_bytes(kit.encoded(data, uid.ImplicitVRLittleEndian))
    with pytest.raises(Rejection) as refused:
        read_study(kit.study(tmp_path))
    assert refused.value.code == "VAL_NO_RESCALE"


def test_frames_in_another_unit_are_refused(kit, tmp_path):
    data = enhanced(kit.scan(), range(7))
    data.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence[0].RescaleType = "Z_EFF"
    (tmp_path / "frames.dcm").write_bytes(kit.encoded(data, uid.ExplicitVRLittleEndian))
    assert kit.refused(kit.study(tmp_path)) == "VAL_RANGE"


def test_a_file_that_is_there_twice_counts_once(kit, tmp_path):
    scan_ = kit.scan()
    for name in ("a", "b"):
        (tmp_path / f"{name}.dcm").write_bytes(kit.encoded(enhanced(scan_, range(7)), uid.ExplicitVRLittleEndian))
    series = read_study(kit.study(tmp_path))
    assert kit.codes(series) == ["SER_DUPLICATE_SOP"]
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])


def test_frames_at_one_place_are_no_copies_of_a_file(kit, tmp_path):
    data = enhanced(kit.scan(), [0, 1, 2, 3, 3, 4])
    (tmp_path / "frames.dcm").write_bytes(kit.encoded(data, uid.ExplicitVRLittleEndian))
    assert kit.codes(read_study(kit.study(tmp_path))) == ["GEO_DUP_POSITION"]


def test_a_real_perfusion_map_is_not_taken_for_a_head(real_data):
    paths = [study for study in scan(real_data / "slices").studies if "eCT" in study.name]
    with pytest.raises(Rejection) as refused:
        read_study(paths[0])
    assert refused.value.code == "VAL_DERIVED"

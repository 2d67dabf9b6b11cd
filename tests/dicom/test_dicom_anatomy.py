"""Geometry that the tissue contradicts, and spacings that the header contradicts itself in."""

import numpy as np
import pytest
from pydicom import dcmread

from molre.dicom import read_study, scan
from molre.volume import GRIDS, resample


def body_hu(points_mm):
    """A trunk with two lungs, without end."""
    x, y, _ = np.moveaxis(points_mm, -1, 0)
    lungs = [(((x - side) / 60) ** 2 + (y / 80) ** 2) < 1 for side in (-75, 75)]
    return np.where((x / 170) ** 2 + (y / 120) ** 2 > 1, -1000.0, np.where(lungs[0] | lungs[1], -800.0, 40.0))


def patient_hu(head_hu):
    """A head, whose middle is at 0, on a neck and a trunk."""

    def hu(points_mm):
        z, across = points_mm[..., 2], np.hypot(points_mm[..., 0], points_mm[..., 1])
        trunk_and_neck = np.where(z < -110, body_hu(points_mm), np.where((across < 50) & (z < 0), 40, -1000))
        return np.where(head_hu(points_mm) == -1000, trunk_and_neck, head_hu(points_mm))

    return hu


def hu_of(scan_):
    return [scan_.hu(index) for index in range(len(scan_.heights()))]


WIDE = {"shape": (100, 100), "pixel_mm": (4.0, 4.0)}


@pytest.mark.parametrize("pixel_mm", [(2.0, 2.0), (2.9, 4.0), (5.0, 2.4)])
def test_a_field_too_narrow_for_a_head_is_noted(kit, tmp_path, pixel_mm):
    kit.write(kit.scan(pixel_mm=pixel_mm), tmp_path)
    (line,) = read_study(kit.study(tmp_path)).repairs
    assert line.startswith("GEO_FOV: the scan holds more than a head, or less: it is 108 mm long, in a field of ")


def test_a_small_field_that_holds_a_child_s_head_is_read(kit, tmp_path):
    kit.write(kit.scan(pixel_mm=(3.2, 3.2), scene=lambda points: kit.head_hu(points * 1.6), step_mm=11), tmp_path)
    assert read_study(kit.study(tmp_path)).repairs == ()


@pytest.mark.parametrize("length_mm", [120, 400])
def test_a_body_without_a_head_is_refused(kit, tmp_path, length_mm):
    kit.write(kit.scan(**WIDE, heights_mm=tuple(np.arange(0, length_mm, 10.0)), scene=body_hu), tmp_path)
    assert kit.refused(kit.study(tmp_path)) == "GEO_FOV"


def test_of_a_scan_from_neck_to_pelvis_the_head_s_end_is_taken(kit, tmp_path):
    scan_ = kit.scan(**WIDE, heights_mm=tuple(np.arange(-500, 90, 10.0)), scene=patient_hu(kit.head_hu))
    kit.write(scan_, tmp_path)
    series = read_study(kit.study(tmp_path))
    assert series.repairs == (
        "GEO_FOV: the scan holds more than a head, or less: it is 580 mm long, in a field of 400 mm",
    )
    np.testing.assert_array_equal(series.stack.hu, hu_of(scan_))
    volume = resample(series.stack, GRIDS["demo"])
    z, y, x = np.indices(volume.hu.shape)
    points = (np.stack([x, y, z], -1) @ volume.affine[:3, :3].T + volume.affine[:3, 3]) * [-1, -1, 1]
    inside = np.linalg.norm(points / np.array([62, 78, 70]), axis=-1) < 0.7
    assert inside.sum() * 24 > 0.9 * 4 / 3 * np.pi * 62 * 78 * 70 * 0.7**3
    assert np.abs(volume.hu - kit.head_hu(points))[inside].max() <= 1.5


def test_feet_and_head_exchanged_are_refused_and_a_cut_head_the_right_way_up_is_not(kit, tmp_path):
    heights = np.arange(0, 84, 6.0)
    kit.write(kit.scan(heights_mm=tuple(heights)), tmp_path / "right")
    kit.write(kit.scan(heights_mm=tuple(-heights[::-1])), tmp_path / "wrong")
    assert read_study(kit.study(tmp_path / "right")).repairs == ()
    assert kit.refused(kit.study(tmp_path / "wrong")) == "GEO_UPSIDE_DOWN"


@pytest.mark.parametrize("heights_mm", [np.arange(-84, 90, 6.0), np.arange(-50, 50, 5.0), np.arange(-30, 80, 10.0)])
def test_a_head_that_closes_at_both_ends_or_at_neither_is_read(kit, tmp_path, heights_mm):
    kit.write(kit.scan(heights_mm=tuple(heights_mm)), tmp_path)
    assert read_study(kit.study(tmp_path)).repairs == ()


def test_an_empty_slice_below_a_cut_head_is_no_vertex(kit, tmp_path):
    """Two blank slices under a partial scan: areas jump, and do not grow."""
    scan_ = kit.scan(heights_mm=tuple(np.arange(-24, 24, 6.0)))
    paths = kit.write(scan_, tmp_path)
    for index in range(2):
        data = scan_.dataset(index)
        data.PixelData = np.full(scan_.shape, -1000 - scan_.intercept, "<i2").tobytes()
        paths[index].write_bytes(kit.encoded(data, scan_.syntax))
    assert read_study(kit.study(tmp_path)).repairs == ()


def test_a_real_head_upside_down_is_refused(head_ct_ge, tmp_path):
    for path in head_ct_ge.glob("*.dcm"):
        data = dcmread(path)
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x, y, -z]
        data.save_as(tmp_path / path.name)
    (study,) = scan(tmp_path).studies
    with pytest.raises(Exception, match="GEO_UPSIDE_DOWN"):
        read_study(study)


@pytest.mark.parametrize(
    ("shape", "pixel_mm"), [((48, 24), (5.0, 10.0)), ((24, 48), (8.0, 4.0)), ((40, 48), (6.0, 5.0))]
)
def test_pixels_that_are_not_square_are_read_the_right_way_round_only(kit, tmp_path, shape, pixel_mm):
    scan_ = kit.scan(shape=shape, pixel_mm=pixel_mm)
    kit.write(scan_, tmp_path / "right")
    stack = read_study(kit.study(tmp_path / "right")).stack
    assert stack.pixel_mm == pixel_mm
    np.testing.assert_array_equal(stack.hu, hu_of(scan_))
    swapped = [f"{step}" for step in pixel_mm[::-1]]
    kit.write(kit.scan(shape=shape, pixel_mm=pixel_mm, changes={"PixelSpacing": swapped}), tmp_path / "wrong")
    if shape[0] != 40:
        assert kit.refused(kit.study(tmp_path / "wrong")) == "GEO_ANISO_SWAP"


@pytest.mark.parametrize("stated", ["18", "-18", "18.5", "0", None])
def test_a_stated_spacing_that_agrees_is_no_news(kit, tmp_path, stated):
    kit.write(kit.scan(changes={"SpacingBetweenSlices": stated} if stated else {}), tmp_path)
    assert read_study(kit.study(tmp_path)).repairs == ()


@pytest.mark.parametrize("stated_mm", [10.0, 12.0])
def test_along_the_table_and_along_the_normal_are_both_right(kit, tmp_path, stated_mm):
    """A tilt of 33.6 degrees, at which the two differ by a fifth."""
    sine, cosine = np.sqrt(1 - (10 / 12) ** 2), 10 / 12
    kit.write(kit.scan(
        column=(0, cosine, -sine), travel=(0, 0, 1), step_mm=10, count=15, changes={"SpacingBetweenSlices": stated_mm}
    ), tmp_path)  # fmt: skip
    assert kit.codes(read_study(kit.study(tmp_path))) == ["GEO_TILT"]


@pytest.mark.parametrize("thickness", ["1", "18", "40"])
def test_positions_hold_where_the_header_states_another_spacing(kit, tmp_path, thickness):
    scan_ = kit.scan(changes={"SpacingBetweenSlices": "2.5", "SliceThickness": thickness})
    kit.write(scan_, tmp_path)
    series = read_study(kit.study(tmp_path))
    said = "GEO_SPACING_CONFLICT: slices are said to be 2.50 mm apart: their positions, 18.00 mm, hold"
    assert series.repairs == (said,)
    np.testing.assert_allclose(series.stack.origins_mm, scan_.origins(), atol=1e-5)


def test_a_tilt_is_told_and_its_voxels_are_left_where_they_were_measured(kit, tmp_path):
    scan_ = kit.scan(column=(0, np.cos(0.3), -np.sin(0.3)), travel=(0, 0, 1))
    kit.write(scan_, tmp_path)
    series = read_study(kit.study(tmp_path))
    assert series.repairs == ("GEO_TILT: the shear of a gantry tilt of 17.2 degrees is undone",)
    np.testing.assert_array_equal(series.stack.hu, hu_of(scan_))
    np.testing.assert_allclose(series.stack.origins_mm, scan_.origins(), atol=1e-5)

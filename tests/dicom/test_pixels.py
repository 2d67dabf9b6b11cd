"""Stored values to HU in their place, and how often files are opened for it."""

from pathlib import Path

import numpy as np
import pytest

from molre.dicom import pixels, scan
from molre.dicom.frames import Frame
from molre.dicom.header import Encoding, read_header
from molre.dicom.pixels import read_voxels, to_hu


def encoding(bits=12, **changes):
    form = {
        "syntax": "1.2.840.10008.1.2.1", "pixels_at": 0, "frames": 1, "rows": 4, "columns": 8, "samples": 1,
        "photometric": "MONOCHROME2", "bits_allocated": 16, "bits_stored": bits, "high_bit": bits - 1,
        "signed": False, "padding": None,
    }  # fmt: skip
    return Encoding(**(form | changes))


def frame(slope=1.0, intercept=-1024.0):
    nowhere = dict.fromkeys(("position_mm", "orientation", "pixel_mm"))
    return Frame(index=0, slope=slope, intercept=intercept, image_type=(), unit="", **nowhere)


def scaled(stored, form, scale):
    """HU by the function under test, and padding and sign as it says."""
    plane = np.resize(np.array(stored, np.int64), (form.rows, form.columns)).astype(np.uint16).view(np.int16).copy()
    padded, turned, highest_hu = to_hu(plane, form, scale)
    assert plane.max() <= highest_hu
    return plane.ravel()[: len(stored)].tolist(), padded, turned


@pytest.mark.parametrize("bits", [12, 16])
def test_sums_beyond_sixteen_bits_come_out_right(bits):
    stored, intercept = ([0, 1024, 4095], -1024) if bits == 12 else ([31744, 32768, 33791], -32768)
    expected = [value + intercept for value in stored]
    assert scaled(stored, encoding(bits), frame(intercept=float(intercept)))[0] == expected


def test_uneven_scales_are_rounded_and_held_within_limits():
    assert scaled([0, 1, 3, 4000], encoding(), frame(0.5, -0.25))[0] == [0, 0, 1, 2000]
    assert scaled([0, 60000], encoding(16), frame(2.0, -1000.0))[0] == [-1000, 32767]
    assert scaled([0, 1000, 4000], encoding(), frame(-1.0, 1000.0))[0] == [1000, 0, -1024]


def test_what_lies_below_air_is_air_and_counted():
    form = encoding(16, signed=True, rows=1)
    assert scaled([-2000, -1024, 40, -1025, 0, 0, 0, 0], form, frame(intercept=0.0))[:2] == (
        [-1024, -1024, 40, -1024, 0, 0, 0, 0],
        2,
    )


def test_padding_above_all_tissue_is_air():
    form = encoding(16, rows=1, padding=65535)
    assert scaled([65535, 1064, 1024, 1, 1, 1, 1, 1], form, frame())[:2] == ([-1024, 40, 0, *[-1023] * 5], 1)


def test_stray_bits_are_a_sign_or_an_overlay():
    values, _, turned = scaled([65535, 24, 4095], encoding(), frame(intercept=0.0))
    assert (values, turned) == ([-1, 24, 4095], True)
    values, _, turned = scaled([0x8000 | 24, 4095], encoding(), frame(intercept=0.0))
    assert (values, turned) == ([24, 4095], False)
    values, _, turned = scaled([0x0FFF, 0x07FF], encoding(signed=True), frame(intercept=0.0))
    assert (values, turned) == ([-1, 2047], False)


def test_every_file_is_opened_once_however_its_slices_are_mixed(kit, tmp_path, monkeypatch):
    from test_dicom_multiframe import enhanced

    whole = kit.scan(count=8)
    heights = whole.heights()
    for name, part in (("even", slice(0, 8, 2)), ("odd", slice(1, 8, 2))):
        half = kit.replace(whole, heights_mm=tuple(heights[part]))
        data = enhanced(half, range(4))
        data.SOPInstanceUID = f"1.2.{len(name)}"
        (tmp_path / f"{name}.dcm").write_bytes(kit.encoded(data, whole.syntax))
    (study,) = scan(tmp_path).studies
    pairs = [(header, one) for header in map(read_header, study.series[0].paths) for one in header.planes]
    opened: list[Path] = []

    def counted(path, form):
        opened.append(path)
        return was(path, form)

    was = pixels._opened
    monkeypatch.setattr(pixels, "_opened", counted)
    pairs.sort(key=lambda pair: pair[1].position_mm[2])
    np.testing.assert_array_equal(read_voxels(pairs).hu, [whole.hu(index) for index in range(8)])
    assert sorted(path.name for path in opened) == ["even.dcm", "odd.dcm"]

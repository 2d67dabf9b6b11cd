"""The same pixels in every transfer syntax give the same HU, and damaged ones none."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate

from molre.dicom import read_study, scan
from molre.dicom.encoding import INFLATE_LIMIT_MIB
from molre.errors import Rejection

LOSSLESS = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "RLE": uid.RLELossless,
    "JPEG-LS": uid.JPEGLSLossless,
    "JPEG 2000": uid.JPEG2000Lossless,
}
COMPRESSED = ["RLE", "JPEG-LS", "JPEG 2000"]


KINDS = [(16, True), (16, False), (12, True), (12, False)]
KIND_NAMES = [f"{bits} bits {'signed' if signed else 'unsigned'}" for bits, signed in KINDS]


@pytest.mark.parametrize(("bits", "signed"), KINDS, ids=KIND_NAMES)
@pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS.keys())
def test_hu_are_bit_equal_in_every_syntax(kit, tmp_path, syntax, bits, signed):
    scan_ = small_scan(kit, bits, signed, syntax)
    kit.write(scan_, tmp_path)
    series = read_study(kit.study(tmp_path))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(3)])


def small_scan(kit, bits, signed, syntax=uid.ExplicitVRLittleEndian):
    intercept = -24 if signed else -1024
    return kit.scan(count=3, step_mm=30, syntax=syntax, bits_stored=bits, signed=signed, intercept=intercept)


def jpeg(predictor):
    return lambda stored, bits: imagecodecs.jpeg8_encode(
        stored.view("u2") & (1 << bits) - 1, lossless=True, predictor=predictor, bitspersample=bits
    )


ELSEWHERE = {
    "JPEG lossless": (uid.JPEGLosslessSV1, jpeg(1)),
    "JPEG lossless, predictor 6": (uid.JPEGLossless, jpeg(6)),
    "HTJ2K": (uid.HTJ2KLossless, lambda stored, _: imagecodecs.htj2k_encode(stored)),
}
"""Syntaxes that pydicom does not write."""


@pytest.mark.parametrize(("bits", "signed"), KINDS, ids=KIND_NAMES)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_hu_are_bit_equal_in_syntaxes_that_pydicom_does_not_write(kit, tmp_path, name, bits, signed):
    scan_ = small_scan(kit, bits, signed)
    for path in kit.write(scan_, tmp_path):
        recompress(path, *ELSEWHERE[name])
    series = read_study(kit.study(tmp_path))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(3)])


def recompress(path, syntax, encode, fragments=1):
    data = dcmread(path)
    kind = "<i2" if data.PixelRepresentation else "<u2"
    stored = np.frombuffer(data.PixelData, kind).reshape(data.Rows, data.Columns)
    frame = bytes(encode(stored, data.BitsStored))
    data.PixelData = encapsulate([frame], fragments_per_frame=fragments)
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path)


def test_a_frame_in_several_fragments_is_put_together(kit, tmp_path):
    scan_ = small_scan(kit, 12, signed=False)
    for path in kit.write(scan_, tmp_path):
        recompress(path, *ELSEWHERE["JPEG lossless"], fragments=5)
    series = read_study(kit.study(tmp_path))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(3)])


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("kept", [0.6, 0.95])
def test_truncated_compressed_pixels_are_refused(kit, tmp_path, name, kept):
    paths = kit.write(kit.scan(syntax=LOSSLESS[name]), tmp_path)
    data = paths[2].read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00")
    paths[2].write_bytes(data[: start + int(kept * (len(data) - start))])
    with pytest.raises(Rejection) as refused:
        read_study(kit.study(tmp_path))
    assert refused.value.code in ("ENC_TRUNCATED", "ENC_BAD_PIXELS")


@pytest.mark.parametrize("name", ["JPEG-LS", "JPEG 2000"])
def test_a_frame_that_asks_for_more_memory_than_its_header_says_is_refused(kit, tmp_path, name):
    scan_ = kit.scan(syntax=LOSSLESS[name])
    paths = kit.write(scan_, tmp_path)
    small, huge = struct.pack(">H", 40), struct.pack(">H", 65500)
    data = paths[0].read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00")
    at = data.index(small, data.index(b"\xff\xf7" if name == "JPEG-LS" else b"\xff\x4f\xff\x51", start))
    paths[0].write_bytes(data[:at] + huge + data[at + 2 :])
    with pytest.raises(Rejection) as refused:
        read_study(kit.study(tmp_path))
    assert refused.value.code == "ENC_BAD_PIXELS"


def test_an_unsupported_syntax_is_refused_by_name(kit, tmp_path):
    paths = kit.write(kit.scan(syntax=uid.RLELossless), tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0"))
    with pytest.raises(Rejection) as refused:
        read_study(kit.study(tmp_path))
    assert refused.value.code == "ENC_UNSUPPORTED_TS"


@pytest.mark.parametrize("header_first", [True, False])
def test_a_deflated_bomb_is_refused_before_it_grows(kit, tmp_path, header_first):
    path = kit.write(kit.scan(count=4, syntax=uid.DeflatedExplicitVRLittleEndian), tmp_path)[3]
    data = path.read_bytes()
    start = next(at for at in range(132, len(data)) if _inflates(data[at:]))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = zlib.decompress(data[start:], -15) if header_first else b""
    bomb = b"".join(packer.compress(part) for part in (head, *[bytes(1 << 20)] * (2 * INFLATE_LIMIT_MIB)))
    path.write_bytes(data[:start] + bomb + packer.flush())
    assert kit.refused(kit.study(tmp_path)) == ("ENC_INFLATE_LIMIT" if header_first else "ENC_BAD_FILE")


def _inflates(data):
    try:
        return zlib.decompress(data, -15)[:2] == b"\x08\x00"
    except zlib.error:
        return False


def test_a_file_without_preamble_and_meta_information_is_read(kit, tmp_path):
    scan_ = kit.scan(syntax=uid.ImplicitVRLittleEndian)
    for path in kit.write(scan_, tmp_path):
        data = path.read_bytes()
        path.write_bytes(data[data.index(b"\x08\x00\x08\x00") :])
    np.testing.assert_array_equal(
        read_study(kit.study(tmp_path)).stack.hu, [scan_.hu(index) for index in range(scan_.count)]
    )


def test_the_sign_of_a_jpeg_2000_frame_that_contradicts_its_header(real_data, tmp_path):
    """A real slice; pydicom's reading of it, made three slices of, is what has to come out."""
    data = dcmread(real_data / "slices" / "J2K_pixelrep_mismatch.dcm")
    expected = np.maximum(data.pixel_array, -1024)
    for index in range(3):
        data.ImagePositionPatient[2] = 10.0 * index
        data.SOPInstanceUID = f"1.2.{index}"
        data.save_as(tmp_path / f"{index}.dcm")
    (study,) = scan(tmp_path).studies
    np.testing.assert_array_equal(read_study(study).stack.hu[1], expected)


def test_headers_are_read_as_pydicom_reads_them(real_data):
    from molre.dicom.header import read_header

    for path in sorted((real_data / "head_ct_ge").glob("*.dcm")):
        ours, theirs = read_header(path), dcmread(path, stop_before_pixels=True)
        (frame,) = ours.planes
        assert frame.position_mm == tuple(theirs.ImagePositionPatient)
        assert frame.orientation == tuple(theirs.ImageOrientationPatient)
        assert frame.pixel_mm == tuple(theirs.PixelSpacing)
        assert (frame.slope, frame.intercept) == (theirs.RescaleSlope, theirs.RescaleIntercept)
        assert ours.encoding.padding == theirs.PixelPaddingValue
        assert (ours.encoding.rows, ours.encoding.columns) == (theirs.Rows, theirs.Columns)

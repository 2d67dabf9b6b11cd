"""Single compressed frames: sign, loss, and what is refused before or after a decoder has seen it."""

import contextlib
import struct
import sys

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
import rle
from openjpeg.utils import encode_array
from pydicom import uid

from molre.dicom.codestream import CODECS, decode_into
from molre.dicom.header import Encoding
from molre.errors import Rejection

ROWS, COLUMNS = 40, 48


def encoding(syntax, **changes):
    form = {
        "frames": 1, "rows": ROWS, "columns": COLUMNS, "samples": 1, "photometric": "MONOCHROME2",
        "bits_allocated": 16, "bits_stored": 12, "high_bit": 11, "signed": False, "padding": None, "pixels_at": 0,
    }  # fmt: skip
    return Encoding(syntax=str(syntax), **(form | changes))


def noise(low=0, high=4096, kind=np.uint16):
    return np.random.default_rng(7).integers(low, high, (ROWS, COLUMNS)).astype(kind)


def smooth(low=1000):
    return (low + np.add.outer(np.arange(ROWS) * 20, np.arange(COLUMNS) * 10)).astype(np.uint16)


def as_rle(stored):
    form = {"rows": ROWS, "columns": COLUMNS, "samples_per_pixel": 1, "bits_allocated": 16, "number_of_frames": 1}
    return bytes(rle.utils.encode_pixel_data(stored.tobytes(), byteorder="<", **form))


def as_jpeg_ls(stored, loss=0):
    return bytes(jpeg_ls.encode_array(stored, lossy_error=loss))


def as_jpeg_2000(stored, bits=12):
    return bytes(encode_array(stored, bits_stored=bits, photometric_interpretation=2))


def as_jpeg(stored):
    return bytes(imagecodecs.jpeg8_encode(stored, lossless=True, predictor=1, bitspersample=12))


ENCODERS = {
    uid.RLELossless: as_rle,
    uid.JPEGLSLossless: as_jpeg_ls,
    uid.JPEG2000Lossless: as_jpeg_2000,
    uid.JPEGLosslessSV1: as_jpeg,
    uid.HTJ2KLossless: lambda stored: bytes(imagecodecs.htj2k_encode(stored)),
}
NAMES = [syntax.name.split(",")[0].split(" (")[0] for syntax in ENCODERS]


def decoded(frame, form):
    plane = np.full((form.rows, form.columns), -7, np.int16)
    decode_into(plane, frame, form)
    return plane if form.signed else plane.view(np.uint16)


def refused(frame, form):
    with pytest.raises(Rejection) as found:
        decoded(frame, form)
    return found.value.code


@pytest.mark.parametrize("syntax", ENCODERS, ids=NAMES)
def test_noise_over_the_whole_range_comes_back(syntax):
    np.testing.assert_array_equal(decoded(ENCODERS[syntax](noise()), encoding(syntax)), noise())


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.HTJ2KLossless])
def test_sixteen_bits_with_their_sign_come_back(syntax):
    stored = noise(-32768, 32768, np.int16)
    encode = ENCODERS[syntax] if syntax != uid.JPEG2000Lossless else lambda values: as_jpeg_2000(values, 16)
    form = encoding(syntax, signed=True, bits_stored=16, high_bit=15)
    np.testing.assert_array_equal(decoded(encode(stored.view(np.uint16)), form), stored)


def test_the_header_has_the_last_word_on_the_sign_of_jpeg_ls_and_jpeg_2000():
    """Source: PS3.5, 8.2.3 and 8.2.4."""
    stored = noise(-2048, 2048, np.int16)
    bits = stored.view(np.uint16) & 0xFFF
    for syntax, frame in ((uid.JPEGLSLossless, as_jpeg_ls(bits)), (uid.JPEG2000Lossless, as_jpeg_2000(bits))):
        np.testing.assert_array_equal(decoded(frame, encoding(syntax, signed=True)), stored)
    np.testing.assert_array_equal(decoded(as_jpeg_2000(stored), encoding(uid.JPEG2000Lossless)), bits)


def test_lossy_frames_stay_within_their_loss():
    stored = smooth()
    near = decoded(as_jpeg_ls(stored, loss=3), encoding(uid.JPEGLSNearLossless))
    assert 0 < np.abs(near.astype(int) - stored).max() <= 3
    extended = bytes(imagecodecs.jpeg8_encode(stored, level=98, bitspersample=12))
    assert np.abs(decoded(extended, encoding(uid.JPEGExtended12Bit)).astype(int) - stored).max() <= 8


@pytest.mark.parametrize("syntax", ENCODERS, ids=NAMES)
def test_a_frame_of_another_size_is_refused(syntax):
    frame = ENCODERS[syntax](noise())
    assert refused(frame, encoding(syntax, rows=ROWS - 1)) == "ENC_BAD_PIXELS"
    assert refused(frame[: len(frame) // 2], encoding(syntax)) in ("ENC_TRUNCATED", "ENC_BAD_PIXELS")
    assert refused(b"", encoding(syntax)) == "ENC_TRUNCATED"


@pytest.mark.parametrize("syntax", [one for one in ENCODERS if one != uid.JPEGLosslessSV1], ids=lambda one: one[-2:])
def test_a_frame_cut_short_is_refused_even_with_an_end_marker(syntax):
    """libjpeg has no way to tell: it fills up such a frame, as every JPEG decoder does."""
    frame = ENCODERS[syntax](noise())
    cut = frame[: len(frame) * 2 // 3] + (b"" if syntax == uid.RLELossless else b"\xff\xd9")
    assert refused(cut, encoding(syntax)) == "ENC_BAD_PIXELS"


@pytest.mark.parametrize("colours", [uid.JPEGLosslessSV1, uid.JPEG2000Lossless])
def test_a_frame_in_colour_is_refused_before_it_is_decoded(colours):
    stored = np.stack([noise()] * 3, axis=-1)
    frame = as_jpeg(stored) if colours == uid.JPEGLosslessSV1 else bytes(imagecodecs.jpeg2k_encode(stored))
    assert refused(frame, encoding(colours)) == "ENC_BAD_PIXELS"


@pytest.mark.parametrize("segments", [(1, 64, 0), (3, 64, 90), (2, 64, 64), (2, 0, 64), (2, 64, 2**31), (2, 2**31, 90)])
def test_rle_segments_outside_the_frame_are_refused(segments):
    """The decoder would read where they point."""
    frame = struct.pack("<3I", *segments) + as_rle(noise())[12:]
    assert refused(frame, encoding(uid.RLELossless)) == "ENC_BAD_PIXELS"


@pytest.mark.parametrize("syntax", ENCODERS, ids=NAMES)
def test_damaged_frames_are_refused_or_read_and_nothing_else(syntax):
    whole = ENCODERS[syntax](smooth())
    generator = np.random.default_rng(11)
    for _ in range(150):
        frame = bytearray(whole)
        for at in generator.integers(0, len(frame), generator.integers(1, 4)):
            frame[at : at + int(generator.integers(1, 9))] = generator.bytes(int(generator.integers(0, 9)))
        with contextlib.suppress(Rejection):
            decoded(bytes(frame), encoding(syntax))


def test_a_codec_that_is_not_installed_is_an_unsupported_syntax(monkeypatch):
    frame = as_rle(noise())
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "imagecodecs", None)
        assert refused(frame, encoding(uid.RLELossless)) == "ENC_UNSUPPORTED_TS"

    def absent(*_, **__):
        raise imagecodecs.DelayedImportError("dicomrle_decode")

    monkeypatch.setattr(imagecodecs, "dicomrle_decode", absent)
    assert refused(frame, encoding(uid.RLELossless)) == "ENC_UNSUPPORTED_TS"


def test_every_codec_that_is_named_is_installed():
    missing = [name for name in set(CODECS.values()) if not getattr(imagecodecs, name.split("_")[0].upper()).available]
    assert not missing

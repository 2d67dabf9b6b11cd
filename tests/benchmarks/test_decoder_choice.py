"""Which installed decoder is the fastest for each compressed transfer syntax, and which of them notice a cut frame."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType

import imagecodecs
import numpy as np
import pytest
from head_series import BITS, INTERCEPT, LINES, head_hu
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from molre.dicom.codestream import decode_into
from molre.dicom.header import Encoding

FRAMES = 12
ROUNDS = 5
SLACK = 0.9
"""Part of the fastest decoder's speed that ours has to reach."""

OURS = "molre (imagecodecs, into the volume)"
Decoder = Callable[[bytes], np.ndarray]

pytestmark = pytest.mark.bench


def by_pydicom(syntax: str, plugin: str) -> Decoder:
    form = {
        "number_of_frames": 1, "rows": LINES, "columns": LINES, "samples_per_pixel": 1, "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2", "bits_allocated": 16, "bits_stored": BITS,
        "pixel_keyword": "PixelData", "decoding_plugin": plugin,
    }  # fmt: skip
    decoder = get_decoder(syntax)
    return lambda frame: decoder.as_array(encapsulate([frame], has_bot=False), raw=True, **form)[0]


def by_gdcm(syntax: str, gdcm: ModuleType) -> Decoder:
    def decode(frame: bytes) -> np.ndarray:
        image = gdcm.Image()
        image.SetNumberOfDimensions(2)
        image.SetDimension(0, LINES)
        image.SetDimension(1, LINES)
        fragment = gdcm.Fragment()
        fragment.SetByteStringValue(frame)
        sequence = gdcm.SequenceOfFragments.New()
        sequence.AddFragment(fragment)
        element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
        element.SetValue(sequence.__ref__())
        image.SetDataElement(element)
        kind = gdcm.PhotometricInterpretation
        image.SetPhotometricInterpretation(kind(kind.MONOCHROME2))
        image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
        image.SetPixelFormat(gdcm.PixelFormat(1, 16, BITS, BITS - 1, 0))
        return np.frombuffer(image.GetBuffer().encode("utf-8", "surrogateescape"), "<u2")

    return decode


def by_ours(syntax: str) -> Decoder:
    form = Encoding(
        syntax=syntax, pixels_at=0, frames=1, rows=LINES, columns=LINES, samples=1, photometric="MONOCHROME2",
        bits_allocated=16, bits_stored=BITS, high_bit=BITS - 1, signed=False, padding=None,
    )  # fmt: skip
    plane = np.empty((LINES, LINES), np.int16)

    def decode(frame: bytes) -> np.ndarray:
        decode_into(plane, frame, form)
        return plane

    return decode


def u2(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<u2")


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    was = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(was)})
    yield
    os.sched_setaffinity(0, was)


def decoders(syntax: str) -> dict[str, Decoder]:
    """Those that this machine has; what is not installed is left out."""
    found: dict[str, Decoder] = {OURS: by_ours(syntax)}
    with contextlib.suppress(ImportError):
        found["gdcm"] = by_gdcm(syntax, importlib.import_module("gdcm"))
    is_2000 = syntax in (uid.JPEG2000Lossless, uid.HTJ2KLossless)
    if syntax == uid.RLELossless:
        found["pydicom"] = by_pydicom(syntax, "pydicom")
        with contextlib.suppress(ImportError):
            rle = importlib.import_module("rle.rle")
            found["pylibjpeg-rle"] = lambda frame: u2(rle.decode_frame(frame, LINES * LINES, 16, "<"))
    if is_2000:
        with contextlib.suppress(ImportError):
            openjpeg = importlib.import_module("_openjpeg")
            found["pylibjpeg-openjpeg"] = lambda frame: whole(*openjpeg.decode(io.BytesIO(frame), 0, True))
        found["imagecodecs, OpenJPEG"] = lambda frame: imagecodecs.jpeg2k_decode(frame, numthreads=1)
    if syntax == uid.HTJ2KLossless:
        found["imagecodecs, OpenJPH"] = imagecodecs.htj2k_decode
    if syntax == uid.JPEGLSLossless:
        with contextlib.suppress(ImportError):
            charls = importlib.import_module("_CharLS")
            found["pyjpegls"] = lambda frame: u2(charls.decode_from_buffer(frame))
        found["imagecodecs, CharLS"] = imagecodecs.jpegls_decode
    if syntax in (uid.JPEGLSLossless, uid.JPEGLosslessSV1):
        with contextlib.suppress(ImportError):
            libjpeg = importlib.import_module("libjpeg")
            found["pylibjpeg-libjpeg"] = libjpeg.decode
    if syntax == uid.JPEGLosslessSV1:
        found["imagecodecs, libjpeg-turbo"] = imagecodecs.jpeg8_decode
        found["imagecodecs, liblj92"] = imagecodecs.ljpeg_decode
        found["imagecodecs, jpg_0XC3"] = imagecodecs.jpegsof3_decode
    return found


def whole(status: int, values: np.ndarray) -> np.ndarray:
    assert status == 0
    return values.view("<u2")


def encoded(stored: np.ndarray, syntax: str) -> bytes:
    if syntax == uid.RLELossless:
        form = {"rows": LINES, "columns": LINES, "samples_per_pixel": 1, "bits_allocated": 16, "number_of_frames": 1}
        rle = importlib.import_module("rle.utils")
        return bytes(rle.encode_pixel_data(stored.tobytes(), byteorder="<", **form))
    if syntax == uid.JPEG2000Lossless:
        openjpeg = importlib.import_module("openjpeg.utils")
        return bytes(openjpeg.encode_array(stored, bits_stored=BITS, photometric_interpretation=2))
    encoders = {
        uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(stored),
        uid.HTJ2KLossless: lambda: imagecodecs.htj2k_encode(stored),
        uid.JPEGLosslessSV1: lambda: imagecodecs.jpeg8_encode(stored, lossless=True, predictor=1, bitspersample=BITS),
    }
    return bytes(encoders[syntax]())


def notices_a_cut(decode: Decoder, frame: bytes, syntax: str) -> bool:
    end = b"" if syntax == uid.RLELossless else b"\xff\xd9"
    try:
        decode(frame[: len(frame) * 3 // 5] + end)
    except Exception:
        return True
    return False


def speeds(decode_by: dict[str, Decoder], frames: list[bytes]) -> dict[str, float]:
    """Frames a second of processor time, the decoders in turn."""
    times: dict[str, list[float]] = {name: [] for name in decode_by}
    for _ in range(ROUNDS):
        for name, decode in decode_by.items():
            start_s = time.process_time()
            for frame in frames:
                decode(frame)
            times[name].append(time.process_time() - start_s)
    return {name: len(frames) / statistics.median(values) for name, values in times.items()}


@pytest.mark.parametrize(
    "syntax",
    [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.JPEGLosslessSV1],
    ids=lambda syntax: syntax.keyword,
)
def test_the_decoder_in_use_is_the_fastest_that_notices_a_cut_frame(syntax, table):
    stored = (head_hu(FRAMES).astype(np.int32) - INTERCEPT).astype(np.uint16)
    frames = [encoded(plane, syntax) for plane in stored]
    decode_by = decoders(syntax)
    with one_core():
        speed = speeds(decode_by, frames)
    right = {
        name: np.array_equal(u2(decode(frames[0]).tobytes()), stored[0].ravel()) for name, decode in decode_by.items()
    }
    careful = {name: notices_a_cut(decode, frames[0], syntax) for name, decode in decode_by.items()}
    rows = [
        (name, f"{rate:,.0f}", "yes" if right[name] else "no", "refused" if careful[name] else "filled up")
        for name, rate in sorted(speed.items(), key=lambda pair: -pair[1])
    ]
    ratio = stored[0].nbytes * len(frames) / sum(map(len, frames))
    table(f"{syntax.name}: decoders, compressed {ratio:.1f} times", ("decoder", "frames/s", "right", "cut frame"), rows)
    assert right[OURS]
    # No decoder of JPEG notices it.
    rivals = [rate for name, rate in speed.items() if careful[name] or not any(careful.values())]
    assert speed[OURS] >= SLACK * max(rivals)


def test_what_inflates_deflated_files_fastest(table):
    data = (head_hu(FRAMES).astype(np.int32) - INTERCEPT).astype("<u2")
    frames = [zlib.compress(plane.tobytes(), 6, -15) for plane in data]
    found: dict[str, Decoder] = {"zlib": lambda frame: u2(zlib.decompressobj(-15).decompress(frame))}
    with contextlib.suppress(ImportError):
        isal = importlib.import_module("isal.isal_zlib")
        found["python-isal"] = lambda frame: u2(isal.decompressobj(-15).decompress(frame))
    found["imagecodecs, libdeflate"] = lambda frame: u2(imagecodecs.deflate_decode(frame, raw=True, out=data[0].nbytes))
    with one_core():
        speed = speeds(found, frames)
    rows = [(name, f"{rate:,.0f}") for name, rate in speed.items()]
    table("deflate: libraries", ("library", "frames/s"), rows)

"""What holds of any series: the order of files and numbers, the transfer syntax, places, neighbours, and the cost."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom import uid

from molre.dicom import read_study, scan
from molre.errors import Rejection
from molre.volume import Grid, resample

some = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def outcome(study):
    """All that reading a study gives, in a form that can be compared."""
    try:
        series = read_study(study)
    except Rejection as fault:
        return fault.code, fault.sentence
    stack = series.stack
    return stack.hu.tobytes(), stack.origins_mm.tobytes(), stack.pixel_mm, series.attributes, series.series_uid


# Order


def tilted(scan_, kit):
    return kit.replace(scan_, column=(0, 0.96, -0.28), travel=(0, 0, 1))


SERIES = {
    "clean": lambda kit: (kit.scan(),),
    "tilted": lambda kit: (tilted(kit.scan(), kit),),
    "missing": lambda kit: (kit.scan(heights_mm=(-60, -54, -48, -42, -30, -24, -18)),),
    "uneven": lambda kit: (kit.scan(heights_mm=(-60, -56, -52, -48, -46, -39, -32, -25)),),
    "repeated": lambda kit: (kit.scan(), kit.scan(count=1, heights_mm=(18.0,), changes={"SOPInstanceUID": "1.9"})),
    "with a localizer": lambda kit: (kit.scan(), kit.scan(count=2, shape=(60, 50), column=(0, 0, -1.0))),
    "two kernels": lambda kit: (kit.scan(), kit.scan(changes={"ConvolutionKernel": "BONE"}, intercept=-30)),
    "two equal series": lambda kit: (kit.scan(), kit.scan(series="1.2.3.2")),
    "no rescale": lambda kit: (kit.scan(changes={"RescaleSlope": None}),),
}


@pytest.mark.parametrize("made", SERIES.values(), ids=SERIES.keys())
def test_the_order_of_files_and_of_instance_numbers_changes_nothing(kit, tmp_path_factory, made):
    files = [(scan_.dataset(at), scan_.syntax) for scan_ in made(kit) for at in range(len(scan_.heights()))]

    def written(names, numbers):
        folder = tmp_path_factory.mktemp("order")
        for (data, syntax), name, number in zip(files, names, numbers, strict=True):
            data.InstanceNumber = number
            (folder / f"{name:04d}.dcm").write_bytes(kit.encoded(data, syntax))
        (study,) = scan(folder).studies
        return outcome(study)

    order = list(range(len(files)))
    expected = written(order, order)

    @settings(some, max_examples=4)
    @given(names=st.permutations(order), numbers=st.lists(st.integers(-9, 9), min_size=len(order), max_size=len(order)))
    def check(names, numbers):
        assert written(names, numbers) == expected

    check()


# Transfer syntaxes

SYNTAXES = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)


@some
@given(
    seed=st.integers(0, 2**32 - 1),
    layout=st.sampled_from([(12, False, -1024), (12, True, 0), (16, True, -24), (16, False, -8192), (14, True, -500)]),
    noise_hu=st.sampled_from([0, 1, 25]),
    slope=st.sampled_from([1, 1, 2, 0.5]),
)
def test_the_same_pixels_in_every_transfer_syntax_give_bit_equal_hu(
    kit, tmp_path_factory, seed, layout, noise_hu, slope
):
    bits, signed, intercept = layout
    random = np.random.default_rng(seed)
    scan_ = kit.scan(count=3, step_mm=30, bits_stored=bits, signed=signed, intercept=intercept)
    stored = []
    for index in range(3):
        hu = np.clip(scan_.hu(index) + random.normal(0, noise_hu, scan_.shape), -1023, 1020)
        stored.append(np.rint((hu - intercept) / slope).astype("<i2" if signed else "<u2"))
    got = {}
    for syntax in SYNTAXES:
        folder = tmp_path_factory.mktemp("syntax")
        for index, values in enumerate(stored):
            data = scan_.dataset(index)
            data.PixelData, data.RescaleSlope = values.tobytes(), str(slope)
            (folder / f"{index}.dcm").write_bytes(kit.encoded(data, syntax))
        got[syntax.name] = read_study(kit.study(folder)).stack.hu
    expected = np.rint(np.array(stored, float) * slope + intercept)
    assert {name: np.array_equal(hu, expected) for name, hu in got.items()} == dict.fromkeys(got, True)


# Places

GRID = Grid(name="test", shape=(12, 26, 26), spacing_mm=(9.0, 8.0, 8.0))


def turn(axis, degrees):
    """Rotation about an axis."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    one, other = [at for at in range(3) if at != axis]
    matrix = np.eye(3)
    matrix[one, one] = matrix[other, other] = cosine
    matrix[one, other], matrix[other, one] = -sine, sine
    return matrix


@some
@given(
    pitch=st.floats(-30, 30),
    roll=st.floats(-30, 30),
    yaw=st.floats(-180, 180),
    shear=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    flips=st.tuples(st.sampled_from([1.0, -1.0]), st.sampled_from([1.0, -1.0])),
    sides=st.sampled_from([(4.0, 4.0), (4.0, 2.5), (2.5, 5.0)]),
    uneven=st.booleans(),
)
def test_known_points_keep_their_place_in_every_axial_orientation(
    kit, tmp_path_factory, pitch, roll, yaw, shear, flips, sides, uneven
):
    turned = turn(0, pitch) @ turn(1, roll) @ turn(2, yaw)
    row, column, normal = flips[0] * turned[:, 0], flips[1] * turned[:, 1], turned[:, 2]
    steps = [6.0, 6, 8, 10, 10, 8] * 3 if uneven else [8.0] * 18
    scan_ = kit.scan(
        heights_mm=tuple(np.cumsum(steps) - sum(steps) / 2),
        row=tuple(row),
        column=tuple(column),
        travel=tuple(normal + shear[0] * turned[:, 0] + shear[1] * turned[:, 1]),
        pixel_mm=sides,
        shape=tuple(round(280 / side) for side in sides),
    )
    folder = tmp_path_factory.mktemp("places")
    kit.write(scan_, folder)
    volume = resample(read_study(kit.study(folder)).stack, GRID)
    z, y, x = np.indices(volume.hu.shape)
    points = (np.stack([x, y, z], -1) @ volume.affine[:3, :3].T + volume.affine[:3, 3]) * [-1, -1, 1]
    inside = np.linalg.norm(points / np.array([62.0, 78.0, 70.0]), axis=-1) < 0.7
    assert inside.sum() > 300
    assert np.abs(volume.hu - kit.head_hu(points))[inside].max() <= 1.6


# Neighbours

FAULTS = {
    "ENC_TRUNCATED": lambda data: data[:-50],
    "VAL_NO_RESCALE": lambda data: data.replace(b"\x28\x00\x53\x10DS", b"\x28\x00\x53\x11DS"),
    "GEO_SPACING_CONFLICT": lambda data: data.replace(b"\x28\x00\x30\x00DS", b"\x28\x00\x31\x00DS"),
    "GEO_NO_ORIENTATION": lambda data: data.replace(b"\x20\x00\x37\x00DS", b"\x20\x00\x38\x00DS"),
    "ENC_BAD_VALUE": lambda data: data.replace(b"5.000000\\4.000000", b"5.000000\\4.0000O0"),
    "VAL_MONOCHROME1": lambda data: data.replace(b"MONOCHROME2", b"MONOCHROME1"),
    "ENC_UNSUPPORTED_TS": lambda data: data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"),
    "VAL_DERIVED": lambda data: data.replace(b"PRIMARY\\AXIAL", b"PRIMARY\\MIP  "),
    "SER_NOT_CT": lambda data: data.replace(b"CS\2\0CT", b"CS\2\0MR"),
}


OF_EVERY_SLICE = frozenset({"VAL_DERIVED", "SER_NOT_CT", "GEO_SPACING_CONFLICT"})
"""What is another fault, or none, where one slice has it."""


@some
@given(codes=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=4), one_slice=st.booleans())
def test_a_fault_in_one_series_touches_no_other(kit, tmp_path_factory, codes, one_slice):
    folder = tmp_path_factory.mktemp("neighbours")
    # Its name puts it last among equals, so that all the others are tried before.
    kit.write(kit.scan(series="1.2.3.9"), folder / "good")
    alone = read_study(kit.study(folder))
    for number, code in enumerate(codes):
        for index, path in enumerate(kit.write(kit.scan(series=f"1.2.3.{number}"), folder / f"{number}")):
            if index == 3 or not one_slice or code in OF_EVERY_SLICE:
                path.write_bytes(FAULTS[code](path.read_bytes()))
    series = read_study(kit.study(folder))
    np.testing.assert_array_equal(series.stack.hu, alone.stack.hu)
    assert (series.series_uid, series.repairs) == (alone.series_uid, alone.repairs)
    assert series.attributes["passed_over"] == sorted(codes)


# Cost

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
COMMON_MIB = 48
"""What reading anything may take: interpreter, decoders' tables, a study's headers."""


def peak_mib():
    """Most memory this process has held since it was last reset, and what it holds now."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024, int(lines["VmRSS"].split()[0]) / 1024


def promise(tag, value, form=b"US"):
    """An edit that makes an element say another number."""

    def edited(data):
        at = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + form) + 8
        return data[:at] + value + data[at + len(value) :]

    return edited


ROWS, COLUMNS, FRAMES, PIXELS = 0x00280010, 0x00280011, 0x00280008, 0x7FE00010
TALL, WIDE = promise(ROWS, b"\0\x10"), promise(COLUMNS, b"\0\x10")
MANY = promise(FRAMES, b"999999", b"IS")
PROMISES = {
    "4096 x 4096": (TALL, WIDE),
    "65535 x 65535": (promise(ROWS, b"\xff\xff"), promise(COLUMNS, b"\xff\xff")),
    "a million frames": (MANY,),
    "all of it": (MANY, TALL, WIDE),
    "all of it, and a length of 4 GiB": (MANY, TALL, WIDE, promise(PIXELS, b"\xf0\xff\xff\xff", b"OW")),
}


def bounded(study, files_mib, seconds=5.0):
    """What becomes of a study within time and memory: a code, or nothing for a volume."""
    PEAK.write_text("5")
    before, start = peak_mib()[1], time.perf_counter()
    code = None
    try:
        read_study(study)
    except Rejection as fault:
        code = fault.code
    assert time.perf_counter() - start < seconds
    assert peak_mib()[0] - before < COMMON_MIB + 8 * files_mib
    return code


@pytest.fixture
def measured():
    """Skips where the kernel does not tell the peak of a process anew."""
    try:
        PEAK.write_text("5")
    except OSError:
        pytest.skip("the peak memory of a process cannot be reset here")


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("edits", PROMISES.values(), ids=PROMISES.keys())
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGLSLossless])
def test_a_header_that_promises_much_costs_what_is_there(kit, tmp_path, edits, syntax):
    if len(edits) == 4 and syntax != uid.ExplicitVRLittleEndian:
        pytest.skip("compressed pixels have no length to lie about")
    paths = kit.write(kit.scan(count=120, step_mm=1.2, syntax=syntax, changes={"NumberOfFrames": "000001"}), tmp_path)
    for path in paths:
        data = path.read_bytes()
        for edit in edits:
            data = edit(data)
        path.write_bytes(data)
    size_mib = sum(path.stat().st_size for path in paths) / 2**20
    assert bounded(kit.study(tmp_path), size_mib).startswith("ENC_")


@pytest.mark.usefixtures("measured")
def test_lengths_that_point_anywhere_cost_what_is_there(kit, tmp_path):
    """Every length of a header, one after another, says 2 GiB."""
    (path,) = kit.write(kit.scan(count=1), tmp_path)
    whole = path.read_bytes()
    end = whole.index(b"\xe0\x7f\x10\x00")
    for at in range(132, end, 2):
        damaged = bytearray(whole)
        damaged[at : at + 4] = b"\xf0\xff\xff\x7f"
        path.write_bytes(damaged)
        for study in scan(tmp_path).studies:
            # One slice is too few for a volume, whatever is read of it.
            assert bounded(study, len(whole) / 2**20, seconds=2.0)

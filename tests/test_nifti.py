"""A NIfTI file lands where its affine says, however it is stored, and takes no more than what is there."""

import gzip
import os
import shutil
import subprocess
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from molre.dicom import read_study, scan
from molre.errors import Rejection
from molre.nifti import MOST_BYTES, REFUSALS, read_nifti, slices_of
from molre.volume import GRIDS, resample

DIM, DATATYPE, VOX_OFFSET, SLOPE, QFORM, SFORM, MAGIC = 40, 70, 108, 112, 252, 254, 344
"""Places in a NIfTI-1 header, in bytes."""


def head(shape=(96, 110, 30)):
    """A head of 2 x 2 x 5 mm, stored as RAS, with a bleed on the patient's left, and its affine."""
    x, y, z = (np.arange(n) - (n - 1) / 2 for n in shape)
    inside = (x[:, None, None] * 2 / 75) ** 2 + (y[None, :, None] * 2 / 90) ** 2 + (z[None, None] * 5 / 68) ** 2 < 1
    hu = np.where(inside, 35, -1000).astype(np.int16)
    left = x < -15  # RAS: x grows to the right
    hu[np.ix_(left, np.abs(y) < 8, np.abs(z) < 2)] = 70
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[:3, 3] = [-2 * (shape[0] - 1) / 2, -2 * (shape[1] - 1) / 2, -5 * (shape[2] - 1) / 2]
    return nib.Nifti1Image(hu, affine)


def saved(image, folder, name="000000"):
    path = folder / name
    path.write_bytes(image if isinstance(image, bytes | bytearray) else image.to_bytes())
    return path


def edited(image, **places):
    """The file's bytes with some replaced: place_N=bytes."""
    raw = bytearray(image.to_bytes())
    for place, value in places.items():
        at = int(place.removeprefix("at_"))
        raw[at : at + len(value)] = value
    return raw


def stack_of(path):
    return read_nifti(path).stack


def test_left_stays_left(tmp_path):
    volume = resample(stack_of(saved(head(), tmp_path)), GRIDS["demo"])
    columns = np.flatnonzero((volume.hu == 70).any(axis=(0, 1)))
    assert len(columns)
    assert columns.min() > 56  # x grows to the patient's left


@pytest.mark.parametrize("axes", [("L", "P", "S"), ("R", "A", "I"), ("P", "S", "R"), ("S", "L", "A")])
def test_storage_order_changes_nothing(tmp_path, axes):
    plain = resample(stack_of(saved(head(), tmp_path, "a")), GRIDS["demo"])
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
    other = resample(stack_of(saved(head().as_reoriented(turn), tmp_path, "b")), GRIDS["demo"])
    np.testing.assert_array_equal(other.hu, plain.hu)
    np.testing.assert_allclose(other.affine, plain.affine, atol=1e-4)


def test_slope_and_intercept_and_nifti_2_are_read(tmp_path):
    image = head()
    plain = stack_of(saved(image, tmp_path, "a"))
    stored = nib.Nifti2Image((image.get_fdata() + 1024).astype(np.int16), image.affine)
    raw = bytearray(stored.to_bytes())
    # nibabel resets the scale when it writes, so it is set in the bytes: scl_slope and scl_inter of NIfTI-2.
    raw[176:184], raw[184:192] = np.float64(1).tobytes(), np.float64(-1024).tobytes()
    np.testing.assert_array_equal(stack_of(saved(raw, tmp_path, "b")).hu, plain.hu)
    raw = bytearray(nib.Nifti2Image((image.get_fdata() * 4 + 3).astype(np.int16), image.affine).to_bytes())
    raw[176:184], raw[184:192] = np.float64(0.25).tobytes(), np.float64(-0.5).tobytes()
    np.testing.assert_array_equal(stack_of(saved(raw, tmp_path, "c")).hu, np.rint(plain.hu + 0.25))


@pytest.mark.parametrize("kind", [">i2", "<f4", ">f8", "<i4"])
def test_every_kind_of_number_gives_the_same_hu(tmp_path, kind):
    image, kind = head(), np.dtype(kind)
    plain = stack_of(saved(image, tmp_path, "a")).hu
    header = nib.Nifti1Header(endianness=kind.byteorder.replace("=", "<"))
    header.set_data_dtype(kind)
    other = nib.Nifti1Image(np.asarray(image.dataobj).astype(kind), image.affine, header)
    hu = stack_of(saved(other, tmp_path, "b")).hu
    assert hu.dtype == np.int16
    assert hu.dtype.isnative
    np.testing.assert_array_equal(hu, plain)


def test_what_is_no_number_counts_as_padding(tmp_path):
    image = head()
    values = image.get_fdata().astype(np.float32)
    values[0, 0, 0], values[0, 0, 1], values[0, 0, 2] = np.nan, -3024, np.inf
    scan = read_nifti(saved(nib.Nifti1Image(values, image.affine), tmp_path))
    assert scan.stack.hu[2, 0, 0] == 3071
    assert scan.attributes["repairs"] == ["VAL_PADDING: 2 voxels of padding are set to -1024 HU"]
    assert resample(scan.stack, GRIDS["demo"]).hu.min() >= -1024


def test_a_plain_file_is_mapped_and_not_copied(tmp_path):
    scan = read_nifti(saved(head(), tmp_path))
    base = scan.stack.hu
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)


def test_a_sheared_file_is_a_tilted_scan(tmp_path):
    image = head()
    affine = image.affine.copy()
    affine[1, 2] = 5 * np.tan(np.radians(18.5))
    attributes = read_nifti(saved(nib.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path)).attributes
    assert abs(attributes["tilt_deg"]) == pytest.approx(18.5, abs=0.01)
    assert attributes["repairs"] == ["GEO_TILT: the shear of a gantry tilt of 18.5 degrees is undone"]
    assert (attributes["slice_count"], attributes["step_mm"], attributes["coverage_mm"]) == (30, 5.0, 145.0)


def test_a_gzip_is_the_same_as_what_it_holds(tmp_path):
    plain = read_nifti(saved(head(), tmp_path, "a"))
    packed = read_nifti(saved(gzip.compress(head().to_bytes()), tmp_path, "b"))
    np.testing.assert_array_equal(packed.stack.hu, plain.stack.hu)
    assert packed.attributes == plain.attributes


def test_what_dcm2niix_writes_lies_where_the_dicom_lies(head_ct_ge, tmp_path):
    converter = shutil.which("dcm2niix")
    if converter is None:
        pytest.skip("dcm2niix is not installed: pip install dcm2niix")
    subprocess.run([converter, "-z", "y", "-o", tmp_path, "-f", "ge", head_ct_ge], check=True, capture_output=True)
    converted = resample(stack_of(tmp_path / "ge_Tilt_Eq_1.nii.gz"), GRIDS["head-5mm"])
    ours = resample(read_study(scan(head_ct_ge).studies[0]).stack, GRIDS["head-5mm"])
    np.testing.assert_allclose(converted.affine, ours.affine, atol=1.0)  # mm: both look for the head's centre
    difference = np.abs(converted.hu.astype(int) - ours.hu)[ours.hu > 0]
    assert np.median(difference) < 8  # HU: one of them is interpolated twice


def refused(image, tmp_path):
    with pytest.raises(Rejection) as caught:
        read_nifti(saved(image, tmp_path))
    assert caught.value.code.startswith(("ENC_", "GEO_")) or caught.value.sentence == REFUSALS[caught.value.code]
    return caught.value.code


def int16(*values):
    return np.array(values, "<i2").tobytes()


def float32(*values):
    return np.array(values, "<f4").tobytes()


@pytest.mark.parametrize(
    ("places", "code"),
    [
        ({"at_344": b"ni1\0"}, "NIFTI_NOT_NIFTI"),
        ({"at_344": b"xyz\0"}, "NIFTI_NOT_NIFTI"),
        ({"at_40": int16(2, 96, 110 * 30)}, "NIFTI_NOT_3D"),
        ({"at_40": int16(4, 96, 110, 15, 2)}, "NIFTI_NOT_3D"),
        ({"at_40": int16(3, 96, 110, -30)}, "NIFTI_SIZE"),
        ({"at_40": int16(3, 96, 110, 2)}, "NIFTI_SIZE"),
        ({"at_40": int16(3, 32767, 32767, 32767)}, "NIFTI_SIZE"),
        ({"at_40": int16(3, 96, 110, 31)}, "NIFTI_DAMAGED"),
        ({"at_40": int16(3, 96, 110, 29)}, "NIFTI_TOO_LONG"),
        ({"at_70": int16(9999)}, "NIFTI_DAMAGED"),
        ({"at_70": int16(128, 24)}, "NIFTI_DATATYPE"),
        ({"at_108": float32(np.nan)}, "NIFTI_DAMAGED"),
        ({"at_108": float32(1e30)}, "NIFTI_DAMAGED"),
        ({"at_108": float32(0)}, "NIFTI_DAMAGED"),
        ({"at_112": float32(1, np.inf)}, "NIFTI_DAMAGED"),
        ({"at_112": float32(1, 1000)}, "NIFTI_NOT_HU"),
        ({"at_112": float32(1, -5000)}, "NIFTI_NOT_HU"),
        ({"at_252": int16(0, 0)}, "NIFTI_NO_ORIENTATION"),
        ({"at_280": float32(np.nan)}, "NIFTI_NO_ORIENTATION"),
        ({"at_280": float32(0, 0, 0)}, "NIFTI_NO_ORIENTATION"),
        ({"at_252": int16(1), "at_76": float32(1), "at_280": float32(-2)}, "NIFTI_NO_ORIENTATION"),
        ({"at_280": float32(2000)}, "NIFTI_SPACING"),
        ({"at_280": float32(2, 1)}, "GEO_BAD_ORIENTATION"),
    ],
)
def test_a_header_that_is_wrong_is_refused(tmp_path, places, code):
    assert refused(edited(head(), **places), tmp_path) == code


def test_a_header_is_edited_where_this_file_says(tmp_path):
    """Otherwise the test above would pass for other reasons."""
    header = head().header
    names = {"dim": DIM, "datatype": DATATYPE, "vox_offset": VOX_OFFSET, "scl_slope": SLOPE, "qform_code": QFORM}
    names |= {"sform_code": SFORM, "magic": MAGIC, "srow_x": 280, "pixdim": 76}
    assert {name: header.structarr.dtype.fields[name][1] for name in names} == names
    assert read_nifti(saved(edited(head(), at_40=int16(3, 96, 110, 30)), tmp_path)).attributes["slice_count"] == 30


def test_values_that_are_not_hu_are_refused(tmp_path):
    image = head()
    values = image.get_fdata()
    for wrong in (
        np.clip(values, 0, 255).astype(np.uint8),
        (values > 50).astype(np.uint8),
        np.full_like(values, -1000),
    ):
        assert refused(nib.Nifti1Image(wrong, image.affine), tmp_path) == "NIFTI_NOT_HU"


def test_what_is_no_whole_head_is_refused(tmp_path):
    image = head()
    values, affine = np.asarray(image.dataobj), image.affine
    narrow = read_nifti(saved(nib.Nifti1Image(values, affine @ np.diag([0.3, 0.3, 1, 1])), tmp_path))
    assert [line.partition(":")[0] for line in narrow.attributes["repairs"]] == ["GEO_FOV"]
    upside_down = nib.Nifti1Image(values[:, :, :18], affine @ np.diag([1, 1, 2, 1]))
    assert refused(upside_down, tmp_path) == "GEO_UPSIDE_DOWN"
    assert read_nifti(saved(nib.Nifti1Image(values[:, :, 12:], affine), tmp_path)).attributes["repairs"] == []


def test_several_volumes_in_one_file_are_refused_and_one_is_not(tmp_path):
    image = head()
    values = np.asarray(image.dataobj)
    assert refused(nib.Nifti1Image(np.stack([values, values], 3), image.affine), tmp_path) == "NIFTI_NOT_3D"
    one = stack_of(saved(nib.Nifti1Image(values[..., None], image.affine), tmp_path, "one"))
    np.testing.assert_array_equal(one.hu, stack_of(saved(image, tmp_path, "plain")).hu)


@pytest.mark.parametrize("kept", [1, 347, 400, 50_000, -1])
def test_a_file_cut_short_is_refused(tmp_path, kept):
    raw = head().to_bytes()
    assert refused(raw[:kept], tmp_path) in ("NIFTI_DAMAGED", "NIFTI_NOT_NIFTI")
    packed = gzip.compress(raw)
    assert refused(packed[: min(kept, len(packed) // 2)], tmp_path) in ("NIFTI_DAMAGED", "NIFTI_NOT_NIFTI")


def test_a_gzip_with_a_wrong_checksum_is_refused(tmp_path):
    packed = bytearray(gzip.compress(head().to_bytes()))
    packed[-8] ^= 1
    assert refused(packed, tmp_path) == "NIFTI_DAMAGED"


def test_files_that_are_no_files_are_refused(tmp_path):
    assert refused(b"", tmp_path) == "ENC_EMPTY"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Rejection, match="ENC_UNREADABLE"):
        read_nifti(tmp_path / "pipe")
    with pytest.raises(Rejection, match="ENC_UNREADABLE"):
        read_nifti(tmp_path / "nothing")


def peak_bytes(image, tmp_path):
    path = saved(image, tmp_path)
    tracemalloc.start()
    with pytest.raises(Rejection) as caught:
        read_nifti(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return caught.value.code, peak


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path):
    promise = edited(head((8, 8, 8)), at_40=int16(3, 512, 512, 2000))
    assert MOST_BYTES > 512 * 512 * 2000 * 2
    for raw in (promise, gzip.compress(promise)):
        code, peak = peak_bytes(raw, tmp_path)
        assert code == "NIFTI_DAMAGED"
        assert peak < 2**23


def test_a_gzip_bomb_is_inflated_no_further_than_its_header_justifies(tmp_path):
    bomb = gzip.compress(bytes(head((8, 8, 8)).to_bytes()) + bytes(2**28))
    assert len(bomb) < 2**19
    code, peak = peak_bytes(bomb, tmp_path)
    assert code == "NIFTI_TOO_LONG"
    assert peak < 2**23


def test_a_header_that_justifies_too_much_is_refused_before_inflating(tmp_path):
    bomb = gzip.compress(bytes(edited(head((8, 8, 8)), at_40=int16(3, 1024, 1024, 600))) + bytes(2**27))
    code, peak = peak_bytes(bomb, tmp_path)
    assert code == "NIFTI_SIZE"
    assert peak < 2**23


def test_whatever_stands_in_a_header_it_is_read_or_refused(tmp_path):
    generator = np.random.default_rng(11)
    values = np.asarray(head().dataobj)[::3, ::3, ::5]
    whole = np.frombuffer(nib.Nifti1Image(values, np.diag([6.0, 6.0, 15.0, 1.0])).to_bytes(), np.uint8)
    codes = set()
    for _ in range(1500):
        raw = whole.copy()
        places = generator.integers(0, 352, generator.integers(1, 6))
        raw[places] = generator.choice([0, 1, 127, 128, 255, generator.integers(256)], len(places))
        cut = int(generator.integers(0, len(raw))) if generator.random() < 0.1 else len(raw)
        data = raw[:cut].tobytes()
        path = saved(gzip.compress(data, 1) if generator.random() < 0.3 else data, tmp_path, "mutant")
        try:
            resample(read_nifti(path).stack, GRIDS["demo"])
            codes.add("read")
        except Rejection as rejection:
            codes.add(rejection.code)
    assert len(codes) >= 8
    assert "read" in codes


def test_nothing_of_a_header_is_logged(tmp_path, caplog, capfd):
    raw = edited(head(), at_148=b"DOE^JANE", at_70=int16(9999), at_40=int16(9, 9, 9, 9))
    refused(raw, tmp_path)
    assert not caplog.text + "".join(capfd.readouterr())


def test_slices_are_counted_from_the_first_bytes():
    raw = head().to_bytes()
    assert slices_of(raw[:348]) == 30
    assert slices_of(gzip.compress(raw)[:4000]) == 30
    assert slices_of(raw[:200]) is None

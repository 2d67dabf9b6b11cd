"""A NIfTI file lands where its affine says, however it is stored."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from molre.errors import Rejection
from molre.serving.limits import Limits, RequestError
from molre.serving.nifti import read_nifti
from molre.serving.study import read
from molre.volume import GRIDS, resample


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
    path.write_bytes(image.to_bytes())
    return path


def test_left_stays_left(tmp_path):
    volume = resample(read_nifti(saved(head(), tmp_path)), GRIDS["demo"])
    columns = np.flatnonzero((volume.hu == 70).any(axis=(0, 1)))
    assert len(columns)
    assert columns.min() > 56  # x grows to the patient's left


@pytest.mark.parametrize("axes", [("L", "P", "S"), ("R", "A", "I"), ("P", "S", "R"), ("S", "L", "A")])
def test_storage_order_changes_nothing(tmp_path, axes):
    plain = resample(read_nifti(saved(head(), tmp_path, "a")), GRIDS["demo"])
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
    other = resample(read_nifti(saved(head().as_reoriented(turn), tmp_path, "b")), GRIDS["demo"])
    np.testing.assert_array_equal(other.hu, plain.hu)
    np.testing.assert_allclose(other.affine, plain.affine, atol=1e-4)


def test_slope_and_intercept_and_nifti_2_are_read(tmp_path):
    image = head()
    stored = nib.Nifti2Image(image.get_fdata() + 1024, image.affine)
    stored.set_data_dtype(np.int16)
    plain = read_nifti(saved(image, tmp_path, "a"))
    stored = nib.Nifti2Image((image.get_fdata() + 1024).astype(np.int16), image.affine)
    stored.header.set_slope_inter(1, -1024)
    path = tmp_path / "b.nii"
    raw = bytearray(stored.to_bytes())
    # nibabel resets the scale when it writes, so it is set in the bytes: scl_slope and scl_inter of NIfTI-2.
    raw[176:184], raw[184:192] = np.float64(1).tobytes(), np.float64(-1024).tobytes()
    path.write_bytes(raw)
    np.testing.assert_array_equal(read_nifti(path).hu, plain.hu)


def refused(image, tmp_path):
    with pytest.raises(Rejection) as caught:
        read_nifti(saved(image, tmp_path))
    return caught.value.code


def test_values_that_are_not_hu_are_refused(tmp_path):
    image = head()
    assert (
        refused(nib.Nifti1Image(np.clip(image.get_fdata(), 0, 255).astype(np.uint8), image.affine), tmp_path)
        == "NIFTI_NOT_HU"
    )


def test_a_file_that_does_not_say_which_side_is_left_is_refused(tmp_path):
    image = head()
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    assert refused(image, tmp_path) == "NIFTI_NO_ORIENTATION"


def test_several_volumes_in_one_file_are_refused_and_one_is_not(tmp_path):
    image = head()
    values = np.asarray(image.dataobj)
    assert refused(nib.Nifti1Image(np.stack([values, values], 3), image.affine), tmp_path) == "NIFTI_NOT_3D"
    (tmp_path / "one").mkdir()
    one = read_nifti(saved(nib.Nifti1Image(values[..., None], image.affine), tmp_path / "one"))
    np.testing.assert_array_equal(one.hu, read_nifti(saved(image, tmp_path, "plain")).hu)


def test_a_file_cut_short_is_refused(tmp_path):
    path = saved(head(), tmp_path)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(Rejection) as caught:
        read_nifti(path)
    assert caught.value.code == "NIFTI_DAMAGED"


def test_gzip_is_seen_by_content_and_other_files_beside_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    packed = tmp_path / "in" / "000000"
    packed.write_bytes(gzip.compress(head().to_bytes()))
    (tmp_path / "one").mkdir()
    study = read([packed], tmp_path / "one", GRIDS["demo"], Limits())
    assert study.facts["format"] == "nifti"
    assert study.facts["slices"] == 30
    other = tmp_path / "in" / "000001"
    other.write_bytes(b"text")
    (tmp_path / "two").mkdir()
    with pytest.raises(RequestError, match="alone"):
        read([packed, other], tmp_path / "two", GRIDS["demo"], Limits())

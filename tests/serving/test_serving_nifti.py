"""A NIfTI file in an upload is told from its content, and stands alone."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from molre.serving.limits import Limits, RequestError
from molre.serving.study import read
from molre.volume import GRIDS


def head():
    """An ellipsoid of 2 x 2 x 5 mm."""
    x, y, z = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in (96, 110, 30)), indexing="ij")
    hu = np.where(x**2 + y**2 + z**2 < 1, 35, -1000).astype(np.int16)
    return nib.Nifti1Image(hu, np.diag([2.0, 2.0, 5.0, 1.0]))


def test_gzip_is_seen_by_content_and_other_files_beside_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    packed = tmp_path / "in" / "000000"
    packed.write_bytes(gzip.compress(head().to_bytes()))
    (tmp_path / "one").mkdir()
    study = read([packed], tmp_path / "one", GRIDS["demo"], Limits())
    assert study.facts["format"] == "nifti"
    assert (study.facts["slices"], study.facts["repairs"]) == (30, [])
    other = tmp_path / "in" / "000001"
    other.write_bytes(b"text")
    (tmp_path / "two").mkdir()
    with pytest.raises(RequestError, match="alone"):
        read([packed, other], tmp_path / "two", GRIDS["demo"], Limits())

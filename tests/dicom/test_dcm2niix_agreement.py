"""A real tilted, unevenly spaced head against dcm2niix, carried to our voxels by scipy and the two affines alone."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from molre.dicom import read_study, scan
from molre.volume import GRIDS, resample

dcm2niix = pytest.importorskip("dcm2niix", reason="dcm2niix is not installed")


@pytest.fixture(scope="module")
def ge_folder(real_data) -> Path:
    folder = real_data / "head_ct_ge"
    if not folder.exists():
        pytest.skip("the tilted head scan is not on this machine")
    return folder


@pytest.fixture(scope="module")
def reference(ge_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("dcm2niix")
    subprocess.run([dcm2niix.bin, "-z", "n", "-o", out, ge_folder], check=True, capture_output=True, timeout=120)
    return nibabel.load(next(out.glob("*_Tilt_Eq_1.nii")))


@pytest.fixture(scope="module")
def series(ge_folder):
    (study,) = scan(ge_folder).studies
    return read_study(study)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.name)
def test_same_head_at_the_same_place(grid, series, reference):
    volume = resample(series.stack, grid)
    # Every other row and column is enough, and scipy takes its time.
    z, y, x = np.indices(volume.hu.shape)[:, :, ::2, ::2]
    hu = volume.hu[:, ::2, ::2]
    to_reference = np.linalg.inv(reference.affine) @ volume.affine
    at = to_reference[:3, :3] @ np.stack([x, y, z]).reshape(3, -1) + to_reference[:3, 3:]
    voxels = np.asarray(reference.dataobj, np.float32)
    theirs = map_coordinates(voxels, at, order=1, cval=-1024).reshape(hu.shape)
    both = (theirs > -200) & (hu > -200)
    difference = float(np.median(np.abs(theirs - hu)[both]))
    correlation = float(np.corrcoef(theirs[both], hu[both])[0, 1])
    print(f"{grid.name}: median |d| {difference:.2f} HU, correlation {correlation:.4f}", file=sys.stderr)
    assert 4 * both.sum() * np.prod(grid.spacing_mm) > 1.5e6
    assert difference <= 4
    assert correlation >= 0.98


def test_attributes_tell_what_was_undone(series):
    assert series.attributes["tilt_deg"] == pytest.approx(18.5, abs=0.05)
    assert series.attributes["slice_count"] == 28
    assert series.attributes["kernel"] == "STD+"
    assert [line.split(":")[0] for line in series.repairs] == ["GEO_TILT", "GEO_IRREGULAR_STEP", "VAL_PADDING"]
    assert series.stack.hu.min() == -1024

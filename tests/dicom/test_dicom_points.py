"""From files to the grid: points of the patient keep their place through every way of writing slices."""

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from molre.dicom import read_study
from molre.volume import Grid, resample

GRID = Grid(name="test", shape=(10, 24, 22), spacing_mm=(9.0, 8.0, 7.0))
HEAD_MM = np.array([62.0, 78.0, 70.0])


@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    tilt_deg=st.floats(-25, 25),
    flips=st.tuples(st.sampled_from([1.0, -1.0]), st.sampled_from([1.0, -1.0])),
    swap=st.booleans(),
    wide=st.booleans(),
    feet_first=st.booleans(),
)
def test_known_points_keep_their_place(kit, tmp_path_factory, tilt_deg, flips, swap, wide, feet_first):
    sine, cosine = np.sin(np.radians(tilt_deg)), np.cos(np.radians(tilt_deg))
    row = tuple(flips[0] * np.array([1.0, 0, 0]))
    column = tuple(flips[1] * np.array([0, cosine, -sine]))
    scan_ = kit.scan(
        heights_mm=tuple(np.cumsum([6, 6, 6, 9, 9, 12, 12, 12, 9, 9, 6, 6, 6, 6.0]) - 60),
        row=column if swap else row,
        column=row if swap else column,
        travel=(0, 0, 1),
        pixel_mm=(3.0, 4.5) if wide else (4.5, 3.0),
        shape=(72, 60) if wide else (60, 72),
        changes={"PatientPosition": "FFS" if feet_first else "HFS"},
    )
    folder = tmp_path_factory.mktemp("points")
    kit.write(scan_, folder)
    series = read_study(kit.study(folder))
    volume = resample(series.stack, GRID)
    z, y, x = np.indices(volume.hu.shape)
    points = (np.stack([x, y, z], -1) @ volume.affine[:3, :3].T + volume.affine[:3, 3]) * [-1, -1, 1]
    inside = np.linalg.norm(points / HEAD_MM, axis=-1) < 0.72
    assert inside.sum() > 300
    assert np.abs(volume.hu - kit.head_hu(points))[inside].max() <= 1.5
    assert abs(series.attributes["tilt_deg"] - tilt_deg) < 0.1

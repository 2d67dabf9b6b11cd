"""A stack on a grid: points keep their place, whatever the way they were scanned."""

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from molre.errors import Rejection
from molre.resampling import line_weights
from molre.volume import AIR_HU, GRIDS, Grid, Stack, resample

HEAD_MM = np.array([62.0, 78.0, 70.0])
COARSE = Grid(name="test", shape=(12, 26, 24), spacing_mm=(8.0, 7.0, 6.0))


def ramp(points_mm):
    """Linear, so that linear interpolation and averages over symmetric widths are exact."""
    return 60 + points_mm @ np.array([0.5, 0.8, -0.6])


def head(points_mm):
    return np.where(np.linalg.norm(points_mm / HEAD_MM, axis=-1) < 1, ramp(points_mm), -1000.0)


def stack_of(field, row, column, travel, heights_mm, pixel_mm=(2.5, 2.0), shape=(90, 100), centre=(0, 0, 0)):
    """The field seen by slices whose middles move along ``travel``, at ``heights_mm`` along the normal."""
    normal = np.cross(row, column)
    travel = np.asarray(travel) / (np.asarray(travel) @ normal)
    corner = centre - row * pixel_mm[1] * (shape[1] - 1) / 2 - column * pixel_mm[0] * (shape[0] - 1) / 2
    origins = corner + np.asarray(heights_mm)[:, None] * travel
    r, c = np.indices(shape)[..., None]
    points = origins[:, None, None] + r * pixel_mm[0] * column + c * pixel_mm[1] * row
    return Stack(
        hu=field(points).astype(np.float32),
        origins_mm=origins,
        row_direction=row,
        column_direction=column,
        pixel_mm=pixel_mm,
    )


def places_lps(volume):
    z, y, x = np.indices(volume.hu.shape)
    ras = np.stack([x, y, z], -1) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return ras * [-1, -1, 1]


def assert_in_place(volume, depth=0.8):
    """Voxels deep inside the head show the head's value at their place in the patient, by the affine alone."""
    points = places_lps(volume)
    inside = np.linalg.norm(points / HEAD_MM, axis=-1) < depth
    assert inside.sum() > 200
    assert np.abs(volume.hu - ramp(points))[inside].max() <= 1.0


directions = st.fixed_dictionaries(
    {
        "turn": st.tuples(st.floats(-35, 35), st.floats(-12, 12), st.floats(-40, 40)),
        "flips": st.tuples(st.booleans(), st.booleans(), st.booleans()),
        "swap": st.booleans(),
        "tilt_deg": st.floats(-25, 25),
        "seed": st.integers(0, 99),
    }
)


@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate])
@given(directions)
def test_points_keep_their_place_through_any_orientation_tilt_and_uneven_steps(how):
    turn = Rotation.from_euler("xyz", how["turn"], degrees=True).as_matrix()
    row, column = turn[:, 0], turn[:, 1]
    row, column = (-row if how["flips"][0] else row), (-column if how["flips"][1] else column)
    if how["swap"]:
        row, column = column, row
    normal = np.cross(row, column)
    normal *= np.sign(normal[2])
    tilt = np.radians(how["tilt_deg"])
    travel = normal * np.cos(tilt) + column * np.sin(tilt)
    if np.cross(row, column)[2] < 0:
        travel = -travel
    rng = np.random.default_rng(how["seed"])
    heights = np.cumsum(rng.uniform(2, 7, 36))
    heights -= heights.mean()
    stack = stack_of(head, row, column, travel, heights, shape=(110, 120))
    assert_in_place(resample(stack, COARSE), depth=0.75)


@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.permutations(range(20)))
def test_the_order_of_slices_changes_nothing(order):
    stack = stack_of(head, np.eye(3)[0], np.eye(3)[1], [0, 0.3, 1], np.arange(20) * 7.0 - 66)
    other = Stack(
        hu=stack.hu[order],
        origins_mm=stack.origins_mm[order],
        row_direction=stack.row_direction,
        column_direction=stack.column_direction,
        pixel_mm=stack.pixel_mm,
    )
    first, second = resample(stack, COARSE), resample(other, COARSE)
    np.testing.assert_array_equal(first.hu, second.hu)
    np.testing.assert_array_equal(first.affine, second.affine)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.name)
def test_volume_has_the_grid_shape_spacing_and_convention(grid):
    stack = stack_of(head, np.eye(3)[0], -np.eye(3)[1], [0, 0, 1], np.arange(28)[::-1] * 5.0 - 70)
    volume = resample(stack, grid)
    assert volume.hu.shape == grid.shape
    np.testing.assert_allclose(volume.spacing_mm, grid.spacing_mm)
    signs = np.sign(np.diag(volume.affine)[:3])
    np.testing.assert_array_equal(signs, [-1, -1, 1])
    assert_in_place(volume)


def test_head_off_centre_is_brought_to_the_middle_and_the_head_holder_is_not():
    away = np.array([30.0, -25.0, 0])

    def field(points):
        holder = (np.abs(points[..., 1] - 82) < 2) & (np.abs(points[..., 0]) < 95)
        return np.where(holder, 200.0, head(points - away))

    volume = resample(stack_of(field, *np.eye(3), np.arange(30) * 5.0 - 72, shape=(96, 130)), GRIDS["demo"])
    centre = places_lps(volume).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(centre[:2], away[:2], atol=2.5)


def test_a_scan_longer_than_the_grid_ends_just_above_the_vertex():
    heights = np.arange(60) * 5.0 - 200
    volume = resample(stack_of(head, *np.eye(3), heights), GRIDS["demo"])
    top = places_lps(volume)[-1, 0, 0, 2] + 3
    assert HEAD_MM[2] <= top <= HEAD_MM[2] + 10


def test_a_short_scan_lies_in_the_middle_and_the_rest_is_air():
    volume = resample(stack_of(head, *np.eye(3), np.arange(5) * 5.0), GRIDS["demo"])
    filled = np.flatnonzero((volume.hu > AIR_HU).any(axis=(1, 2)))
    assert abs(filled.mean() - 11.5) <= 0.5
    assert (volume.hu[: filled[0]] == AIR_HU).all()
    assert (volume.hu[filled[-1] + 1 :] == AIR_HU).all()


def test_noise_falls_where_the_grid_is_coarser_than_the_scan():
    rng = np.random.default_rng(0)

    def noisy(points):
        return head(points) + rng.normal(0, 20, points.shape[:-1])

    stack = stack_of(noisy, *np.eye(3), np.arange(140) * 1.0 - 70, pixel_mm=(1.0, 1.0), shape=(180, 150))
    volume = resample(stack, GRIDS["demo"])
    points = places_lps(volume)
    error = (volume.hu - ramp(points))[np.linalg.norm(points / HEAD_MM, axis=-1) < 0.7]
    # 6 slices of 2 x 2 pixels make a voxel: a factor near 5.
    assert error.std() < 6


def test_weights_sum_to_one_inside_and_to_nothing_outside():
    source = np.array([0.0, 4.0, 8.0, 9.1, 16.0, 23.0])
    target = np.arange(-20.0, 45.0, 2.5)
    total = line_weights(source, target, 2.5).sum(axis=1)
    inside = (target > 0) & (target < 23)
    np.testing.assert_allclose(total[inside], 1, atol=1e-6)
    assert (total[(target < -3) | (target > 27)] == 0).all()


def test_nifti_affine_makes_the_same_volume_as_the_slices():
    stack = stack_of(head, *np.eye(3), np.arange(30) * 5.0 - 72)
    affine = np.diag([-2.0, -2.5, 5.0, 1.0])
    affine[:3, 3] = stack.origins_mm[0] * [-1, -1, 1]
    np.testing.assert_array_equal(resample(Stack.of_array(stack.hu, affine), COARSE).hu, resample(stack, COARSE).hu)


def test_padding_and_gaps_in_float_voxels_are_air_and_do_not_bleed():
    stack = stack_of(head, *np.eye(3), np.arange(30) * 5.0 - 72)
    clean = resample(stack, COARSE)
    spoilt = stack.hu.copy()
    spoilt[spoilt <= -1000] = -1024
    expected = resample(dataclasses.replace(stack, hu=spoilt), COARSE)
    spoilt[spoilt <= -1000] = np.nan
    spoilt[:, :3] = -3024
    got = resample(dataclasses.replace(stack, hu=spoilt), COARSE)
    np.testing.assert_array_equal(got.hu, expected.hu)
    assert clean.hu.shape == got.hu.shape


@pytest.mark.parametrize(
    ("code", "row", "column", "heights"),
    [
        ("GEO_NOT_AXIAL", [1.0, 0, 0], [0, 0, -1.0], [0, 5, 10]),
        ("GEO_NOT_AXIAL", [0, 1.0, 0], [0, 0, -1.0], [0, 5, 10]),
        ("GEO_TOO_FEW_SLICES", [1.0, 0, 0], [0, 1.0, 0], [0]),
        ("GEO_DUP_POSITION", [1.0, 0, 0], [0, 1.0, 0], [0, 5, 5]),
    ],
)
def test_what_cannot_be_a_volume_is_refused(code, row, column, heights):
    row, column = np.array(row), np.array(column)
    with pytest.raises(Rejection) as refused:
        resample(stack_of(head, row, column, np.cross(row, column), heights), COARSE)
    assert refused.value.code == code


def test_a_thick_slice_scan_takes_less_than_a_second_of_one_core():
    stack = stack_of(head, *np.eye(3), np.arange(32) * 5.0 - 80, pixel_mm=(0.45, 0.45), shape=(512, 512))
    started = time.process_time()
    resample(stack, GRIDS["head-5mm"])
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("step_mm", [0.2, 0.5])
def test_a_scan_thinner_than_a_step_of_the_grid_is_refused(step_mm):
    hu = np.full((6, 40, 40), 40, np.int16)
    stack = Stack.of_array(hu, np.diag([-5.0, -5.0, step_mm, 1.0]))
    with pytest.raises(Rejection, match="GEO_TOO_FEW_SLICES"):
        resample(stack, GRIDS["demo"])

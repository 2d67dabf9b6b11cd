"""Tissue moves as far as it is told, without folds, and the skull stays where it is."""

import numpy as np
import pytest

from molre.phantom.body import LEFT, RIGHT, draw_body
from molre.phantom.displacement import SEPTUM_MM, displace, settle
from molre.phantom.lookup import lookup
from molre.phantom.motion import Layer, depth_in
from molre.phantom.vault import polar, vault_mm

STEP_MM = 2.5
CRESCENT = Layer(
    towards=(1, -0.2, 0.4), reach_rad=(1.3, 1.2, 1.0, 0.9), thickness_mm=15.0, side=1, ripple=(0.1, 3.0, 1.0)
)


@pytest.fixture(scope="module")
def grid():
    axes = [np.arange(-70, 71, STEP_MM), np.arange(-86, 90, STEP_MM), np.arange(-55, 80, STEP_MM)]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def a_body(**moves):
    body = draw_body(np.random.default_rng(3), 60.0)
    for centre, radius, share in moves.get("pushes", ()):
        body.push(centre, radius, share)
    for slide in moves.get("slides", ()):
        body.slide(*slide)
    for layer in moves.get("layers", ()):
        body.press(layer)
    body.shift_mm = moves.get("shift_mm", 0.0)
    return body


MOVES = {
    "mass": {"pushes": [((28, 0, 10), 20.0, 0.6), ((-40, -30, 20), 12.0, 0.8)]},
    "scar": {"pushes": [((40, 20, 20), 14.0, -1.0)]},
    "crescent": {"layers": [CRESCENT]},
    "shift": {"shift_mm": -14.0},
    "uncus": {"slides": [((17.0, -6.0, -18.0), (-11.0, 4.0, -2.0), 9.5)]},
    "all": {"pushes": [((28, 0, 10), 20.0, 0.6)], "layers": [CRESCENT], "shift_mm": -12.0,
            "slides": [((17, -6, -18), (-9, 4, -2), 9.5)]},
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_nothing_folds(grid, name):
    points = grid.reshape(3, -1)
    inside = lookup(tuple(points))["skull"] > 0
    source = displace(points, a_body(**MOVES[name])).reshape(grid.shape).astype(float)
    jacobian = np.stack([np.stack(np.gradient(each, STEP_MM)) for each in source])
    volume = np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).reshape(-1)
    assert volume[inside].min() > 0


@pytest.mark.parametrize("claimed", [7.0, -11.0])
@pytest.mark.parametrize("name", ["shift", "mass", "crescent"])
def test_the_septum_lies_where_the_shift_says_whatever_else_pushes_it(claimed, name):
    body = a_body(**MOVES[name])
    body.shift_mm = claimed
    settle(body)
    assert body.shift_mm == claimed
    x = np.linspace(-24, 24, 481, dtype=np.float32)
    line = np.stack([x, np.full_like(x, SEPTUM_MM[1]), np.full_like(x, SEPTUM_MM[2])])
    moved = x[np.argmin(np.abs(displace(line, body)[0]))] * body.scale[0]
    assert moved == pytest.approx(claimed, abs=0.7)


@pytest.mark.parametrize("name", ["mass", "shift", "crescent", "uncus"])
def test_the_far_side_stays_at_the_skull(name):
    far = np.array([[-68.0, -60.0, 0.0], [0.0, 40.0, 84.0], [10.0, 10.0, 20.0]], np.float32)
    body = a_body(**MOVES[name])
    assert np.abs(displace(far, body) - far).max() < 0.5


def test_brain_recedes_from_the_vault_by_the_thickness_of_the_layer():
    unit = np.array(CRESCENT.towards, np.float32)[:, None] / np.float32(np.linalg.norm(CRESCENT.towards))
    vault = vault_mm(unit)
    thick = CRESCENT.thickness(unit, vault)
    centre = np.zeros((3, 1), np.float32) + np.array([[0.0], [4.0], [2.0]], np.float32)
    edge = centre + unit * (vault - thick)
    moved = displace(edge, a_body(layers=[CRESCENT]))
    assert polar(moved)[1] == pytest.approx(vault, abs=0.3)
    assert depth_in(CRESCENT, centre + unit * (vault - 1)) == pytest.approx(thick - 1, abs=0.3)


def test_a_mass_and_a_shift_follow_the_rule_of_five_and_seven_millimetres():
    for mm, claims in ((4.0, set()), (6.0, {"midline_shift", "mass_effect"}),
                       (9.0, {"midline_shift", "mass_effect", "subfalcine_herniation"})):  # fmt: skip
        body = a_body()
        body.shift(mm, LEFT)
        settle(body)
        assert body.claims == claims
        assert body.shift_mm == -mm
    body = a_body()
    body.shift(6.0, RIGHT)
    assert body.shift_mm == 6.0


def test_nothing_is_displaced_in_a_healthy_head(grid):
    points = grid.reshape(3, -1)
    assert np.array_equal(displace(points, a_body()), points)

"""Skull, face and scalp of a normal head measure what the literature says, and differ between people."""

from functools import cache

import numpy as np
import pytest

from molre.phantom.body import draw_body
from molre.phantom.cranium import draw_cranium
from molre.phantom.geometry import Geometry
from molre.phantom.head import Head
from molre.phantom.normal import fill
from molre.phantom.pose import draw_pose
from molre.phantom.standard.skull import thickness_mm
from molre.phantom.template import directions
from molre.phantom.tissue import T

PIXELS, FIELD_MM = 128, 232.0
SIDES = {"left": 1, "right": -1}


@cache
def head(seed=1, age_years=45.0):
    rng = np.random.default_rng(seed)
    body = draw_body(rng, age_years)
    heights = np.arange(-70.0, 92, 4)
    half = FIELD_MM / PIXELS * (PIXELS - 1) / 2
    positions = np.stack([np.full(len(heights), -half), np.full(len(heights), -half), heights], axis=1)
    thickness = np.full(len(heights), 4.0)
    geometry = Geometry(
        tilt_deg=0.0, positions_mm=positions, thickness_mm=thickness, step_mm=thickness, matrix_px=PIXELS,
        pixel_mm=FIELD_MM / PIXELS, fine=2,
    )  # fmt: skip
    drawn = Head(geometry, draw_pose(rng, body, 0.0), body)
    fill(drawn)
    return drawn


def vault(drawn):
    thick = drawn.body.skull_mm * (1 + drawn.body.bone[drawn.direction])
    return drawn.bone & (drawn.z > 5) & (drawn.inner < 0), -drawn.inner / thick, thick


def thickness_towards(*towards):
    unit = directions()
    near = np.argmax(np.array(towards) @ unit / np.linalg.norm(towards))
    return float(thickness_mm(unit)[near])


def test_the_vault_is_thin_at_the_temple_and_thick_in_front_and_behind():
    temple, front, back = (thickness_towards(*to) for to in ((1, -0.1, -0.1), (0.2, -1, 0.3), (0.1, 1, 0.3)))
    protuberance, floor = thickness_towards(0.001, 1, -0.27), thickness_towards(0.4, 0.5, -0.8)
    assert 2 < temple < 4
    assert 5.5 < front < 9
    assert 5.5 < back < 9.5
    assert protuberance > back + 2
    assert 1 < floor < 3.5


def test_the_tables_are_compact_and_the_diploe_is_not():
    drawn = head()
    where, layer, thick = vault(drawn)
    thick_enough = where & (thick > 6)
    tables = drawn.hu[thick_enough & ((np.abs(layer - 0.12) < 0.04) | (np.abs(layer - 0.88) < 0.04))]
    diploe = drawn.hu[thick_enough & (np.abs(layer - 0.5) < 0.08)]
    assert 1000 < np.median(tables) < 1900
    assert 300 < np.median(diploe) < 700
    assert diploe.std() > 60


@pytest.mark.parametrize(
    ("tissue", "low", "high"), [("fat", -115, -75), ("muscle", 35, 65), ("air_space", -1000, -850), ("eye", 0, 50)]
)
def test_soft_tissue_and_air_measure_what_the_literature_says(tissue, low, high):
    drawn = head()
    assert low <= np.median(drawn.hu[(drawn.tissue == T[tissue]) & (drawn.inner < -2)]) <= high


@pytest.mark.parametrize("name", ["maxillary", "ethmoid", "sphenoid", "nasal", "ear_air", "mastoid_air"])
@pytest.mark.parametrize("side", SIDES)
def test_spaces_of_both_sides_hold_air(name, side):
    drawn = head()
    where = drawn.at(name) & (drawn.x * SIDES[side] > 0)
    assert where.sum() > 20
    assert np.median(drawn.hu[where]) < -400


@pytest.mark.parametrize(
    "name", ["zygoma", "nasal_bone", "mandible", "vertebra", "orbital_wall", "petrous", "face_bone"]
)
def test_named_bones_are_bone(name):
    drawn = head()
    where = drawn.at(name) & drawn.bone
    assert where.sum() > 20
    assert np.median(drawn.hu[where]) > 300
    assert (drawn.inner[where] < 3).all()


def test_orbits_hold_globe_lens_muscle_and_fat():
    drawn = head()
    volume_ml = np.prod((FIELD_MM / PIXELS, FIELD_MM / PIXELS, 2.0)) / 1000
    for sign in SIDES.values():
        side = drawn.x * sign > 0
        globe = drawn.at("sclera", "vitreous", "lens") & side
        assert 5 < globe.sum() * volume_ml < 9
        assert (drawn.at("orbit_soft") & side).sum() > 30
        assert -115 < np.median(drawn.hu[drawn.at("orbit_fat") & side & (drawn.tissue == T["fat"])]) < -75


def test_the_petrous_bone_is_the_densest_and_mastoids_follow_their_pneumatisation():
    drawn = head()
    inner_ear = drawn.at("petrous") & drawn.bone & (np.abs(np.abs(drawn.x) - 34) < 8) & (np.abs(drawn.z + 48) < 5)
    assert np.percentile(drawn.hu[inner_ear], 90) > 1400
    cells = [(mean(head(seed).body.cranium.mastoid), int(head(seed).at("mastoid_air").sum())) for seed in range(1, 7)]
    share, count = np.array(cells).T
    assert np.corrcoef(share, count)[0, 1] > 0.5


def mean(pair):
    return sum(pair) / 2


def test_no_two_people_have_the_same_skull():
    sizes = {tuple(int(head(seed).at(n).sum()) for n in ("frontal", "maxillary", "sphenoid")) for seed in range(1, 5)}
    assert len(sizes) == 4
    thick = [np.median(vault(head(seed))[2][vault(head(seed))[0]]) for seed in range(1, 5)]
    assert np.ptp(thick) > 0.3


def test_the_two_halves_of_a_skull_differ_a_little():
    bone = head().body.bone
    half = len(bone) // 2
    difference = np.abs(bone[:half] - bone[half:]) / (1 + bone[:half])
    assert 0.01 < difference.mean() < 0.3


def test_sutures_close_with_age_and_frontal_sinuses_are_absent_in_some():
    people = {age: [draw_cranium(np.random.default_rng(seed), age) for seed in range(300)] for age in (20.0, 85.0)}
    young, old = (np.mean([one.suture for one in group]) for group in people.values())
    assert young > old + 0.3
    absent = np.mean([size > 6.5 for one in people[20.0] for size in one.frontal_mm])
    assert 0.01 < absent < 0.2


def test_the_scalp_is_skin_over_fat():
    drawn = head()
    over = (drawn.z > 10) & ~drawn.bone & (drawn.inner < -5)
    skin = over & (drawn.skin > 0.3) & (drawn.skin < 1.2)
    fat = over & (drawn.skin > 3) & (drawn.tissue == T["fat"])
    assert 0 < np.median(drawn.hu[skin]) < 60
    assert np.median(drawn.hu[fat]) < -70
    thick = drawn.body.skull_mm * (1 + drawn.body.bone[drawn.direction])
    scalp_mm = (drawn.skin - drawn.inner - thick)[over]
    assert 3 < np.median(scalp_mm) < 12

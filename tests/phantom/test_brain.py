"""The brain of a phantom: volumes, densities and places, and that no two people share it."""

from functools import cache

import numpy as np
import pytest

from molre.phantom import CohortConfig, kept
from molre.phantom.body import Body, draw_body
from molre.phantom.folds import draw_folds
from molre.phantom.geometry import Geometry, draw_geometry
from molre.phantom.head import Head
from molre.phantom.lookup import lookup
from molre.phantom.normal import fill
from molre.phantom.pose import draw_pose
from molre.phantom.protocol import draw_protocol
from molre.phantom.texture import draw_texture
from molre.phantom.volume import volumes_ml

CONFIG = CohortConfig(matrix_px=112, tilted_fraction=0.0)


def person(age_years: float, number: int = 0) -> Body:
    return draw_body(np.random.default_rng([5, number]), age_years)


def laid_out(body: Body) -> tuple[Head, Geometry]:
    rng = np.random.default_rng(4)
    geometry = draw_geometry(rng, draw_protocol(rng, CONFIG), CONFIG, body)
    head = Head(geometry, draw_pose(rng, body, geometry.tilt_deg), body)
    fill(head)
    return head, geometry


@cache
def normal(age_years: float, number: int = 0) -> tuple[Head, Geometry]:
    return laid_out(person(age_years, number))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_brain_and_ventricles_have_a_living_persons_volumes(number):
    young, old = (volumes_ml(*normal(age, number)) for age in (22.0, 88.0))
    assert 1050 < old["brain"] < young["brain"] < 1650
    assert 10 < young["ventricles"] < 32
    assert young["ventricles"] * 1.2 < old["ventricles"] < 75
    assert young["fluid"] * 1.15 < old["fluid"] < 560


def test_densities_are_those_of_the_literature():
    head, _ = normal(40.0)
    deep = head.skull > 4
    grey, white, fluid = (np.median(head.hu[head.tissue_is(name) & deep]) for name in ("grey", "white", "csf"))
    assert 35 < grey < 41
    assert 24 < white < 33
    assert 6 < grey - white < 11
    assert 0 < fluid < 17
    assert 40 < np.median(head.hu[head.tissue_is("vessel")]) < 62


def test_the_internal_capsule_is_darker_than_the_grey_matter_on_either_side_of_it():
    head, _ = normal(40.0)
    capsule, lens, thalamus, caudate = (
        np.median(head.hu[head.at(name)]) for name in ("capsule", "lentiform", "thalamus", "caudate")
    )
    assert capsule + 5 < min(lens, thalamus, caudate)


def test_groups_of_structures_are_found_by_the_name_of_the_whole():
    head, _ = normal(40.0)
    assert np.array_equal(head.at("brainstem"), head.at("midbrain") | head.at("pons") | head.at("medulla"))
    assert (head.at("lentiform") & head.at("pallidum")).sum() > 50
    for name in ("insula", "hippocampus", "dentate", "vermis", "falx", "straight_sinus", "artery", "callosum"):
        assert head.at(name).sum() > 10, name


def test_furrows_widen_on_the_side_where_they_are_told_to():
    body = person(40.0)
    before, _ = laid_out(body)
    body.sulcus_mm = [body.sulcus_mm[0] + 0.8, body.sulcus_mm[1]]
    after, _ = laid_out(body)
    left, right = (
        (after.tissue_is("csf") & after.side(side)).sum() / (before.tissue_is("csf") & before.side(side)).sum()
        for side in (0, 1)
    )
    assert left > 1.2
    assert right < 1.05


def test_the_central_sulcus_lies_where_it_does_in_everyone():
    way = np.array([(20, 14, 70), (33, 6, 61), (44, 1, 46), (53, -8, 34)], np.float32)
    hits = []
    for seed in range(8):
        folds = draw_folds(np.random.default_rng(seed))
        hits.append(np.abs(folds.at((way[:, 0], way[:, 1], way[:, 2]))[0]).mean())
    assert np.mean(hits) < 1.5


def test_no_two_hemispheres_fold_alike():
    first, second = (draw_folds(np.random.default_rng(seed)).distance_mm for seed in (1, 2))
    assert abs(np.corrcoef(first[0].ravel(), first[1].ravel())[0, 1]) < 0.5
    assert abs(np.corrcoef(first[0].ravel(), second[0].ravel())[0, 1]) < 0.5


def test_the_noise_of_two_people_is_unrelated_and_smooth():
    rng = np.random.default_rng(0)
    points = tuple(rng.uniform(-70, 70, (3, 20000)).astype(np.float32))
    nearby = tuple(a + np.float32(0.3) for a in points)
    first, second = (draw_texture(np.random.default_rng(seed)) for seed in (1, 2))
    one = first.at(points)
    assert 0.85 < one.std() < 1.15
    assert abs(np.corrcoef(one, second.at(points))[0, 1]) < 0.05
    assert np.corrcoef(one, first.at(nearby))[0, 1] > 0.96
    assert np.array_equal(one, draw_texture(np.random.default_rng(1)).at(points))


@pytest.mark.parametrize("name", ["skull", "ventricle", "cistern", "hull", "nucleus", "vessel", "dura"])
def test_distances_are_smooth_between_the_samples_and_alike_on_both_sides(name):
    rng = np.random.default_rng(0)
    x, y, z = rng.uniform((-60, -70, -40), (60, 70, 60), (40000, 3)).astype(np.float32).T
    depth, beyond = lookup((x, y, z))[name], lookup((x + np.float32(0.05), y, z))[name]
    near = np.abs(depth) < 1.5
    step = np.abs(beyond - depth)[near]
    assert np.median(step) < 0.06
    assert np.quantile(step, 0.99) < 0.35
    assert np.array_equal(depth, lookup((-x, y, z))[name])


def test_what_was_built_once_is_read_thereafter(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = []

    def build():
        built.append(1)
        return {"a": np.arange(5, dtype=np.uint8), "b": np.ones((2, 3), np.float32)}

    first, second = (kept.kept("thing", build) for _ in range(2))
    assert len(built) == 1
    assert [first[name].tolist() for name in "ab"] == [second[name].tolist() for name in "ab"]
    (file,) = (tmp_path / "molre").glob("*.npy")
    file.write_bytes(file.read_bytes()[:40])
    assert kept.kept("thing", build)["a"].tolist() == [0, 1, 2, 3, 4]
    assert len(built) == 2
    assert not list((tmp_path / "molre").glob("*.part"))


def test_where_nothing_can_be_written_it_is_built_in_memory(tmp_path, monkeypatch):
    (tmp_path / "molre").write_text("a file in the folder's place")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept.kept("thing", lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]


def test_a_person_three_years_older_is_the_same_person():
    for seed in range(12):
        younger, older = (draw_body(np.random.default_rng([1, seed]), age) for age in (50.0, 53.0))
        assert younger.scale == older.scale
        assert younger.stroke_seed == older.stroke_seed
        assert younger.operation == older.operation
        assert younger.cranium.foramina == older.cranium.foramina
        assert older.cranium.pits[: len(younger.cranium.pits)] == younger.cranium.pits
        assert younger.ventricle_mm[0] <= older.ventricle_mm[0] < younger.ventricle_mm[0] + 1

"""Infarcts, clots in arteries and sinuses, and the brain without blood."""

from functools import cache

import numpy as np
import pytest

from molre.phantom import CohortConfig, make_study
from molre.phantom.body import draw_body
from molre.phantom.lesions.course import ARTERIES, stretch
from molre.phantom.lesions.infarct import stroke_of
from molre.phantom.lesions.territory import TERRITORIES
from molre.phantom.lesions.venous import sinus_of
from molre.phantom.table import entries

CONFIG = CohortConfig(matrix_px=96, seed=11)


@cache
def forced(*keys, index=1, severity=0.8):
    return make_study(CONFIG, index, force=keys, severity=severity)


@cache
def healthy(index, age_years):
    return make_study(CONFIG, index, force=(), age_years=age_years)


def fall_hu(key, severity, index=1):
    """By how much the finding's voxels are darker than in the same head without it."""
    study = forced(key, index=index, severity=severity)
    mask = study.masks.get(key)
    if mask is None:
        return 0.0, 0
    before = healthy(index, study.age_years).hu[mask]
    return float(before.mean() - study.hu[mask].mean()), int(mask.sum())


def at(*point):
    return tuple(np.array([float(value)], np.float32) for value in point)


@pytest.mark.parametrize(
    ("point", "owner"),
    [
        ((50, -20, 20), "mca_superior"),
        ((58, 0, -12), "mca_inferior"),
        ((24, -14, 4), "mca_deep"),
        ((5, -50, 30), "aca"),
        ((6, 10, 55), "aca"),
        ((12, 66, 4), "pca"),
        ((10, 2, 6), "thalamus"),
        ((20, 50, -22), "sca"),
        ((18, 55, -48), "pica"),
        ((5, 4, -34), "pons"),
    ],
)
def test_every_territory_holds_the_brain_its_artery_feeds(point, owner):
    assert TERRITORIES[owner].inside(at(*point))[0] > 0


def test_the_three_cerebral_territories_do_not_overlap():
    points = np.random.default_rng(1).uniform((1, -80, -20), (65, 85, 70), (4000, 3)).astype(np.float32)
    inside = [TERRITORIES[key].inside(tuple(points.T)) > 0.5 for key in ("aca", "mca_complete", "pca")]
    shared = sum(one.astype(int) for one in inside) > 1
    # The deep branches of the middle cerebral artery run beneath the others' cortex.
    shared &= TERRITORIES["mca_deep"].inside(tuple(points.T)) < 0
    assert shared.mean() < 0.002


def test_places_of_the_table_are_territories():
    for key in ("acute_infarct", "subacute_infarct", "chronic_territorial_infarct"):
        assert set(entries()[key].places) <= set(TERRITORIES)
    assert {one.artery for one in TERRITORIES.values()} <= set(ARTERIES)


def test_a_stretch_of_an_artery_has_the_length_asked_for():
    points = np.array(stretch(ARTERIES["m1"], 4.0, 12.0))[:, :3]
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).sum() == pytest.approx(12.0, abs=0.6)


@pytest.mark.parametrize(
    "key", ["acute_infarct", "subacute_infarct", "early_ischemic_signs", "hypoxic_ischemic_injury"]
)
def test_severity_darkens_more_brain(key):
    def burden(severity):
        found = [fall_hu(key, severity, index) for index in (1, 2)]
        return sum(max(fall, 0) * count for fall, count in found)

    faint, plain, obvious = (burden(severity) for severity in (0.05, 0.5, 0.95))
    assert 0 < faint < plain < obvious


def test_early_signs_are_subtle_and_an_acute_infarct_by_definition():
    study = forced("early_ischemic_signs", severity=0.5, index=2)
    fall, _ = fall_hu("early_ischemic_signs", 0.5, 2)
    assert 1.0 < fall < 7.5
    assert study.labels["acute_infarct"] == 1
    assert study.labels["midline_shift"] == 0


def test_a_faint_infarct_of_the_middle_artery_shows_early_signs_and_a_plain_one_does_not():
    seen = set()
    for index in range(4):
        body = draw_body(np.random.default_rng([CONFIG.seed, index, 10]), 70.0)
        if stroke_of(body)[0].startswith("mca"):
            seen.add(index)
            assert forced("acute_infarct", index=index, severity=0.05).labels["early_ischemic_signs"] == 1
            assert forced("acute_infarct", index=index, severity=0.9).labels["early_ischemic_signs"] == 0
    assert seen


def test_a_clot_lies_on_the_side_of_the_infarct_and_is_denser_than_blood():
    for index in (3, 4):
        study = forced("acute_infarct", "hyperdense_artery_sign", index=index)
        clot, infarct = study.masks["hyperdense_artery_sign"], study.masks["acute_infarct"]
        columns = [np.nonzero(mask)[2].mean() for mask in (clot, infarct)]
        middle = np.nonzero(study.tissue)[2].mean()
        # The basilar artery lies in the middle.
        assert abs(columns[0] - middle) < 4 or (columns[0] - middle) * (columns[1] - middle) > 0
        near = study.hu[clot]
        assert near.max() > 50


def test_an_old_infarct_is_on_the_other_side_and_holds_fluid_like_tissue():
    study = forced("chronic_territorial_infarct", "acute_infarct", index=6, severity=0.9)
    old, fresh = study.masks["chronic_territorial_infarct"], study.masks["acute_infarct"]
    middle = np.nonzero(study.tissue)[2].mean()
    assert (np.nonzero(old)[2].mean() - middle) * (np.nonzero(fresh)[2].mean() - middle) < 0
    assert 3 < np.median(study.hu[old]) < 23
    assert study.labels["encephalomalacia_gliosis"] == 1


def test_lacunes_are_small_and_persist():
    study = forced("lacunar_infarct", index=2)
    pixels = study.masks["lacunar_infarct"].sum((1, 2)).max()
    assert pixels * study.geometry.pixel_mm**2 < 5 * np.pi / 4 * 17**2
    assert entries()["lacunar_infarct"].persists


def test_clot_in_a_sinus_is_denser_than_the_blood_of_the_same_head():
    for index in (1, 2):
        study = forced("cerebral_venous_sinus_thrombosis", index=index, severity=0.7)
        mask = study.masks["cerebral_venous_sinus_thrombosis"]
        before = healthy(index, study.age_years).hu[mask]
        # Beside the vault a slice averages sinus and bone, in both.
        soft = before < 100
        assert soft.sum() > 20
        assert np.median(study.hu[mask][soft]) > np.median(before[soft]) + 6


def test_bleeds_in_a_venous_infarct_are_labelled_as_haemorrhage_and_only_they():
    bled = []
    for index in range(1, 6):
        study = forced("venous_infarct", index=index)
        mask = study.masks["venous_infarct"]
        risen = study.hu[mask] - healthy(index, study.age_years).hu[mask]
        blood = (risen > 25).sum() >= 4
        bled.append(study.labels["intraparenchymal_hemorrhage"])
        assert study.labels["intracranial_hemorrhage_any"] == bled[-1]
        assert bool(bled[-1]) or not blood
    assert 0 < sum(bled) < len(bled)


def test_sinus_and_venous_infarct_agree():
    body = draw_body(np.random.default_rng(5), 40.0)
    assert sinus_of(body) == sinus_of(body)
    study = forced("cerebral_venous_sinus_thrombosis", "venous_infarct", index=2)
    assert study.labels["cerebral_venous_sinus_thrombosis"] == 1
    assert study.labels["venous_infarct"] == 1


def test_after_an_arrest_grey_and_white_matter_are_alike_and_the_cerebellum_is_spared():
    study = next(one for one in (forced("hypoxic_ischemic_injury", index=i, severity=0.95) for i in range(1, 9))
                 if one.labels["cerebral_edema"])  # fmt: skip
    mask = study.masks["hypoxic_ischemic_injury"]
    before = healthy(study.index, study.age_years).hu
    assert before[mask].std() - study.hu[mask].std() > -1
    assert study.labels["sulcal_or_cisternal_effacement"] == 1


def test_the_same_numbers_draw_the_same_infarct():
    again = make_study(CONFIG, 4, force=("acute_infarct",), severity=0.8)
    assert np.array_equal(again.hu, forced("acute_infarct", index=4).hu)

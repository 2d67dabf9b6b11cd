"""Operations share one opening of the vault, and what is drawn along with them is labelled."""

from functools import cache

import numpy as np
import pytest

from molre.findings import GROUPS, KEYS, group_of
from molre.phantom import TISSUES, CohortConfig, make_study
from molre.phantom.body import draw_body
from molre.phantom.operation import draw_operation

CONFIG = CohortConfig(studies=8, seed=5, matrix_px=96)
SURGICAL = [key for key in KEYS if group_of(key) == "postsurgical_devices"]
METAL = TISSUES.index("metal")


@cache
def forced(*keys, index=1, severity=0.9):
    return make_study(CONFIG, index, force=keys, severity=severity)


def centre(mask):
    return np.array([a.mean() for a in np.nonzero(mask)])


@pytest.mark.parametrize("key", SURGICAL)
def test_what_surgeons_leave_is_labelled(key):
    assert "postsurgical_devices" in GROUPS
    for index in (1, 2):
        assert forced(key, index=index).labels[key]


def test_a_cavity_lies_beneath_an_opening_of_the_vault():
    for index in (1, 2):
        study = forced("resection_cavity_or_postsurgical_change", index=index)
        assert study.labels["craniotomy_or_cranioplasty"]
        cavity, flap = (
            centre(study.masks[k]) for k in ("resection_cavity_or_postsurgical_change", "craniotomy_or_cranioplasty")
        )
        middle = CONFIG.matrix_px / 2
        assert np.sign(cavity[2] - middle) == np.sign(flap[2] - middle)


def test_a_planned_craniectomy_replaces_the_cavitys_own_flap():
    study = forced("resection_cavity_or_postsurgical_change", "craniectomy_or_burr_hole", index=2)
    openings = study.labels["craniectomy_or_burr_hole"] + study.labels["craniotomy_or_cranioplasty"]
    assert openings >= 1


def test_vault_is_missing_in_a_defect():
    for index in (1, 2):
        study = forced("craniectomy_or_burr_hole", index=index)
        healthy = make_study(CONFIG, index, force=())
        mask = study.masks["craniectomy_or_burr_hole"]
        if study.hu.shape == healthy.hu.shape:
            assert np.median(study.hu[mask]) < 150


def test_clips_and_coils_are_metal():
    for index in (1, 2):
        study = forced("aneurysm_clip_coil_or_embolization", index=index)
        mask = study.masks["aneurysm_clip_coil_or_embolization"]
        assert (study.tissue[mask] == METAL).mean() > 0.5
        assert study.hu[mask].max() > 1200


def test_wide_ventricles_beside_a_shunt_are_labelled():
    body = [forced("ventricular_shunt_or_drain", index=index) for index in range(1, 9)]
    wide = [one.labels["ventriculomegaly_or_communicating_hydrocephalus"] for one in body]
    assert 0 < sum(wide) < len(wide)


def test_the_operation_belongs_to_the_person():
    first, again, other = (draw_body(np.random.default_rng(seed), 50.0).operation for seed in (1, 1, 2))
    assert first == again != other
    sides = {draw_operation(np.random.default_rng(seed)).sign for seed in range(12)}
    assert sides == {1, -1}
    moved = draw_operation(np.random.default_rng(1))
    moved.settled = True
    before = moved.towards
    moved.move("pterional", -moved.sign)
    assert moved.towards == before

"""Plans of a cohort show findings as often, at the ages and together as the table tells; the table is complete."""

import dataclasses
from collections import Counter
from functools import cache

import numpy as np
import pytest

from molre.findings import KEYS
from molre.phantom import CohortConfig, make_study
from molre.phantom.lesions import LESIONS, LOOKALIKES
from molre.phantom.plan import base_rate, make_plan, patient_of
from molre.phantom.table import entries, implied_by, mimics

STUDIES = 20_000
CONFIG = CohortConfig(seed=3)
PRESENT = {key: entry for key, entry in entries().items() if entry.prevalence}


@cache
def plans():
    return [make_plan(CONFIG, number) for number in range(STUDIES)]


@cache
def shown():
    """For each study the findings that are drawn, and those that they imply."""
    return [frozenset().union(*(implied_by(one.key) for one in plan.findings)) for plan in plans()]


@cache
def counts():
    return Counter(key for keys in shown() for key in keys)


@pytest.mark.parametrize("key", PRESENT)
def test_a_finding_is_as_common_as_the_table_tells(key):
    told = max(PRESENT[key].prevalence, CONFIG.rarest)
    share = counts()[key] / STUDIES
    # What shares a place excludes, and companions may bring more than the table tells of the finding itself.
    brought = base_rate(CONFIG, key) < 0.25 * told
    assert 0.65 * told <= share <= (2.7 if brought else 1.35) * told


def test_some_studies_are_normal_and_none_shows_everything():
    number = [len(plan.findings) for plan in plans()]
    assert 0.1 < np.mean(np.equal(number, 0)) < 0.6
    assert 1 < np.mean(number) < 5
    assert max(number) < 25


def test_companions_come_with_what_brings_them():
    """Of all pairs of a finding and a companion, the companion is more frequent given the finding, as told."""
    keys = list(LESIONS)
    present = np.array([[key in study for key in keys] for study in shown()])
    wrong = []
    for place, key in enumerate(keys):
        with_it = present[present[:, place]]
        drawn = sum(key == one.key for plan in plans() for one in plan.findings) if len(with_it) else 0
        for other, chance in entries()[key].companions.items():
            if other not in LESIONS or chance < 0.1 or drawn < 150:
                continue
            share = with_it[:, keys.index(other)].mean()
            alone = present[:, keys.index(other)].mean()
            exclusive = LESIONS[key].slot and LESIONS[key].slot == LESIONS[other].slot
            if not exclusive and share < max(0.35 * chance * drawn / len(with_it), min(1.02 * alone, 0.8)):
                wrong.append((key, other, chance, round(share, 3), round(alone, 3)))
    assert not wrong


def test_age_follows_the_table():
    age = np.array([plan.age_years for plan in plans()])
    assert 18 <= age.min() < 30 < 85 < age.max() <= 96
    assert 50 < np.median(age) < 70
    with_it = {key: np.array([key in study for study in shown()]) for key in ("cerebral_atrophy", "epidural_hematoma")}
    atrophy, epidural = (np.median(age[present]) for present in with_it.values())
    assert atrophy > np.median(age) + 4
    assert epidural < np.median(age) - 4


@pytest.mark.parametrize("severity", [0.2, 0.8])
def test_severity_shifts_the_mean_and_keeps_both_ends(severity):
    config = CohortConfig(seed=5, severity=severity)
    drawn = [one.severity for number in range(2500) for one in make_plan(config, number).findings]
    assert np.mean(drawn) == pytest.approx(severity, abs=0.03)
    assert min(drawn) < 0.35
    assert max(drawn) > 0.65


def test_no_prevalence_gives_normal_heads():
    config = CohortConfig(seed=5, prevalence=0.0)
    assert not any(make_plan(config, number).findings for number in range(400))
    study = make_study(dataclasses.replace(config, matrix_px=96), 7)
    assert not any(study.labels.values())
    assert not study.masks


def test_twice_the_prevalence_and_rarer_findings():
    def mean(**settings):
        config = CohortConfig(seed=5, **settings)
        return np.mean([len(make_plan(config, number).findings) for number in range(2000)])

    assert mean(rarest=0.0) < mean() < mean(rarest=0.05)
    assert 1.5 < mean(rarest=0.0, prevalence=2.0) / mean(rarest=0.0) < 2.5


def test_a_plan_is_made_alone_and_in_any_order():
    numbers = [17, 4, 4000, 16, 5]
    forward = [make_plan(CONFIG, number) for number in numbers]
    backward = [make_plan(CONFIG, number) for number in reversed(numbers)]
    assert forward == backward[::-1]
    assert forward[0] == plans()[17]
    assert make_plan(dataclasses.replace(CONFIG, seed=4), 17) != forward[0]


def test_patients_have_one_to_four_studies_in_the_order_of_their_age():
    studies = Counter(plan.patient for plan in plans())
    assert set(studies.values()) == {1, 2, 3, 4}
    assert 0.2 < np.mean([count > 1 for count in studies.values()]) < 0.5
    for number, plan in enumerate(plans()[:2000]):
        assert patient_of(CONFIG.seed, number) == (plan.patient, plan.visit)
        assert plan.patient + plan.visit == number
        assert not plan.visit or plan.age_years > plans()[number - 1].age_years


def test_what_persists_is_the_same_at_the_next_study_and_what_does_not_is_new():
    for before, after in zip(plans(), plans()[1:], strict=False):
        if after.visit:
            kept = {one for one in before.findings if entries()[one.key].persists}
            assert kept <= set(after.findings)
            again = set(before.findings) & set(after.findings)
            assert all(entries()[one.key].persists for one in again)
            assert before.mimics == after.mimics


def test_the_entry_of_each_finding_is_whole():
    for key, entry in {**entries(), **mimics()}.items():
        for text in (entry.morphology, entry.source):
            assert len(text) > 12, key
            assert "to be told" not in text, key
        others = {*entry.companions, *entry.implies, *entry.shown_by, *([entry.of] if entry.of else [])}
        assert others <= set(KEYS), key
        assert key not in others, key
    assert all(entry.of in KEYS and entry.prevalence for entry in mimics().values())


def test_every_finding_is_drawn_or_follows_by_a_rule():
    assert set(KEYS) == set(entries())
    for key, entry in entries().items():
        if entry.prevalence:
            assert key in LESIONS, key
        elif key not in LESIONS:
            assert entry.follows, key
            assert entry.shown_by or any(key in implied_by(other) for other in LESIONS), key
        assert all(other in LESIONS for other in entry.shown_by), key


def test_the_mimics_of_the_table_are_drawn():
    assert set(mimics()) == set(LOOKALIKES)
    assert {one.key for plan in plans() for one in plan.mimics} == set(LOOKALIKES)


@pytest.mark.parametrize("key", KEYS)
def test_every_finding_can_be_shown_with_all_that_it_implies(key):
    config = CohortConfig(matrix_px=96, seed=2, tilted_fraction=0.0)
    study = make_study(config, 1, force=(key,), severity=0.9)
    assert study.labels[key] == 1
    assert all(study.labels[other] for other in implied_by(key))
    assert set(study.masks) == {name for name, value in study.labels.items() if value}

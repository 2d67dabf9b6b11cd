"""A phantom's labels are true by construction, and the same numbers give the same study."""

import hashlib
import itertools
import os
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pytest

from molre.errors import ConfigError
from molre.findings import KEYS
from molre.phantom import LESIONS, CohortConfig, entries, implied_by, labels_row, make_study

CONFIG = CohortConfig(studies=8, seed=5, matrix_px=96)
MASS = ("mass_effect", "midline_shift", "subfalcine_herniation", "transtentorial_herniation")
BLOOD = (
    "intraparenchymal_hemorrhage", "intraventricular_hemorrhage", "subarachnoid_hemorrhage", "acute_subdural_hematoma",
    "subacute_chronic_subdural_hematoma", "acute_on_chronic_subdural_hematoma", "epidural_hematoma",
    "hemorrhagic_transformation",
)  # fmt: skip


@cache
def forced(*keys, index=1, severity=0.9):
    return make_study(CONFIG, index, force=keys, severity=severity)


@cache
def cohort():
    config = CohortConfig(studies=40, seed=5, matrix_px=96, rarest=0.06)
    return [make_study(config, index) for index in range(40)]


@pytest.mark.parametrize("key", KEYS)
def test_each_of_the_75_findings_can_be_shown(key):
    study = forced(key)
    assert study.labels[key] == 1
    assert study.masks[key].sum() >= 3
    assert set(study.masks) == {k for k, v in study.labels.items() if v == 1}
    assert all(mask.shape == study.hu.shape for mask in study.masks.values())


@pytest.mark.parametrize("key", sorted(LESIONS))
def test_the_same_head_without_the_finding_differs_there(key):
    ill = forced(key)
    healthy = make_study(CONFIG, 1, force=(), age_years=ill.age_years)
    assert healthy.labels == dict.fromkeys(KEYS, 0)
    assert healthy.hu.shape == ill.hu.shape
    change = np.abs(ill.hu.astype(float) - healthy.hu)
    assert change[ill.masks[key]].mean() > change[~ill.masks[key]].mean()


def test_every_label_is_known_and_what_a_finding_implies_is_there_with_its_voxels():
    for study in cohort():
        assert set(study.labels) == set(KEYS)
        assert set(study.labels.values()) <= {0, 1}
        for key in study.masks:
            for other in implied_by(key):
                assert study.labels[other], (key, other)
                assert not (study.masks[key] & ~study.masks[other]).any()


def test_the_union_labels_say_no_more_than_their_parts():
    for study in cohort():
        bled = any(study.labels[key] for key in BLOOD)
        assert study.labels["intracranial_hemorrhage_any"] >= bled
        # A pituitary adenoma may bleed, which no key but the union names.
        assert bled or not study.labels["intracranial_hemorrhage_any"] or study.labels["pituitary_or_sellar_mass"]
        masses = [key for key in KEYS if "intracranial_mass_any" in implied_by(key) and key != "intracranial_mass_any"]
        assert len(masses) >= 10
        assert study.labels["intracranial_mass_any"] == int(any(study.labels[key] for key in masses))


def test_shift_is_labelled_from_five_millimetres_and_only_with_something_that_shifts():
    for study in cohort():
        assert study.labels["midline_shift"] == int(abs(study.shift_mm) >= 5)
        if not any(study.labels[key] for key in KEYS if key not in MASS):
            assert not any(study.labels[key] for key in MASS)


def test_the_same_numbers_give_the_same_study_in_any_order_and_process():
    first = make_study(CONFIG, 3)
    make_study(CONFIG, 4)
    again = make_study(CONFIG, 3)
    assert np.array_equal(first.hu, again.hu)
    assert first.labels == again.labels
    assert first.study_uid == again.study_uid
    assert not np.array_equal(
        first.hu, make_study(CohortConfig(studies=8, seed=6, matrix_px=96), 3).hu[: len(first.hu)]
    )
    code = (
        "import hashlib; from molre.phantom import CohortConfig, make_study; "
        "print(hashlib.sha256(make_study(CohortConfig(studies=8, seed=5, matrix_px=96), 3).hu.tobytes()).hexdigest())"
    )
    for threads in ("1", "4"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert told.stdout.strip() == hashlib.sha256(first.hu.tobytes()).hexdigest()


def test_settings_out_of_range_and_unknown_findings_are_refused():
    with pytest.raises(ConfigError, match="unknown finding 'stroke'"):
        make_study(CONFIG, 0, force=("stroke",))
    with pytest.raises(ConfigError, match=r"severity is 1\.5"):
        CohortConfig(severity=1.5)


def test_no_prevalence_gives_normal_heads():
    for index in range(3):
        study = make_study(CohortConfig(seed=2, matrix_px=96, prevalence=0.0), index)
        assert not any(study.labels.values())


def test_row_of_labels_names_study_and_patient():
    study = forced("epidural_hematoma")
    row = labels_row(study)
    assert list(row) == ["study", "patient", *KEYS]
    assert row["patient"] == study.patient == "PHANTOM-000001"
    assert row["intracranial_hemorrhage_any"] == 1


def test_a_later_study_of_a_patient_keeps_what_persists():
    config = CohortConfig(studies=40, seed=1, matrix_px=96, rarest=0.1)
    studies = [make_study(config, index) for index in range(24)]
    pairs = [(a, b) for a, b in itertools.pairwise(studies) if a.patient == b.patient]
    assert pairs
    for earlier, later in pairs:
        assert earlier.sex == later.sex
        assert earlier.age_years <= later.age_years
        kept = {key for key, value in earlier.labels.items() if value and key in LESIONS and entries()[key].persists}
        gone = {key for key in kept if not later.labels[key]}
        assert len(gone) <= 0.2 * len(kept) + 1


def test_a_demo_study_is_made_in_half_a_second():
    config = CohortConfig(studies=8, seed=5)
    make_study(config, 0)
    started = time.process_time()
    for index in range(6):
        make_study(config, index)
    assert time.process_time() - started < 6 * 0.9

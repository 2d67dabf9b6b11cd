"""A phantom's labels are true by construction, and its tissue measures what the literature says."""

import time
from functools import cache

import numpy as np
import pytest

from molre.errors import ConfigError
from molre.findings import GROUPS, KEYS, group_of
from molre.phantom import IMPLIES, LESIONS, TISSUES, CohortConfig, labels_row, make_study
from molre.phantom.body import draw_body
from molre.phantom.geometry import SEPTUM_MM, displace

CONFIG = CohortConfig(studies=8, seed=5)
HU_RANGE = {
    "intraparenchymal_hemorrhage": (45, 80),
    "acute_subdural_hematoma": (40, 80),
    "epidural_hematoma": (45, 80),
    "subacute_chronic_subdural_hematoma": (5, 40),
    "arachnoid_cyst": (0, 20),
    "acute_infarct": (13, 30),
    "chronic_territorial_infarct": (4, 24),
    "meningioma": (40, 120),
    "basal_ganglia_calcification": (70, 400),
    "pneumocephalus": (-1000, -350),
    "intracranial_lipoma": (-120, -25),
    "aneurysm_clip_coil_or_embolization": (700, 3071),
    "paranasal_sinus_disease": (-350, 250),
    "extra_axial_collection_or_hygroma": (0, 30),
}


@cache
def forced(*keys, index=1):
    return make_study(CONFIG, index, force=keys)


@cache
def cohort():
    return [make_study(CONFIG, index) for index in range(16)]


@pytest.mark.parametrize("key", sorted(LESIONS))
def test_a_drawn_finding_is_labelled_and_has_voxels(key):
    study = forced(key)
    assert study.labels[key] == 1
    assert study.masks[key].sum() >= 4
    assert set(study.masks) == {k for k, v in study.labels.items() if v == 1}


@pytest.mark.parametrize("key", sorted(HU_RANGE))
def test_the_finding_measures_what_the_literature_says(key):
    study = forced(key)
    low, high = HU_RANGE[key]
    assert low <= np.median(study.hu[study.masks[key]]) <= high


@pytest.mark.parametrize("key", ["intraparenchymal_hemorrhage", "acute_infarct", "arachnoid_cyst", "scalp_hematoma"])
def test_the_same_head_without_the_finding_differs_there_and_lacks_the_label(key):
    healthy, ill = forced(), forced(key)
    mask = ill.masks[key]
    assert healthy.labels == dict.fromkeys(KEYS, 0)
    assert not healthy.masks
    change = np.abs(ill.hu[mask].astype(float) - healthy.hu[mask])
    assert np.median(change) > 2.5 * np.median(np.abs(ill.hu[:, :10].astype(float) - healthy.hu[:, :10]) + 1)


def test_every_label_is_known_and_implications_hold_over_a_cohort():
    for study in cohort():
        assert set(study.labels) == set(KEYS)
        assert set(study.labels.values()) <= {0, 1}
        for key, value in study.labels.items():
            if value:
                assert all(study.labels[other] for other in IMPLIES.get(key, ()))
                assert all(
                    (study.masks[other] & study.masks[key]).sum() == study.masks[key].sum()
                    for other in IMPLIES.get(key, ())
                )


def test_at_least_24_findings_of_all_groups_can_be_drawn():
    assert len(LESIONS) >= 24
    assert {group_of(key) for key in LESIONS} == set(GROUPS)


def test_midline_shift_moves_the_falx_and_the_septum_by_the_claimed_millimetres():

    body = draw_body(np.random.default_rng(3))
    for claimed in (7.0, -11.0):
        body.shift_mm = claimed
        # Points of the scan along x through the septum: the tissue of the midline now lies where x was `claimed`.
        x = np.linspace(-20, 20, 401)
        line = np.stack([x, np.full_like(x, SEPTUM_MM[1]), np.full_like(x, SEPTUM_MM[2])])
        moved = x[np.argmin(np.abs(displace(line, body)[0]))]
        assert moved == pytest.approx(claimed, abs=0.7)
        skull = np.array([[72.0, -72.0], [0.0, 0.0], [10.0, 10.0]])
        assert np.abs(displace(skull, body) - skull).max() < 0.5


def test_shift_is_labelled_only_from_five_millimetres():
    for study in cohort():
        assert study.labels["midline_shift"] == int(abs(study.shift_mm) >= 5)


def test_the_same_numbers_give_the_same_study_in_any_order():
    first = make_study(CONFIG, 3)
    make_study(CONFIG, 4)
    again = make_study(CONFIG, 3)
    assert np.array_equal(first.hu, again.hu)
    assert first.labels == again.labels
    assert first.study_uid == again.study_uid
    assert not np.array_equal(first.hu, make_study(CohortConfig(studies=8, seed=6), 3).hu[: len(first.hu)])


def test_normal_brain_measures_as_in_the_textbook():
    study = make_study(CONFIG, 2, force=())
    median = {
        name: float(np.median(study.hu[study.tissue == TISSUES.index(name)])) for name in ("grey", "white", "bone")
    }
    assert 32 <= median["grey"] <= 41
    assert 24 <= median["white"] <= 33
    assert median["white"] < median["grey"] - 2
    assert median["bone"] > 350


def test_unknown_or_undrawn_findings_are_refused():
    with pytest.raises(ConfigError, match="does not draw"):
        make_study(CONFIG, 0, force=("congenital_malformation",))
    with pytest.raises(ConfigError, match="normal_fraction"):
        CohortConfig(normal_fraction=1.5)


def test_row_of_labels_names_study_and_patient():
    study = forced("epidural_hematoma")
    row = labels_row(study)
    assert list(row) == ["study", "patient", *KEYS]
    assert row["patient"] == "PHANTOM-000001"
    assert row["intracranial_hemorrhage_any"] == 1


def test_a_study_is_made_in_seconds():
    started = time.process_time()
    for index in range(4):
        make_study(CONFIG, index)
    assert time.process_time() - started < 4 * 1.5

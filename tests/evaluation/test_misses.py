"""The errors of which a model is most certain, and their pictures."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from molre.evaluation.misses import LEAST, MOST, misses
from molre.evaluation.page.misses import misses as section
from molre.evaluation.pictures import HEIGHT_PX, WINDOWS_HU, pictures
from molre.evaluation.prediction import _leading
from molre.evaluation.scores import Scores
from molre.findings import KEYS
from molre.store import Store


def scores_of(labels, values):
    """Predictions of the first finding; all others are unknown."""
    rows = len(labels)
    known = np.full((rows, len(KEYS)), -1, np.int8)
    known[:, 0] = labels
    said = np.full((rows, len(KEYS)), 0.5, np.float32)
    said[:, 0] = values
    names = [f"r{at}" for at in range(rows)]
    return Scores(patients=names, studies=names, series=names, labels=known, probabilities=said)


def test_the_lowest_positive_and_the_highest_negative_are_told_with_their_ranks():
    labels = [1] * 5 + [0] * 5
    values = [0.02, 0.8, 0.8, 0.9, 0.9, 0.01, 0.1, 0.2, 0.3, 0.85]
    slices = np.arange(10, dtype=np.int16)[:, None]
    missed, alarm = misses(scores_of(labels, values), slices)
    assert (missed.kind, missed.series, missed.beyond, missed.slice) == ("missed", "r0", 0.8, 0)
    assert (alarm.kind, alarm.series, alarm.beyond, alarm.slice) == ("false alarm", "r9", 0.6, 9)
    assert missed.probability == pytest.approx(0.02)


def test_what_stands_on_its_own_side_is_no_error():
    assert misses(scores_of([1] * 6 + [0] * 6, [0.9] * 6 + [0.1] * 6)) == []


def test_a_finding_with_few_cases_is_left_out():
    few = LEAST - 1
    assert misses(scores_of([1] * few + [0] * 6, [0.1] * few + [0.9] * 6)) == []


def test_at_most_one_a_series_and_a_dozen_of_either_kind(cohort):
    found = misses(cohort(200, lift=0.0))
    for kind in ("missed", "false alarm"):
        rows = [miss.row for miss in found if miss.kind == kind]
        assert len(rows) == MOST == len(set(rows))
    assert all(miss.slice is None for miss in found)


def test_the_slice_that_counts_most_leads_and_of_equals_the_middle_one():
    weights = np.array([[0.1, 0.2, 0.7, 0.0], [0.25] * 4, [0.0, 0.5, 0.5, 0.0]], np.float32)[:, :, None]
    assert _leading(weights)[:, 0].tolist() == [2, 1, 1]


def test_a_picture_shows_the_slice_in_three_windows(small_store, cohort):
    store = Store.open(small_store)
    found = misses(cohort(48, lift=0.0), np.full((48, 1), 3, np.int16))
    drawn = pictures(store, np.arange(48), [miss.to_json() for miss in found])
    assert len(drawn) == len(found)
    assert sum(map(len, drawn)) < 1_500_000
    image = Image.open(io.BytesIO(base64.b64decode(drawn[0].partition(",")[2])))
    assert image.size == (HEIGHT_PX * len(WINDOWS_HU), HEIGHT_PX)
    hu = store.volumes(np.array([found[0].row]))[0][3]
    brain = np.asarray(image)[:, :HEIGHT_PX].astype(float)
    expected = np.clip((hu.astype(float) - 40) / 80 + 0.5, 0, 1) * 255
    small = np.asarray(Image.fromarray(expected.astype(np.uint8)).resize((HEIGHT_PX, HEIGHT_PX)), float)
    assert np.corrcoef(brain.ravel(), small.ravel())[0, 1] > 0.98


def test_the_section_names_what_it_shows(cohort):
    found = [miss.to_json() for miss in misses(cohort(200, lift=0.0), np.full((200, 1), 3, np.int16))]
    told = section({"misses": found, "pictures": ["data:image/jpeg;base64,AA"] * len(found)})
    assert told.count("<img ") == len(found) == told.count("slice 4 from the feet, series")
    assert "Missed" in told
    assert "False alarms" in told
    assert section({"misses": [], "pictures": []}) == ""

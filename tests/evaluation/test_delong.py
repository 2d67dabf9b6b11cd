"""DeLong's variance and its form for patients with several series.

Everything is checked against the definitions, written out with all pairs and loops over patients. No published figure
is used: none was at hand whose raw data and result could both be verified.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from molre.evaluation.auc import auc
from molre.evaluation.delong import delong_interval, delong_test, joint_areas, placements


def made(rows, *, seed, models=2, ties=True, patients=None):
    generator = np.random.default_rng(seed)
    labels = (generator.random(rows) < 0.4).astype(np.int8)
    scores = generator.normal(size=(rows, models)) + labels[:, None] + generator.normal(size=(rows, 1))
    scores = (np.round(scores, 1) if ties else scores).astype(np.float32)
    return labels, scores, np.arange(rows) if patients is None else generator.integers(0, patients, rows)


def by_pairs(labels, scores):
    """Structural components from all pairs (DeLong et al. 1988, section 2)."""
    positive, negative = scores[labels == 1][:, None], scores[labels == 0][None]
    won = (positive > negative) + (positive == negative) / 2
    return won.mean(axis=1), won.mean(axis=0)


def by_patients(labels, scores, clusters):
    """Covariance by loops over patients (Obuchowski 1997, section 2)."""
    above, under = by_pairs(labels, scores)
    areas, sick, well = above.mean(axis=0), clusters[labels == 1], clusters[labels == 0]
    m, n, everyone = len(sick), len(well), np.unique(clusters)
    i10, i01 = len(np.unique(sick)), len(np.unique(well))
    s10, s01, s11 = (np.zeros((scores.shape[1],) * 2) for _ in range(3))
    for patient in everyone:
        x = above[sick == patient].sum(axis=0) - (sick == patient).sum() * areas
        y = under[well == patient].sum(axis=0) - (well == patient).sum() * areas
        s10 += i10 / ((i10 - 1) * m) * np.outer(x, x)
        s01 += i01 / ((i01 - 1) * n) * np.outer(y, y)
        s11 += len(everyone) / (len(everyone) - 1) * np.outer(x, y)
    return areas, s10 / m + s01 / n + (s11 + s11.T) / (m * n)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=40))
def test_midranks_give_the_components_of_all_pairs(rows):
    labels = np.array([row[0] for row in rows], np.int8)
    scores = np.array([row[1:] for row in rows], np.float32)
    if len(np.unique(labels)) < 2:
        return
    for found, wanted in zip(placements(labels, scores), by_pairs(labels, scores), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_with_a_row_a_patient_it_is_delongs_covariance():
    for seed in range(5):
        labels, scores, clusters = made(80, seed=seed, models=3)
        above, under = by_pairs(labels, scores)
        wanted = np.cov(above.T) / len(above) + np.cov(under.T) / len(under)
        found = joint_areas(labels, scores, clusters)
        np.testing.assert_allclose(found.covariance, wanted, atol=1e-15)
        assert found.areas[1] == pytest.approx(auc(labels, scores[:, 1]), abs=1e-12)


def test_with_several_rows_a_patient_it_is_obuchowskis_covariance():
    for seed in range(5):
        labels, scores, clusters = made(90, seed=seed, patients=35)
        areas, covariance = by_patients(labels, scores, clusters)
        found = joint_areas(labels, scores, clusters)
        np.testing.assert_allclose(found.areas, areas, atol=1e-12)
        np.testing.assert_allclose(found.covariance, covariance, atol=1e-14)


def test_copies_of_a_patients_series_change_nothing():
    labels, scores, clusters = made(60, seed=3)
    once, thrice = (
        joint_areas(np.repeat(labels, times), np.repeat(scores, times, axis=0), np.repeat(clusters, times))
        for times in (1, 3)
    )
    np.testing.assert_allclose(thrice.covariance, once.covariance, rtol=1e-9)


def test_unknown_labels_take_no_part():
    labels, scores, clusters = made(60, seed=4)
    masked = np.concatenate([labels, np.full(20, -1, np.int8)])
    noisy = np.concatenate([scores, np.full((20, 2), 9, np.float32)])
    found = delong_test(masked, noisy[:, 0], noisy[:, 1], np.arange(80))
    assert found == delong_test(labels, scores[:, 0], scores[:, 1], clusters)


def test_the_test_is_the_contrast_over_its_error():
    labels, scores, clusters = made(120, seed=5, patients=60)
    areas, covariance = by_patients(labels, scores, clusters)
    z = (areas[0] - areas[1]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = delong_test(labels, scores[:, 0], scores[:, 1], clusters)
    assert found.z == pytest.approx(z)
    assert found.p == pytest.approx(2 * norm.cdf(-abs(z)))
    assert found.difference.low < found.difference.value < found.difference.high


def test_the_same_ranks_are_no_difference():
    labels, scores, clusters = made(60, seed=6)
    found = delong_test(labels, scores[:, 0], scores[:, 0] * 2, clusters)
    assert (found.difference.value, found.z, found.p) == (0, None, 1)


def test_one_patient_on_a_side_has_no_variance():
    labels = np.array([1, 1, 0, 0], np.int8)
    scores = np.arange(4, dtype=np.float32)
    assert joint_areas(labels, scores[:, None], np.array([0, 0, 1, 2])) is None
    assert delong_interval(labels, scores, np.array([0, 0, 1, 2])).value is None


def test_p_values_are_even_where_there_is_no_difference():
    found = []
    for trial in range(400):
        generator = np.random.default_rng(7000 + trial)
        labels = np.repeat(np.array([1, 0], np.int8), [40, 80])
        first, second = (generator.normal(size=120) + labels for _ in range(2))
        found.append(delong_test(labels, first.astype(np.float32), second.astype(np.float32), np.arange(120)).p)
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08


def test_intervals_cover_the_truth_with_several_series_a_patient():
    # A score of a patient and one of the series add up; the area of normal scores one apart is Phi(1 / sqrt 2).
    covered = 0
    for trial in range(300):
        generator = np.random.default_rng(9000 + trial)
        labels = np.repeat((np.arange(120) < 50).astype(np.int8), 3)
        scores = np.repeat(generator.normal(size=120), 3) * 0.9**0.5 + generator.normal(size=360) * 0.1**0.5 + labels
        interval = delong_interval(labels, scores.astype(np.float32), np.repeat(np.arange(120), 3))
        covered += interval.low <= 0.76025 <= interval.high
    assert 0.91 <= covered / 300 <= 0.98

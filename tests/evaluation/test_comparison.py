"""Two models on the same rows."""

import json
from dataclasses import replace

import numpy as np
import pytest

from molre.errors import ConfigError
from molre.evaluation.comparison import aligned, bootstrap_p, compare
from molre.evaluation.delong import delong_test
from molre.findings import KEYS


def noisier(scores, *, seed=1, noise=1.5):
    generator = np.random.default_rng(seed)
    logits = np.log(scores.probabilities / (1 - scores.probabilities))
    blurred = logits + generator.normal(0, noise, logits.shape)
    return replace(scores, probabilities=(1 / (1 + np.exp(-blurred))).astype(np.float32))


def turned(scores):
    return replace(
        scores,
        patients=scores.patients[::-1],
        studies=scores.studies[::-1],
        series=scores.series[::-1],
        labels=scores.labels[::-1],
        probabilities=scores.probabilities[::-1],
    )


def test_a_better_model_is_better_on_the_mean_and_on_findings(cohort):
    good = cohort(300, lift=2.0)
    found = compare(good, noisier(good), resamples=200)
    assert found.macro.low > 0
    assert found.macro.value == pytest.approx(found.macro_first - found.macro_second)
    assert found.macro_p == pytest.approx(2 / 201)
    assert found.tested == found.findings_in_mean == len(KEYS) - 2
    row = found.findings[0]
    test = delong_test(good.labels[:, 0], good.probabilities[:, 0], noisier(good).probabilities[:, 0], good.clusters)
    assert row.p == test.p
    assert row.delong.value == pytest.approx(row.difference.value)
    assert row.p <= row.p_fdr <= row.p_holm
    json.dumps(found.to_json(), allow_nan=False)


def test_two_ways_to_test_agree(cohort):
    good = cohort(400, prevalence=0.3, per_patient=2)
    found = compare(good, noisier(good, noise=0.7), resamples=400)
    widths = [
        (row.difference.high - row.difference.low) / (row.delong.high - row.delong.low)
        for row in found.findings
        if row.p is not None
    ]
    assert np.mean(widths) == pytest.approx(1, abs=0.05)


def test_a_model_and_itself_do_not_differ(cohort):
    scores = cohort(80)
    found = compare(scores, turned(scores), resamples=50)
    assert (found.macro.value, found.macro.low, found.macro.high, found.macro_p) == (0, 0, 0, 1)
    assert all(row.p_holm == 1 for row in found.findings if row.p is not None)


def test_too_few_patients_are_listed_and_not_tested(cohort):
    scores = cohort(100, prevalence=0.5)
    scores.labels[:, 6] = 0
    scores.labels[:9, 6] = 1  # nine series of five patients
    found = compare(scores, noisier(scores), resamples=20)
    row = found.findings[6]
    assert row.p is None
    assert row.difference.value is not None
    assert row.why_untested.startswith("5 patients with it")
    assert found.findings[4].difference.reason == "no positives"
    assert found.tested == len(KEYS) - 3


def test_other_series_or_labels_are_refused(cohort):
    scores = cohort(20)
    with pytest.raises(ConfigError, match="different series"):
        compare(scores, cohort(22))
    changed = scores.labels.copy()
    changed[0, 0] = 1 - changed[0, 0]
    with pytest.raises(ConfigError, match="different labels"):
        compare(scores, replace(scores, labels=changed))


def test_rows_are_matched_by_series(cohort):
    scores = cohort(20)
    np.testing.assert_array_equal(aligned(scores, turned(scores)).probabilities, scores.probabilities)


def test_bootstrap_p_by_hand():
    assert bootstrap_p(np.array([-1.0, 1, 2, 3, np.nan])) == pytest.approx(2 * 2 / 5)
    assert bootstrap_p(np.full(9, 1.0)) == pytest.approx(2 / 10)
    assert bootstrap_p(np.empty(0)) is None

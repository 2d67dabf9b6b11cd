"""The table of predictions: what it refuses, and that Parquet gives it back."""

import numpy as np
import pytest

from molre.errors import ConfigError
from molre.evaluation.scores import Scores, from_parquet, to_parquet
from molre.findings import index


def test_predictions_come_back_from_parquet(cohort):
    scores = cohort(5)
    again = from_parquet(to_parquet(scores))
    assert (again.patients, again.studies, again.series) == (scores.patients, scores.studies, scores.series)
    np.testing.assert_array_equal(again.labels, scores.labels)
    np.testing.assert_array_equal(again.probabilities, scores.probabilities)


def test_scores_refuse_what_is_no_probability_and_series_scored_twice(cohort):
    scores = cohort(3)
    broken = scores.probabilities.copy()
    broken[0, index("epidural_hematoma")] = np.nan
    fields = {name: getattr(scores, name) for name in ("patients", "studies", "series", "labels")}
    with pytest.raises(ConfigError, match="finite"):
        Scores(**fields, probabilities=broken)
    with pytest.raises(ConfigError, match="more than once"):
        Scores(**{**fields, "series": ["a", "a", "b"]}, probabilities=scores.probabilities)

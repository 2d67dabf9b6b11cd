"""Made-up predictions that the tests of evaluation share."""

import numpy as np
import pytest

from molre.evaluation.scores import Scores
from molre.findings import KEYS


def made(rows=60, *, seed=0, prevalence=0.3, per_patient=2, lift=1.0):
    """Predictions that separate by ``lift`` standard deviations; finding 3 is unknown, finding 4 absent throughout."""
    generator = np.random.default_rng(seed)
    labels = (generator.random((rows, len(KEYS))) < prevalence).astype(np.int8)
    labels[:, 3] = -1
    labels[:, 4] = 0
    logits = generator.normal(size=labels.shape) + lift * labels
    names = [f"s{at}" for at in range(rows)]
    return Scores(
        patients=[f"p{at // per_patient}" for at in range(rows)],
        studies=names,
        series=names,
        labels=labels,
        probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
    )


@pytest.fixture
def cohort():
    return made

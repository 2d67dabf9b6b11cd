"""Bootstrap intervals of 75 findings on a test split of an archive's size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import pytest

from molre.evaluation.auc import auc_interval
from molre.evaluation.comparison import compare
from molre.evaluation.measures import measures
from molre.evaluation.scores import Scores
from molre.findings import KEYS

STUDIES, RESAMPLES = 7000, 1000
BOUND_S = 60.0
pytestmark = pytest.mark.bench


def made(seed: int) -> Scores:
    """Findings of 0.5 to 30 % prevalence; a patient in seven has two studies."""
    generator = np.random.default_rng(0)
    labels = (generator.random((STUDIES, len(KEYS))) < generator.uniform(0.005, 0.3, len(KEYS))).astype(np.int8)
    logits = np.random.default_rng(seed).normal(size=labels.shape) + labels
    names = [str(at) for at in range(STUDIES)]
    return Scores(
        patients=[str(at % 6000) for at in range(STUDIES)],
        studies=names,
        series=names,
        labels=labels,
        probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def areas(scores: Scores) -> None:
    """An interval of its own for the area of each finding."""
    for at in range(len(KEYS)):
        auc_interval(
            scores.labels[:, at],
            scores.probabilities[:, at],
            scores.clusters,
            resamples=RESAMPLES,
            seed=[0, at],
        )


def test_intervals_of_an_archive_take_less_than_a_minute(table):
    first, second = made(1), made(2)
    took = {
        "area of each finding": seconds(lambda: areas(first)),
        "all figures and their means": seconds(lambda: measures(first, resamples=RESAMPLES)),
        "two models compared": seconds(lambda: compare(first, second, resamples=RESAMPLES)),
    }
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    table(
        f"Intervals: {RESAMPLES:,} resamples, {len(KEYS)} findings, {STUDIES:,} studies; threads: {threads}",
        ("what", "s"),
        [(what, f"{value:.1f}") for what, value in took.items()],
    )
    assert took["area of each finding"] < BOUND_S

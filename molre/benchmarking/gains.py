"""What is certain of a mean over seeds and patients, and of the difference between two adapters.

Another seed gives another model, and other patients another test split: an interval over one of the two alone is too
narrow for "this method is better". Patients and seeds are crossed, every model scoring every patient, so both are drawn
with replacement at once, independently (the pigeonhole bootstrap: Owen, Ann Appl Stat 2007;1:386-411, who shows that it
errs on the side of too wide). Two adapters are compared on the same drawn patients and seeds: the same seed gives both
the same order of studies and the same initial pooling and head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from molre.evaluation.bootstrap import Weights, resampled
from molre.evaluation.comparison import aligned, bootstrap_p
from molre.evaluation.interval import Interval, percentile
from molre.evaluation.measures import mean_interval
from molre.evaluation.multiplicity import benjamini_hochberg, holm
from molre.evaluation.ranking import Ranking
from molre.evaluation.scores import Scores
from molre.findings import KEYS


@dataclass(frozen=True, kw_only=True)
class Areas:
    """AUC of every finding, as a mean over seeds.

    Attributes:
        seeds: of each seed alone; NaN where a finding has none.
        values: mean over seeds.
        draws: the same on drawn patients and seeds, common to all areas of a benchmark.
    """

    seeds: Float64[np.ndarray, "seeds findings"]
    values: Float64[np.ndarray, "findings"]
    draws: Float64[np.ndarray, "findings resamples"]

    def mean(self, members: Sequence[int]) -> Interval:
        """Mean over findings."""
        at = list(members)
        return mean_interval(self.values[at], self.draws[at]) if at else Interval(value=None, reason="no finding")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """Two adapters compared: the first less the second.

    Attributes:
        macro: difference of the means over findings.
        p: two-sided p value of it.
        seed_wins: seeds in which the first is ahead.
        findings: difference by finding, in the order of ``findings.csv``.
        p_findings: two-sided p values by finding; NaN where a finding has too few patients to be tested.
        p_holm: the same, corrected for their number so that one false claim has a chance of at most its value.
        p_fdr: the same, corrected so that of what is claimed at a level at most that share is false on average.
    """

    macro: Interval
    p: float | None
    seed_wins: int
    findings: tuple[Interval, ...]
    p_findings: Float64[np.ndarray, "findings"]
    p_holm: Float64[np.ndarray, "findings"]
    p_fdr: Float64[np.ndarray, "findings"]


def areas(runs: Sequence[Scores], *, resamples: int, seed: int = 0) -> Areas:
    """Areas of one adapter, from its predictions with each seed.

    Args:
        runs: predictions of the same series, a seed each; models that are to be compared in the same order of seeds.
        resamples: of patients and seeds.
        seed: the same seed gives the same draws, for every adapter of the same test split.

    Raises:
        ConfigError: they hold different series, or different labels of the same series.
    """
    runs = [runs[0], *(aligned(runs[0], one) for one in runs[1:])]
    clusters, count = runs[0].clusters, len(runs)
    statistics = _Statistics(runs)
    single = statistics(np.ones((1, len(clusters)), np.float32)).reshape(count, len(KEYS))
    drawn = resampled(statistics, clusters, resamples=resamples, seed=[seed, 0]).reshape(count, len(KEYS), -1)
    often = np.random.default_rng([seed, 1]).multinomial(count, np.full(count, 1 / count), size=drawn.shape[-1])
    # A seed that was not drawn counts for nothing, also where its area is undefined in a resample.
    draws = np.einsum("rs,sfr->fr", often / count, np.where(np.isfinite(drawn), drawn, single[:, :, None]))
    return Areas(seeds=single, values=single.mean(axis=0), draws=draws)


def gain(first: Areas, second: Areas, members: Sequence[int], tested: Sequence[int]) -> Gain:
    """How much the first is ahead of the second.

    Args:
        first: of one adapter.
        second: of another, on the same patients with the same seeds.
        members: findings that the mean is over.
        tested: findings with enough patients for a test of their own.
    """
    at = list(members)
    values, draws = first.values - second.values, first.draws - second.draws
    p = np.full(len(KEYS), np.nan)
    for finding in tested:
        p[finding] = bootstrap_p(draws[finding])
    corrected = np.full((2, len(KEYS)), np.nan)
    if len(tested):
        corrected[:, list(tested)] = holm(p[list(tested)]), benjamini_hochberg(p[list(tested)])
    ahead = (first.seeds[:, at].mean(axis=1) > second.seeds[:, at].mean(axis=1)).sum() if at else 0
    return Gain(
        macro=mean_interval(values[at], draws[at]) if at else Interval(value=None, reason="no finding"),
        p=bootstrap_p(draws[at].mean(axis=0)) if at else None,
        seed_wins=int(ahead),
        findings=tuple(
            percentile(float(value), drawn) if np.isfinite(value) else Interval(value=None)
            for value, drawn in zip(values, draws, strict=True)
        ),
        p_findings=p,
        p_holm=corrected[0],
        p_fdr=corrected[1],
    )


def with_cases(scores: Scores, least: int) -> list[int]:
    """Findings that have so many patients with, and as many without them."""
    patients = np.asarray(scores.patients)

    def count(at: int, label: int) -> int:
        return len(np.unique(patients[scores.labels[:, at] == label]))

    return [at for at in range(len(KEYS)) if min(count(at, 1), count(at, 0)) >= least]


class _Statistics:
    """Areas of every run and finding from the weights of the rows."""

    def __init__(self, runs: Sequence[Scores]) -> None:
        self._rankings = [
            Ranking.of(one.labels[:, at], one.probabilities[:, at]) for one in runs for at in range(len(KEYS))
        ]

    def __call__(self, weights: Weights) -> Float64[np.ndarray, "figures resamples"]:
        return np.stack([ranking.counted(weights).auc() for ranking in self._rankings])

"""Two models on the same rows: is one better, on which findings, and on the mean?

Both are judged on the same patients, so that what is hard about a patient cancels. Every finding is tested by DeLong's
test for patients with several series (:mod:`molre.evaluation.delong`) and, without its normal theory, by resampling
patients; the mean over findings by resampling alone. A finding with fewer than ``FEW`` patients on either side is
listed and not tested: its p value would be arithmetic without evidence. What is tested is corrected for their number.

A difference between two trained models is also one between two draws of the training's seed, which none of this sees:
compare several seeds before a method is called better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from molre.errors import ConfigError
from molre.evaluation.auc import auc, why_undefined
from molre.evaluation.bootstrap import Weights, resampled
from molre.evaluation.delong import PairedTest, delong_test
from molre.evaluation.interval import FEW, Interval, percentile
from molre.evaluation.measures import mean_interval
from molre.evaluation.multiplicity import benjamini_hochberg, holm
from molre.evaluation.ranking import Ranking
from molre.evaluation.scores import Scores
from molre.findings import KEYS


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingDifference:
    """Two models on one finding.

    Attributes:
        key: of the finding.
        first: area of the first model; None where it is undefined.
        second: area of the second.
        difference: first less second, with its bootstrap interval.
        delong: the same with DeLong's interval; None where the finding is not tested.
        p: of DeLong's test; None where the finding is not tested.
        p_bootstrap: from the resampled differences.
        p_holm: ``p`` corrected so that one false claim among all findings has a chance of at most its value.
        p_fdr: ``p`` corrected so that of the findings claimed at a level, at most that share is false on average.
        why_untested: the reason, where ``p`` is None.
    """

    key: str
    first: float | None
    second: float | None
    difference: Interval
    delong: Interval | None = None
    p: float | None = None
    p_bootstrap: float | None = None
    p_holm: float | None = None
    p_fdr: float | None = None
    why_untested: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two models on the same rows.

    Attributes:
        findings: a row a finding, in the order of ``findings.csv``.
        macro_first: mean area of the first over the findings that have one.
        macro_second: the same of the second.
        macro: first less second, with its bootstrap interval.
        macro_p: two-sided p value of the mean difference, from the resamples.
        findings_in_mean: findings with an area.
        tested: findings tested, for which p values are corrected.
        resamples: of patients, behind every interval.
    """

    findings: tuple[FindingDifference, ...]
    macro_first: float | None
    macro_second: float | None
    macro: Interval
    macro_p: float | None
    findings_in_mean: int
    tested: int
    resamples: int

    def to_json(self) -> dict[str, Any]:
        """The form in which a report holds it."""
        return asdict(self)


def compare(scores_a: Scores, scores_b: Scores, *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Compare two models that scored the same series.

    Args:
        scores_a: predictions of the first.
        scores_b: predictions of the second, of the same series in any order.
        resamples: bootstrap resamples of patients; 0 gives DeLong's tests alone.
        seed: the same seed gives the same comparison.

    Raises:
        ConfigError: the two hold different series, or different labels or patients of the same series.
    """
    scores_b = aligned(scores_a, scores_b)
    clusters = scores_a.clusters
    draws = resampled(_Differences(scores_a, scores_b), clusters, resamples=resamples, seed=[seed, 0])
    rows = [_finding(scores_a, scores_b, at, draws[at]) for at in range(len(KEYS))]
    tests = [_test(scores_a, scores_b, at) for at in range(len(KEYS))]
    defined = [at for at, row in enumerate(rows) if row.difference.value is not None]
    values = np.array([rows[at].difference.value for at in defined], np.float64)
    macro = mean_interval(values, draws[defined]) if defined else Interval(value=None, reason="no finding has an area")
    filled = np.where(np.isfinite(draws[defined]), draws[defined], values[:, None]).mean(axis=0) if defined else None
    return Comparison(
        findings=tuple(_corrected(rows, tests)),
        macro_first=_mean([row.first for row in rows]),
        macro_second=_mean([row.second for row in rows]),
        macro=macro,
        macro_p=None if filled is None else bootstrap_p(filled),
        findings_in_mean=len(defined),
        tested=sum(isinstance(test, PairedTest) for test in tests),
        resamples=resamples,
    )


def aligned(first: Scores, second: Scores) -> Scores:
    """The second table in the order of the first.

    Raises:
        ConfigError: the two hold different series, or different labels or patients of the same series.
    """
    places = {series: at for at, series in enumerate(second.series)}
    if places.keys() != set(first.series):
        raise ConfigError("the two models scored different series: evaluate both on the same split of the same store")
    order = [places[series] for series in first.series]
    moved = Scores(
        patients=[second.patients[at] for at in order],
        studies=[second.studies[at] for at in order],
        series=list(first.series),
        labels=second.labels[order],
        probabilities=second.probabilities[order],
    )
    if moved.patients != first.patients or not np.array_equal(moved.labels, first.labels):
        raise ConfigError("the two models were scored against different labels or patients of the same series")
    return moved


def bootstrap_p(differences: Float64[np.ndarray, "resamples"]) -> float | None:
    """Two-sided p value from resampled differences: twice the smaller share on one side of 0.

    It is the level at which the percentile interval just touches 0. One is added to both counts, so that no finite
    number of resamples gives 0 (Davison & Hinkley, Bootstrap Methods and their Application, 1997, eq. 4.11).
    """
    drawn = differences[np.isfinite(differences)]
    if not len(drawn):
        return None
    fewer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(drawn) + 1))


class _Differences:
    """Difference of the two areas of every finding from the weights of the rows."""

    def __init__(self, first: Scores, second: Scores) -> None:
        self._pairs = [
            tuple(Ranking.of(first.labels[:, at], one.probabilities[:, at]) for one in (first, second))
            for at in range(len(KEYS))
        ]

    def __call__(self, weights: Weights) -> Float64[np.ndarray, "findings resamples"]:
        return np.stack([first.counted(weights).auc() - second.counted(weights).auc() for first, second in self._pairs])


def _finding(first: Scores, second: Scores, at: int, draws: Float64[np.ndarray, "resamples"]) -> FindingDifference:
    labels = first.labels[:, at]
    a, b = (auc(labels, one.probabilities[:, at]) for one in (first, second))
    if a is None or b is None:
        return FindingDifference(
            key=KEYS[at], first=a, second=b, difference=Interval(value=None, reason=why_undefined(labels))
        )
    return FindingDifference(
        key=KEYS[at], first=a, second=b, difference=percentile(a - b, draws), p_bootstrap=bootstrap_p(draws)
    )


def _test(first: Scores, second: Scores, at: int) -> PairedTest | str:
    """DeLong's test of a finding, or why there is none."""
    labels, patients = first.labels[:, at], np.asarray(first.patients)
    sides = [len(np.unique(patients[labels == side])) for side in (1, 0)]
    if min(sides) < FEW:
        return f"{sides[0]} patients with it and {sides[1]} without: a test needs {FEW} of each"
    found = delong_test(labels, first.probabilities[:, at], second.probabilities[:, at], first.clusters)
    assert found is not None
    return found


def _corrected(rows: Sequence[FindingDifference], tests: Sequence[PairedTest | str]) -> list[FindingDifference]:
    """The rows with their tests, p values corrected for the number of tests."""
    p = np.array([test.p for test in tests if isinstance(test, PairedTest)], np.float64)
    corrected = iter(zip(holm(p), benjamini_hochberg(p), strict=True))
    return [
        _tested(row, test, next(corrected) if isinstance(test, PairedTest) else None)
        for row, test in zip(rows, tests, strict=True)
    ]


def _tested(row: FindingDifference, test: PairedTest | str, corrected: tuple[float, float] | None) -> FindingDifference:
    if isinstance(test, str) or corrected is None:
        return replace(row, why_untested=str(test), p_bootstrap=None)
    return replace(row, delong=test.difference, p=test.p, p_holm=float(corrected[0]), p_fdr=float(corrected[1]))


def _mean(areas: Sequence[float | None]) -> float | None:
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else None

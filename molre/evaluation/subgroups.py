"""Whether a model is as good on one sex, age, scanner, slice thickness or kernel as on the others.

A subgroup is compared with the rest of the same split, on the same findings: those with ``COMMON`` known positives and
negatives on either side. Otherwise a subgroup with easy findings would look like one that is read well. The gap of
the two means gets its interval from resamples of patients in which both are computed, so that a patient with series in
both counts in both.

What is too small is listed with its size and not scored. With many subgroups some gap is off zero by chance: about one
interval in twenty misses a true zero. A gap says that a subgroup differs, not why: its patients differ as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int8

from molre.evaluation.auc import auc
from molre.evaluation.bootstrap import Weights, resampled
from molre.evaluation.interval import Interval, percentile
from molre.evaluation.measures import COMMON, mean_interval
from molre.evaluation.ranking import Ranking
from molre.evaluation.scores import Scores
from molre.findings import UNKNOWN

LEAST_PATIENTS = 20
"""Patients, in a subgroup and in the rest, below which neither is scored; chosen by this project."""

NOT_KNOWN = "not known"


def _band(thickness_mm: float) -> str:
    """Thin slices, the 2.5 to 3 mm of reformatted series, and the 4 to 5 mm of routine head CT."""
    return "under 2 mm" if thickness_mm < 2 else "2 to 4 mm" if thickness_mm < 4 else "4 mm or more"


DIMENSIONS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "sex": ("sex", {"F": "female", "M": "male", "O": "other"}.__getitem__),
    "age": ("age_band", str),
    "manufacturer": ("manufacturer", str),
    "slice thickness": ("slice_thickness_mm", _band),
    "kernel": ("kernel_class", str),
}
"""By dimension, the store's column and how a value of it names a subgroup."""

COLUMNS = tuple(column for column, _ in DIMENSIONS.values())
"""Columns of the store that the subgroups are made from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subgroup:
    """A subgroup against the rest of the split.

    Attributes:
        dimension: what parts the split, a key of ``DIMENSIONS``.
        value: which of its parts this is.
        patients: in the subgroup.
        series: in the subgroup.
        findings: findings that both sides are scored on.
        auc: mean area in the subgroup.
        rest: mean area of the same findings in the rest.
        gap: subgroup less rest.
    """

    dimension: str
    value: str
    patients: int
    series: int
    findings: int
    auc: Interval
    rest: Interval
    gap: Interval

    def to_json(self) -> dict[str, Any]:
        """The form in which a report holds it."""
        plain = asdict(self)
        return plain | {name: getattr(self, name).to_json() for name in ("auc", "rest", "gap")}


def subgroups(
    scores: Scores, attributes: Mapping[str, Sequence[Any]], *, resamples: int = 1000, seed: int = 0
) -> list[Subgroup]:
    """Every subgroup of every dimension, in the order of their size within a dimension.

    Args:
        scores: predictions with their labels.
        attributes: by column of the store, a value a row; None where it is not known.
        resamples: bootstrap resamples of patients.
        seed: the same seed gives the same intervals.
    """
    found = []
    for dimension, (column, naming) in DIMENSIONS.items():
        names = np.array([NOT_KNOWN if value is None else naming(value) for value in attributes[column]], dtype=object)
        values, counts = np.unique(names.astype(str), return_counts=True)
        for value in values[np.argsort(-counts, kind="stable")]:
            found.append(_against_rest(scores, dimension, str(value), names == value, resamples, seed))
    return found


def _against_rest(
    scores: Scores, dimension: str, value: str, inside: Bool[np.ndarray, "rows"], resamples: int, seed: int
) -> Subgroup:
    patients = np.asarray(scores.patients)
    sizes = [len(np.unique(patients[side])) for side in (inside, ~inside)]
    sides = [np.where(side[:, None], scores.labels, np.int8(UNKNOWN)) for side in (inside, ~inside)]
    counted = np.flatnonzero(np.min([_fewer(side) for side in sides], axis=0) >= COMMON)
    reason = _why_not(sizes, len(counted))
    found = [Interval(value=None, reason=reason)] * 3 if reason else _scored(scores, sides, counted, resamples, seed)
    return Subgroup(
        dimension=dimension,
        value=value,
        patients=sizes[0],
        series=int(inside.sum()),
        findings=len(counted),
        auc=found[0],
        rest=found[1],
        gap=found[2],
    )


def _why_not(sizes: Sequence[int], findings: int) -> str | None:
    """Why a subgroup is not scored, or None where it is."""
    if not sizes[1]:
        return "there is no rest to compare with"
    if min(sizes) < LEAST_PATIENTS:
        return f"fewer than {LEAST_PATIENTS} patients on one side"
    return None if findings else f"no finding has {COMMON} positives and negatives on both sides"


def _fewer(labels: Int8[np.ndarray, "rows findings"]) -> np.ndarray:
    return np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0))


def _scored(
    scores: Scores, sides: Sequence[Int8[np.ndarray, "rows findings"]], counted: np.ndarray, resamples: int, seed: int
) -> list[Interval]:
    """Mean area on each side, and their difference."""
    rankings = [[Ranking.of(side[:, at], scores.probabilities[:, at]) for at in counted] for side in sides]

    def areas(weights: Weights) -> Float64[np.ndarray, "figures resamples"]:
        return np.stack([ranking.counted(weights).auc() for side in rankings for ranking in side])

    drawn = resampled(areas, scores.clusters, resamples=resamples, seed=[seed, 0])
    values = np.array([auc(side[:, at], scores.probabilities[:, at]) for side in sides for at in counted], np.float64)
    filled = np.where(np.isfinite(drawn), drawn, values[:, None])
    half = len(counted)
    gaps = filled[:half].mean(axis=0) - filled[half:].mean(axis=0)
    return [
        mean_interval(values[:half], drawn[:half]),
        mean_interval(values[half:], drawn[half:]),
        percentile(float(values[:half].mean() - values[half:].mean()), gaps),
    ]

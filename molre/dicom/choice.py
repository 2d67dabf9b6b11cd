"""Which of a study's reconstructions becomes its volume, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from molre.dicom.kernels import UNKNOWN
from molre.dicom.series import Candidate

RULE = (
    "Localizers, reports, secondary captures, projections and parameter maps are left out, and what is not axial.",
    "Of the series and reconstructions that are left, the first is taken by, in this order:",
    "1. usable: nothing in it forbids a volume;",
    "2. no contrast agent;",
    "3. coverage along the body of at least 0.75 of the longest one's, counted up to 160 mm, a head's height;",
    "4. the kernel asked for, then an unknown one, then the other;",
    "5. an original acquisition, then one derived from other images;",
    "6. the longer coverage, in steps of 20 mm, up to 160 mm;",
    "7. the finer step: thin slices are averaged into thick ones by the resampling, while nothing gives back what thick"
    " slices have lost;",
    "8. the Series Instance UID, so that the order of files plays no part.",
)
"""The rule, in sentences for a reader of a store."""

HEAD_MM = 160.0
"""Coverage beyond which more is no gain: vertex to skull base."""

ENOUGH_COVERAGE = 0.75
COVERAGE_STEP_MM = 20.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """What candidates are compared by.

    Attributes:
        name: of what is better, in a few words.
        code: for a candidate that is passed over for it.
        key: the smaller, the better.
    """

    name: str
    code: str
    key: Callable[[Candidate], float]


def ranked(candidates: Sequence[Candidate], kernel: str) -> list[Candidate]:
    """The candidates, best first.

    Args:
        candidates: of one study.
        kernel: which is asked for.
    """
    criteria = _criteria(candidates, kernel)
    return sorted(candidates, key=lambda one: (*(each.key(one) for each in criteria), one.label))


def choice_of(best: Candidate, candidates: Sequence[Candidate], kernel: str) -> str:
    """Why a candidate came before the others, in a few words without header text."""
    if len(candidates) == 1:
        return "the only series"
    others = [one for one in candidates if one is not best]
    for each in _criteria(candidates, kernel):
        if all(each.key(one) > each.key(best) for one in others):
            return f"1 of {len(candidates)} series: {each.name}"
        others = [one for one in others if each.key(one) <= each.key(best)]
    return f"1 of {len(candidates)} series: first of equals"


def passed_over(best: Candidate, candidates: Sequence[Candidate], kernel: str, refused: Mapping[int, str]) -> list[str]:
    """One code for each candidate that is not taken, sorted.

    Args:
        best: the one that is taken.
        candidates: of the study.
        kernel: which is asked for.
        refused: by ``id``, the codes of those that were tried and refused.
    """
    criteria = _criteria(candidates, kernel)

    def code(one: Candidate) -> str:
        if one.fault is not None:
            return one.fault.code
        worse = (each.code for each in criteria if each.key(one) != each.key(best))
        return refused.get(id(one)) or next(worse, "SER_EQUAL")

    return sorted(code(one) for one in candidates if one is not best)


def _criteria(candidates: Sequence[Candidate], kernel: str) -> list[Criterion]:
    longest_mm = max((min(one.coverage_mm, HEAD_MM) for one in candidates if one.fault is None), default=0.0)

    def kernel_rank(one: Candidate) -> float:
        return 0.0 if one.kernel == kernel else 1.0 if one.kernel == UNKNOWN else 2.0

    def is_short(one: Candidate) -> bool:
        return min(one.coverage_mm, HEAD_MM) < ENOUGH_COVERAGE * longest_mm

    def step_mm(one: Candidate) -> float:
        return round(one.step_mm, 1) if np.isfinite(one.step_mm) else 1e9

    return [
        Criterion("usable", "SER_EQUAL", lambda one: one.fault is not None),
        Criterion("no contrast agent", "SER_CONTRAST", lambda one: one.contrast),
        Criterion("enough coverage", "SER_COVERAGE", is_short),
        Criterion(f"{kernel} kernel", "SER_KERNEL", kernel_rank),
        Criterion("original acquisition", "SER_DERIVED", lambda one: one.derived),
        Criterion("coverage", "SER_COVERAGE", lambda one: -round(min(one.coverage_mm, HEAD_MM) / COVERAGE_STEP_MM)),
        Criterion("finer steps", "SER_THICKNESS", step_mm),
    ]

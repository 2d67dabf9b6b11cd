"""The errors of which the model is most certain: what a radiologist looks at first.

A probability cannot tell how certain a miss is, since that of a rare finding is always low. Ranks can: a positive that
most negatives stand above is a confident miss, and a negative that most positives stand below a confident false alarm.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int16

from molre.evaluation.scores import Scores
from molre.findings import KEYS

MOST = 12
"""Errors shown of either kind."""

LEAST = 5
"""Positives, and negatives, that a finding needs: a rank among fewer says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """One series that is on the wrong side of most others.

    Attributes:
        key: of the finding.
        kind: ``missed`` or ``false alarm``.
        row: of the series among the predictions.
        series: its pseudonym.
        probability: that the model gives it.
        beyond: share of the other class that it stands on the wrong side of.
        slice: the slice that pooling weighed most, from the feet up; None where the backbone reads volumes.
    """

    key: str
    kind: str
    row: int
    series: str
    probability: float
    beyond: float
    slice: int | None

    def to_json(self) -> dict[str, Any]:
        """The form in which a report holds it."""
        return asdict(self)


def misses(scores: Scores, slices: Int16[np.ndarray, "series queries"] | None = None) -> list[Miss]:
    """The most confident errors, of every finding at most one of either kind, and of every series too.

    Args:
        scores: predictions with their labels.
        slices: by series and query of the pooling, the slice that counted most; below 0 where there is none.
    """
    found = [miss for at in range(len(KEYS)) for miss in _of_finding(scores, at, slices)]
    chosen: list[Miss] = []
    for kind in ("missed", "false alarm"):
        seen = set[int]()
        for miss in sorted((one for one in found if one.kind == kind), key=lambda one: (-one.beyond, one.key)):
            if miss.row not in seen and len(seen) < MOST:
                seen.add(miss.row)
                chosen.append(miss)
    return chosen


def _of_finding(scores: Scores, at: int, slices: Int16[np.ndarray, "series queries"] | None) -> list[Miss]:
    labels, values = scores.labels[:, at], scores.probabilities[:, at]
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    if min(len(positive), len(negative)) < LEAST:
        return []
    lowest, highest = positive[values[positive].argmin()], negative[values[negative].argmax()]
    wrong = (
        ("missed", int(lowest), float((values[negative] > values[lowest]).mean())),
        ("false alarm", int(highest), float((values[positive] < values[highest]).mean())),
    )
    return [
        Miss(
            key=KEYS[at],
            kind=kind,
            row=row,
            series=scores.series[row],
            probability=float(values[row]),
            beyond=beyond,
            slice=_slice(slices, row, at),
        )
        for kind, row, beyond in wrong
        if beyond > 0.5
    ]


def _slice(slices: Int16[np.ndarray, "series queries"] | None, row: int, at: int) -> int | None:
    if slices is None:
        return None
    own = slices[row, at if slices.shape[1] == len(KEYS) else 0]
    return int(own) if own >= 0 else None

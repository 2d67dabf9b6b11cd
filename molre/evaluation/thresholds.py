"""Where to call a finding present: thresholds by finding at several operating points, chosen on the validation split.

``probability >= threshold`` counts as positive. A threshold lies midway between two neighbouring scores, so that a
rounding in the last place changes no call.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int8

from molre.evaluation.interval import FEW
from molre.evaluation.scores import Scores
from molre.findings import FINDINGS

LEVEL = 0.95
"""Sensitivity, and specificity, that the two operating points besides Youden's aim at; chosen by this project."""

YOUDEN = "youden"
SENSITIVE = f"sensitivity_{LEVEL:.2f}"
SPECIFIC = f"specificity_{LEVEL:.2f}"


def youden(labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"]) -> float | None:
    """The threshold with the greatest sensitivity + specificity - 1 (Youden, Cancer 1950;3:32-35).

    Of equal thresholds the highest is taken: the fewest false alarms.

    Returns:
        The threshold, or None without positives or without negatives.
    """
    if not (labels == 1).any() or not (labels == 0).any():
        return None
    values, sensitivity, specificity = _candidates(labels, probabilities)
    gain = sensitivity + specificity
    return _midway(values, int(np.flatnonzero(gain >= gain.max() - 1e-12)[-1]))


def at_sensitivity(
    labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"], level: float = LEVEL
) -> float | None:
    """The highest threshold whose sensitivity is at least ``level``; None with fewer than ``FEW`` positives."""
    if (labels == 1).sum() < FEW:
        return None
    values, sensitivity, _ = _candidates(labels, probabilities)
    return _midway(values, int(np.flatnonzero(sensitivity >= level - 1e-12)[-1]))


def at_specificity(
    labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"], level: float = LEVEL
) -> float | None:
    """The lowest threshold whose specificity is at least ``level``.

    Returns:
        The threshold; None with fewer than ``FEW`` negatives, or where too many of them score 1.
    """
    if (labels == 0).sum() < FEW:
        return None
    values, _, specificity = _candidates(labels, probabilities)
    reached = np.flatnonzero(specificity >= level - 1e-12)
    if len(reached):
        return _midway(values, int(reached[0]))
    return None if values[-1] >= 1 else (float(values[-1]) + 1) / 2


def choose(scores: Scores) -> dict[str, dict[str, float]]:
    """Thresholds by operating point and finding key; a finding that has none at a point is left out there.

    Args:
        scores: predictions of the validation split; never of the test split, whose figures they would flatter.
    """
    rules = {YOUDEN: youden, SENSITIVE: at_sensitivity, SPECIFIC: at_specificity}
    points: dict[str, dict[str, float]] = {}
    for name, rule in rules.items():
        found = {
            finding.key: rule(scores.labels[:, at], scores.probabilities[:, at]) for at, finding in enumerate(FINDINGS)
        }
        points[name] = {key: threshold for key, threshold in found.items() if threshold is not None}
    return points


def _candidates(
    labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"]
) -> tuple[Float32[np.ndarray, "values"], Float64[np.ndarray, "values"], Float64[np.ndarray, "values"]]:
    """Every score of a known label as a threshold, with its sensitivity and specificity (NaN without such cases)."""
    positive, negative = np.sort(probabilities[labels == 1]), np.sort(probabilities[labels == 0])
    values = np.unique(np.concatenate([positive, negative]))
    missed = np.searchsorted(positive, values, side="left") / (len(positive) or np.nan)
    passed = np.searchsorted(negative, values, side="left") / (len(negative) or np.nan)
    return values, 1 - missed, passed


def _midway(values: Float32[np.ndarray, "values"], at: int) -> float:
    lower = float(values[at - 1]) if at else 0.0
    return (lower + float(values[at])) / 2

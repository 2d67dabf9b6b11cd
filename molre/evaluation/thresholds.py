"""Where to call a finding present: a threshold a finding, chosen on the validation split."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int8

from molre.evaluation.scores import Scores
from molre.findings import FINDINGS


def youden(labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"]) -> float | None:
    """The threshold with the greatest sensitivity + specificity - 1 (Youden, Cancer 1950;3:32-35).

    ``probability >= threshold`` counts as positive. The threshold lies midway between two neighbouring scores, so that
    a rounding in the last place changes no call; of equal thresholds the highest is taken: the fewest false alarms.

    Returns:
        The threshold, or None without positives or without negatives.
    """
    positive, negative = np.sort(probabilities[labels == 1]), np.sort(probabilities[labels == 0])
    if not len(positive) or not len(negative):
        return None
    values = np.unique(np.concatenate([positive, negative]))
    sensitivity = 1 - np.searchsorted(positive, values, side="left") / len(positive)
    specificity = np.searchsorted(negative, values, side="left") / len(negative)
    gain = sensitivity + specificity
    best = int(np.flatnonzero(gain >= gain.max() - 1e-12)[-1])
    lower = float(values[best - 1]) if best else 0.0
    return (lower + float(values[best])) / 2


def choose(scores: Scores) -> dict[str, float]:
    """Threshold by finding key, for those findings that have both positives and negatives.

    Args:
        scores: predictions of the validation split; never of the test split, whose figures they would flatter.
    """
    found = {
        finding.key: youden(scores.labels[:, at], scores.probabilities[:, at]) for at, finding in enumerate(FINDINGS)
    }
    return {key: threshold for key, threshold in found.items() if threshold is not None}

"""Points of the curves that the report draws: one question a group, "is anything of it there?"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int8
from sklearn.metrics import precision_recall_curve, roc_curve

from molre.evaluation.auc import why_undefined
from molre.evaluation.measures import group_detection
from molre.evaluation.scores import Scores
from molre.findings import GROUPS

_POINTS = 200
"""Corners kept of a curve: finer than a pixel of the plot."""


def roc(scores: Scores) -> list[dict[str, Any]]:
    """ROC curve of each group that has positives and negatives."""
    curves = []
    for group, labels, score in _groups(scores):
        false, true, _ = roc_curve(labels, score)
        curves.append(
            {
                "group": group,
                "positives": int(labels.sum()),
                "false_positive_rate": _thinned(false),
                "sensitivity": _thinned(true),
            }
        )
    return curves


def precision_recall(scores: Scores) -> list[dict[str, Any]]:
    """Precision against sensitivity of each group that has positives and negatives, with its prevalence.

    The prevalence is the precision of a guess; a curve is only worth what it is above it.
    """
    curves = []
    for group, labels, score in _groups(scores):
        precision, sensitivity, _ = precision_recall_curve(labels, score)
        curves.append(
            {
                "group": group,
                "positives": int(labels.sum()),
                "prevalence": float(labels.mean()),
                "sensitivity": _thinned(sensitivity[::-1]),
                "precision": _thinned(precision[::-1]),
            }
        )
    return curves


def _groups(scores: Scores) -> Iterator[tuple[str, Int8[np.ndarray, "known"], Float32[np.ndarray, "known"]]]:
    """Known labels and scores of each group that has both classes."""
    for group in GROUPS:
        labels, score = group_detection(scores, group)
        if not why_undefined(labels):
            yield group, labels[labels >= 0], score[labels >= 0]


def _thinned(values: Float64[np.ndarray, "corners"]) -> list[float]:
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int))
    return [float(value) for value in values[kept]]

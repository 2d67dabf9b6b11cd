"""Points of the curves that the report draws: one question a group, "is anything of it there?"."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
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
    for group in GROUPS:
        labels, score = group_detection(scores, group)
        if why_undefined(labels):
            continue
        known = labels >= 0
        false, true, _ = roc_curve(labels[known], score[known])
        positives = int((labels == 1).sum())
        curves.append(
            {
                "group": group,
                "positives": positives,
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
    for group in GROUPS:
        labels, score = group_detection(scores, group)
        if why_undefined(labels):
            continue
        known = labels >= 0
        precision, sensitivity, _ = precision_recall_curve(labels[known], score[known])
        curves.append(
            {
                "group": group,
                "positives": int((labels == 1).sum()),
                "prevalence": float((labels[known] == 1).mean()),
                "sensitivity": _thinned(sensitivity[::-1]),
                "precision": _thinned(precision[::-1]),
            }
        )
    return curves


def _thinned(values: Float64[np.ndarray, "corners"]) -> list[float]:
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int))
    return [float(value) for value in values[kept]]

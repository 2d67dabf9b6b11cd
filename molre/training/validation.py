"""What validation is judged by: the mean AUC over the findings with enough studies on either side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Int8

from molre.adapters import GateFigures
from molre.evaluation.auc import auc
from molre.evaluation.measures import enough

SCORE = "score"
"""Metric by which checkpoints are kept: mean validation AUC, 0 where no finding has one, -1 where not validated."""

BEST = "best"
"""Metric of the highest score so far, which is the score of the checkpoint that ends up in the bundle."""

CHECKPOINTS = "checkpoints"
"""Folder of a run's checkpoints, below its ``--out``."""


def mean_area(
    labels: Int8[np.ndarray, "rows findings"], scores: Float32[np.ndarray, "rows findings"], least: int
) -> tuple[float | None, int]:
    """Mean AUC over the findings with at least ``least`` positives and negatives, and how many those are.

    Where no finding has as many, all count that have both: on a small store a rough score is better than none.
    """
    cases = list(zip((labels == 1).sum(axis=0).tolist(), (labels == 0).sum(axis=0).tolist(), strict=True))
    counted = [at for at, sides in enumerate(cases) if enough(*sides, least)]
    if not counted:
        counted = [at for at, sides in enumerate(cases) if enough(*sides, 1)]
    areas = [auc(labels[:, at], scores[:, at]) for at in counted]
    defined = [area for area in areas if area is not None]
    return (float(np.mean(defined)) if defined else None), len(defined)


def merged(parts: Sequence[Mapping[str, GateFigures]]) -> dict[str, dict[str, float]]:
    """The gates of a split of which every worker saw a part, by site: the same on any number of workers.

    Returns:
        by site ``entropy``, ``effective`` and ``experts``; a site that no part has seen is left out.
    """
    sites = dict.fromkeys(site for part in parts for site in part)
    return {site: _merged([part[site] for part in parts if site in part]) for site in sites}


def _merged(figures: Sequence[GateFigures]) -> dict[str, float]:
    rows = np.array([one.rows for one in figures])
    mean = np.average([one.mean for one in figures], axis=0, weights=rows)
    used = mean[mean > 0]
    return {
        "entropy": float(np.average([one.entropy for one in figures], weights=rows)),
        "effective": math.exp(-float((used * np.log(used)).sum())),
        "experts": float(len(mean)),
    }

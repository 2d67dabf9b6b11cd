"""Resampling of whole patients, for any statistic that can be computed from weighted rows.

A resample is a weight a row: how often its patient was drawn. Series of one patient are not independent, so patients
are drawn and not series (Field & Welsh, J R Stat Soc B 2007;69:369-390). Statistics take a block of resamples at once,
laid out resample by row, so that what belongs to one resample lies together in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, Float64, Int64

_CELLS = 2**24
"""Weights held at once, so that a cohort of any size fits in memory."""

Weights = Float32[np.ndarray, "resamples rows"]


def patient_draws(
    strata: list[Int64[np.ndarray, "_"]], patients: int, resamples: int, generator: np.random.Generator
) -> Float32[np.ndarray, "{resamples} {patients}"]:
    """How often each patient is drawn in each resample, each stratum keeping its size.

    Args:
        strata: the patients' numbers, parted into strata.
        patients: how many patients there are in all; those in no stratum get 0.
        resamples: how many resamples to draw.
        generator: source of the draws.
    """
    counts = np.zeros((resamples, patients), np.float32)
    for members in strata:
        drawn = generator.integers(0, len(members), (resamples, len(members)), dtype=np.int32)
        for own, line in zip(counts, drawn, strict=True):
            own[members] = np.bincount(line, minlength=len(members))
    return counts


def blocks(rows: int, resamples: int) -> list[int]:
    """Resamples parted into sizes that fit in memory, the same for the same numbers."""
    size = max(1, min(resamples, _CELLS // max(1, rows)))
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def row_weights(
    clusters: Int64[np.ndarray, "rows"],
    strata: list[Int64[np.ndarray, "_"]],
    *,
    resamples: int,
    seed: int | list[int],
) -> Iterator[Weights]:
    """Weights of the rows, a block of resamples at a time.

    Args:
        clusters: number of the patient of each row, from 0.
        strata: the patients' numbers, parted into strata.
        resamples: how many in all.
        seed: the same seed gives the same resamples.
    """
    patients = int(clusters.max()) + 1 if len(clusters) else 0
    generator = np.random.default_rng(seed)
    for block in blocks(len(clusters), resamples):
        yield np.take(patient_draws(strata, patients, block, generator), clusters, axis=1)


def resampled(
    statistics: Callable[[Weights], Float64[np.ndarray, "figures resamples"]],
    clusters: Int64[np.ndarray, "rows"],
    *,
    resamples: int = 1000,
    seed: int | list[int] = 0,
) -> Float64[np.ndarray, "figures resamples"]:
    """Figures on common resamples of all patients.

    Figures of findings, models or subgroups that share patients err together: intervals of their means and of their
    differences need joint draws. No stratum can keep the positives of 75 findings at once; a resample in which a
    figure is undefined gives NaN there.

    Args:
        statistics: figures of a block of resamples, from the weights of the rows.
        clusters: number of the patient of each row, from 0.
        resamples: how many; 0 gives no column.
        seed: the same seed gives the same resamples.
    """
    patients = int(clusters.max()) + 1 if len(clusters) else 0
    everyone = [np.arange(patients, dtype=np.int64)] if patients else []
    nothing = statistics(np.zeros((0, len(clusters)), np.float32))
    drawn = row_weights(clusters, everyone, resamples=resamples, seed=seed)
    return np.concatenate([nothing, *map(statistics, drawn)], axis=1)

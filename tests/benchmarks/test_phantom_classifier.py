"""How hard each finding is: a plain classifier, trained on some patients of a phantom cohort and tested on others.

Features of blocks of 16 mm and of the histogram go into a forest of extremely randomised trees for each finding. It
knows nothing of where findings lie but what it learns. AUC is measured on patients that were left out, for all studies
that show a finding, and for the faintest and the plainest third of them.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from molre.findings import KEYS, group_of
from molre.phantom import CohortConfig, make_study
from molre.phantom.plan import make_plan
from molre.volume import Stack, grid_named, resample

STUDIES = int(os.environ.get("MOLRE_BENCH_PHANTOMS", "1000"))
CONFIG = CohortConfig(seed=91, rarest=0.06)
FOLDS, FEATURES, TREES, LEAST = 4, 400, 150, 20
BLOCK = (2, 8, 8)
EDGES_HU = (-3000, -900, -300, -150, -60, -10, 4, 10, 15, 19, 22, 25, 28, 31, 34, 37, 40, 44, 50, 56, 62, 70, 85,
            110, 160, 300, 700, 1300, 2200, 4000)  # fmt: skip


def volume(number: int) -> tuple[np.ndarray, list[int], dict[str, float], int]:
    """Features of a study, its labels, the severity of what was drawn, and its patient."""
    study, plan = make_study(CONFIG, number), make_plan(CONFIG, number)
    geometry = study.geometry
    stack = Stack(
        hu=study.hu, origins_mm=geometry.positions_mm, row_direction=np.array(geometry.row_cosine),
        column_direction=np.array(geometry.column_cosine), pixel_mm=(geometry.pixel_mm, geometry.pixel_mm),
    )  # fmt: skip
    hu = resample(stack, grid_named("demo")).hu.astype(np.float32)
    return (
        features(hu),
        [study.labels[key] for key in KEYS],
        {one.key: one.severity for one in plan.findings},
        plan.patient,
    )


def features(hu: np.ndarray) -> np.ndarray:
    blocks = hu.reshape(*(n for size, step in zip(hu.shape, BLOCK, strict=True) for n in (size // step, step)))
    blocks = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(*(s // b for s, b in zip(hu.shape, BLOCK, strict=True)), -1)
    mean = np.clip(blocks, -20, 90).mean(-1)
    parts = [
        mean,
        np.abs(mean - mean[:, :, ::-1]),
        np.clip(blocks.max(-1), -200, 3000),
        np.clip(blocks.min(-1), -1000, 60),
        ((blocks > 50) & (blocks < 100)).mean(-1),
        ((blocks > -10) & (blocks < 18)).mean(-1),
        blocks.std(-1),
    ]
    slabs = [np.log1p(np.histogram(slab, EDGES_HU)[0]) for slab in np.split(hu, 6)]
    return np.concatenate([part.ravel() for part in (*parts, *slabs)]).astype(np.float32)


def scores(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Predicted probability of one finding in each study, by trees that saw none of its patient."""
    told = np.zeros(len(y))
    for train, test in GroupKFold(FOLDS).split(x, groups=groups):
        centred = y[train] - y[train].mean()
        relation = np.abs(centred @ x[train]) / (x[train].std(0) + 1e-6)
        best = np.argsort(relation)[-FEATURES:]
        forest = ExtraTreesClassifier(
            TREES, max_features=0.15, min_samples_leaf=2, class_weight="balanced", random_state=0
        )
        told[test] = forest.fit(x[train][:, best], y[train]).predict_proba(x[test][:, best])[:, 1]
    return told


_SHARED: dict[str, np.ndarray] = {}


def _hold(x: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> None:
    _SHARED.update(x=x, labels=labels, groups=groups)


def _scores_of(place: int) -> np.ndarray:
    return scores(_SHARED["x"], _SHARED["labels"][:, place], _SHARED["groups"])


def auc(told: np.ndarray, present: np.ndarray, absent: np.ndarray) -> float:
    kept = present | absent
    return float(roc_auc_score(present[kept], told[kept])) if present.any() else float("nan")


@pytest.fixture(scope="module")
def cohort():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(volume, range(STUDIES), chunksize=8))
    x = np.stack([one[0] for one in found])
    x = x[:, x.std(0) > 1e-3]
    return (
        (x - x.mean(0)) / x.std(0),
        np.array([one[1] for one in found]),
        [one[2] for one in found],
        np.array([one[3] for one in found]),
    )


@pytest.mark.bench
def test_findings_can_be_learned_and_are_not_all_easy(cohort, table):
    x, labels, severities, groups = cohort
    places = [place for place in range(len(KEYS)) if LEAST <= labels[:, place].sum() <= STUDIES - LEAST]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=_hold, initargs=(x, labels, groups)) as pool:
        told = dict(zip(places, pool.map(_scores_of, places), strict=True))
    rows, found, by_third = [], {}, []
    for place in places:
        key, present = KEYS[place], labels[:, place] == 1
        found[key] = auc(told[place], present, ~present)
        severity = np.array([one.get(key, np.nan) for one in severities])
        drawn = present & np.isfinite(severity)
        thirds = [float("nan")] * 3
        if drawn.sum() >= LEAST:
            cuts = np.quantile(severity[drawn], (1 / 3, 2 / 3))
            third = np.digitize(severity, cuts)
            thirds = [auc(told[place], drawn & (third == n), ~present) for n in range(3)]
            by_third.append(thirds)
        rows.append([key, group_of(key), str(present.sum()), f"{found[key]:.2f}", *(f"{one:.2f}" for one in thirds)])
    rows.sort(key=lambda row: -float(row[3]))
    faint, middle, plain = np.nanmean(by_third, axis=0)
    values = np.array(list(found.values()))
    rows.append(["mean", "", "", f"{values.mean():.2f}", f"{faint:.2f}", f"{middle:.2f}", f"{plain:.2f}"])
    title = f"AUC of a plain classifier by finding, {STUDIES} phantoms, {FOLDS} folds by patient"
    table(title, ["finding", "group", "studies", "AUC", "faint third", "middle", "plain third"], rows)
    assert len(found) >= 65
    assert (values > 0.9).sum() >= 5
    assert (values < 0.8).sum() >= 10
    assert np.median(values) > 0.65
    assert plain > middle > faint
    assert plain > faint + 0.05

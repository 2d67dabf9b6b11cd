"""A search as two pictures: every trial as a line over its settings, and how much each setting mattered."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from molre.evaluation.svg import SERIES
from molre.tuning.config import CHOICES, FROM_ZERO
from molre.tuning.space import Space

INK, FAINT = "#333333", "#999999"
FEWEST = 4
"""Trials below which nothing can be said of importance."""


def parallel(rows: pd.DataFrame, space: Space) -> bytes:
    """Parallel coordinates: an axis a setting that varies, a line a trial, coloured by its score; the best is bold."""
    rows = rows[rows["score"].notna()].sort_values("score")
    names = _varied(rows, space)
    figure = Figure(figsize=(max(7.0, 1.35 * (len(names) + 1) + 1), 5.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    places = {name: _places(rows[name], name) for name in [*names, "score"]}
    heights = np.array([[at for at, _ in places[name]] for name in places]).T
    low, high = float(rows["score"].min()), float(rows["score"].max())
    map_ = colormaps["viridis_r"]
    for at, (line, score) in enumerate(zip(heights, rows["score"], strict=True)):
        share, best = (score - low) / max(1e-9, high - low), at == len(rows) - 1
        color = SERIES[1] if best else map_(0.1 + 0.85 * share)
        label = f"trial {rows['trial'].iloc[at]}, the best" if best else None
        axis.plot(range(len(places)), line, color=color, linewidth=3 if best else 1, alpha=1 if best else 0.55,
                  zorder=3 if best else 2, label=label)  # fmt: skip
    for at, name in enumerate(places):
        _scale(axis, at, places[name])
    axis.set_xticks(range(len(places)), [name.replace("_", "\n") for name in names] + ["validation\nmean AUC"])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=9.5, colors=INK)
    axis.set_xlim(-0.5, len(places) - 0.6)
    axis.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1.01))
    axis.set_title(f"{len(rows)} trials, darker with a higher score", loc="left", fontsize=11.5, color=INK)
    return _png(figure)


def importance(rows: pd.DataFrame, space: Space, seed: int) -> bytes:
    """How much of the score's spread each setting explains by itself and with others, by functional ANOVA."""
    shares = importances(rows, space, seed)
    figure = Figure(figsize=(7, 0.42 * max(3, len(shares)) + 1.5), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    if not shares:
        axis.text(0.5, 0.5, "too few trials, or all alike", transform=axis.transAxes, ha="center", color=INK)
    names = sorted(shares, key=lambda name: shares[name])
    bars = axis.barh([name.replace("_", " ") for name in names], [shares[name] for name in names], color=SERIES[0])
    axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=9, color=INK)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(colors=INK, labelsize=9.5)
    axis.set_xlim(0, max([*shares.values(), 0.1]) * 1.15)
    axis.set_xlabel("share of the spread of the score that the setting explains (fANOVA)", fontsize=9.5, color=INK)
    axis.set_title(f"What mattered in {int(rows['score'].notna().sum())} trials", loc="left", fontsize=11.5, color=INK)
    return _png(figure)


def importances(rows: pd.DataFrame, space: Space, seed: int) -> dict[str, float]:
    """Shares by setting, adding up to 1 (Hutter, Hoos, Leyton-Brown, ICML 2014); empty where nothing can be said.

    Settings that some trials do not have are left out. Trials that were stopped count with the score they reached.
    """
    rows = rows[rows["score"].notna()]
    names = [name for name in _varied(rows, space) if rows[name].notna().all()]
    if len(rows) < FEWEST or not names or rows["score"].nunique() < 2:
        return {}
    kinds = {name: _distribution(rows[name], name) for name in names}
    study = optuna.create_study(direction="maximize")
    for _, row in rows.iterrows():
        params = {name: row[name] for name in names}
        study.add_trial(optuna.trial.create_trial(value=float(row["score"]), params=params, distributions=kinds))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed)
        )


def _distribution(values: pd.Series, name: str) -> optuna.distributions.BaseDistribution:
    if name in CHOICES:
        return optuna.distributions.CategoricalDistribution(sorted(set(values)))
    return optuna.distributions.FloatDistribution(float(values.min()), float(values.max()), log=name not in FROM_ZERO)


def _varied(rows: pd.DataFrame, space: Space) -> list[str]:
    return [name for name in space.config.searched if rows[name].nunique() > 1]


def _places(values: pd.Series, name: str) -> list[tuple[float, str]]:
    """Height of each value on its axis, from 0 to 1, and what to write there; none is below the axis."""
    if name in CHOICES:
        kinds = sorted(set(values.dropna()))
        heights = [kinds.index(each) / max(1, len(kinds) - 1) if each in kinds else np.nan for each in values]
        return [(height, str(_plain(each))) for height, each in zip(heights, values, strict=True)]
    numbers = values.to_numpy(float)
    scaled = numbers if name in (*FROM_ZERO, "score") else np.log(numbers)
    low, high = np.nanmin(scaled), np.nanmax(scaled)
    return [
        (float((one - low) / max(1e-12, high - low)), f"{number:.3g}")
        for one, number in zip(scaled, numbers, strict=True)
    ]


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) else value


def _scale(axis: Axes, at: int, places: Sequence[tuple[float, str]]) -> None:
    """A vertical axis with its values: all of a choice, the ends of a range."""
    axis.plot([at, at], [0, 1], color=FAINT, linewidth=1, zorder=1)
    told = {height: text for height, text in places if np.isfinite(height)}
    heights = sorted(told)
    for height in heights if len(heights) <= 6 else (heights[0], heights[-1]):
        axis.text(at - 0.06, height, told[height], fontsize=8.5, color=INK, ha="right", va="center", zorder=4,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8})  # fmt: skip


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()

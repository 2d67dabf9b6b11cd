"""A run as one picture: loss, validation AUC, learning rate and what the routers do, over the same epochs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from molre.evaluation.svg import DASHES, SERIES
from molre.findings import KEYS

FAINT, INK = "#b9c7d1", "#333333"
MOST_SITES = 6
"""Sites that get a line each; of more, the mean is drawn with the range between the least and the most."""
SMOOTHING = 40
"""The smoothed loss averages over this part of the run, at least five steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What is drawn.

    Attributes:
        title: what was trained.
        losses: of every step.
        rates: learning rate of every step.
        steps_per_epoch: to draw steps where their epoch is.
        validations: as checkpoints keep them.
    """

    title: str
    losses: Float32[np.ndarray, " taken"]
    rates: Float[np.ndarray, " taken"]
    steps_per_epoch: int
    validations: Sequence[Mapping[str, Any]]


def png(history: History) -> bytes:
    """The picture as a PNG file."""
    gated = any(each["gates"] for each in history.validations)
    panels = [_loss, _auc, _rate, *([_effective, _entropy] if gated else [])]
    heights = [3.0, 3.0, 1.4, 2.0, 2.0][: len(panels)]
    figure = Figure(figsize=(9, sum(heights) + 1.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for draw, axis in zip(panels, axes, strict=True):
        _styled(axis)
        draw(axis, history)
    axes[-1].set_xlabel("epoch: how often every training study was seen")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(history.title, fontsize=12, color=INK, x=0.01, ha="left")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


def smoothed(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, " n"]:
    """Means over a window centred on each value; at the ends over the part of it that is there."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at, half = np.arange(len(values)), window // 2
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def best_of(validations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The validation with the highest mean AUC, the last of those that are as good; None where there is none."""
    scored = [each for each in validations if each["mean_auc"] is not None]
    return max(scored, key=lambda each: (each["mean_auc"], each["taken"]), default=None)


def _styled(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#999999")
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axis.tick_params(colors=INK, labelsize=9)
    axis.set_axisbelow(True)


def _named(axis: Axes, title: str, means: str) -> None:
    """A panel's name, and in a lighter voice how to read it."""
    axis.set_title(title, loc="left", fontsize=10.5, color=INK, fontweight="bold")
    axis.set_title(means, loc="right", fontsize=8.5, color="#666666")


def _epochs(history: History) -> Float[np.ndarray, " taken"]:
    return (np.arange(len(history.losses)) + 1) / history.steps_per_epoch


def _loss(axis: Axes, history: History) -> None:
    window = max(5, len(history.losses) // SMOOTHING)
    axis.plot(_epochs(history), history.losses, color=FAINT, linewidth=0.8, label="each step")
    axis.plot(
        _epochs(history), smoothed(history.losses, window), color=SERIES[0], linewidth=1.8, label=f"mean of {window}"
    )
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8.5, loc="upper right", ncols=2)
    _named(axis, "Training loss", "lower is better")


def _auc(axis: Axes, history: History) -> None:
    scored = [each for each in history.validations if each["mean_auc"] is not None]
    epochs, areas = [each["epoch"] for each in scored], [each["mean_auc"] for each in scored]
    axis.plot(epochs, areas, color=SERIES[1], linewidth=1.8, marker="o", markersize=4)
    best = best_of(history.validations)
    if best is None:
        told = "no finding has both classes in the validation split"
        axis.text(0.5, 0.5, told, transform=axis.transAxes, ha="center")
        _named(axis, "Validation: mean AUC", "")
        return
    axis.axhline(best["mean_auc"], color=SERIES[1], linewidth=0.8, linestyle=":")
    axis.axhline(0.5, color="#999999", linewidth=0.8, linestyle="--")
    axis.plot(best["epoch"], best["mean_auc"], "o", markersize=10, mfc="none", mec=INK, mew=1.5)
    axis.set_ylim(min(0.5, *areas) - 0.02, min(1.0, max(areas) + 0.1))
    told = f"0.5: chance; best {best['mean_auc']:.3f} after epoch {best['epoch']}, circled: it is in the bundle"
    _named(axis, f"Validation: mean AUC over {best['findings']} of {len(KEYS)} findings", told)


def _rate(axis: Axes, history: History) -> None:
    axis.plot(_epochs(history), history.rates, color=SERIES[5], linewidth=1.5)
    axis.set_ylim(bottom=0)
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axis.yaxis.get_offset_text().set_fontsize(8.5)
    _named(axis, "Learning rate", "how large a step is")


def _effective(axis: Axes, history: History) -> None:
    experts = _sites(axis, history, "effective")
    axis.axhline(experts, color="#999999", linewidth=0.8, linestyle="--")
    axis.set_ylim(0.9, experts * 1.06)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    _named(axis, "Experts in use over all gates", f"{experts:.0f}: all of them; 1: the router has collapsed")


def _entropy(axis: Axes, history: History) -> None:
    _sites(axis, history, "entropy")
    axis.set_ylim(-0.03, 1.05)
    _named(axis, "Entropy of a gate", "1: all experts count the same; 0: one is chosen")


def _sites(axis: Axes, history: History, figure: str) -> float:
    """Draw a figure of every site, and return the largest number of experts."""
    gated = [each for each in history.validations if each["gates"]]
    epochs = [each["epoch"] for each in gated]
    sites = list(gated[-1]["gates"])
    values = np.array([[each["gates"][site][figure] for site in sites] for each in gated])
    if len(sites) > MOST_SITES:
        axis.fill_between(epochs, values.min(1), values.max(1), color=FAINT, alpha=0.6, linewidth=0)
        axis.plot(epochs, values.mean(1), color=SERIES[2], linewidth=1.8, marker="o", markersize=3)
        axis.text(0.01, 0.06, f"mean and range of {len(sites)} sites", transform=axis.transAxes, fontsize=8.5)
    else:
        for at, site in enumerate(sites):
            dashes = tuple(map(float, DASHES[at].split()))
            style: Any = (0, dashes) if dashes else "solid"
            axis.plot(epochs, values[:, at], color=SERIES[at + 2], linestyle=style, linewidth=1.8, marker="o",
                      markersize=3, label=site)  # fmt: skip
        if len(sites) > 1:
            axis.legend(frameon=False, fontsize=8, loc="lower left")
    return float(max(each["gates"][site]["experts"] for each in gated for site in sites))

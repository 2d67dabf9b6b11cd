"""The benchmark as a picture: mean areas of every row, and what each gains over its references."""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from molre.benchmarking.table import REFERENCES, Row, Table
from molre.benchmarking.words import counted_seeds, p_value
from molre.evaluation.interval import Interval
from molre.evaluation.svg import SERIES

INK = "#333333"
MARKS = dict(zip(REFERENCES, "osD", strict=True))
COLOURS = dict(zip(REFERENCES, SERIES, strict=False))


def png(made: Table) -> bytes:
    """The picture as a PNG file."""
    figure = Figure(figsize=(11, 1.9 + 0.55 * len(made.rows)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25), sharey=True)
    for axis in (left, right):
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.grid(axis="x", color="#e6e6e6", linewidth=0.8)
        axis.tick_params(colors=INK, labelsize=9, left=False)
        axis.set_axisbelow(True)
    _areas(left, made)
    _gains(right, made)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def _areas(axis: Axes, made: Table) -> None:
    for at, row in enumerate(made.rows):
        _bar(axis, row.auc, float(at), INK, "o")
    axis.set_yticks(range(len(made.rows)), [_name(row) for row in made.rows])
    axis.invert_yaxis()
    axis.set_xlabel("mean AUC with 95 % interval", fontsize=9)
    axis.set_title(f"{len(made.findings)} findings, {made.patients} patients, {counted_seeds(made.seeds)}", loc="left",
                   fontsize=10.5, color=INK, fontweight="bold")  # fmt: skip


def _gains(axis: Axes, made: Table) -> None:
    axis.axvline(0, color="#999999", linewidth=1)
    told = set()
    for at, row in enumerate(made.rows):
        for place, (name, found) in enumerate(row.gains.items()):
            height = at + 0.24 * (place - (len(row.gains) - 1) / 2)
            _bar(axis, found.macro, height, COLOURS[name], MARKS[name], "" if name in told else f"over {name}")
            told.add(name)
            if found.p is not None and found.macro.high is not None:
                axis.annotate(p_value(found.p), (found.macro.high, height), xytext=(5, 0), textcoords="offset points",
                              va="center", fontsize=7.5, color="#555555")  # fmt: skip
    axis.margins(x=0.18)
    axis.set_xlabel("gain in mean AUC with 95 % interval, paired by patient and seed", fontsize=9)
    axis.set_title("Gain over the references", loc="left", fontsize=10.5, color=INK, fontweight="bold")
    if told:
        axis.legend(
            frameon=False,
            fontsize=8.5,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(told),
            borderaxespad=0.2,
        )


def _name(row: Row) -> str:
    return f"{row.backbone}\n{row.adapter}"


def _bar(axis: Axes, interval: Interval, height: float, colour: str, mark: str, label: str = "") -> None:
    if interval.value is None:
        return
    if interval.low is not None and interval.high is not None:
        axis.plot([interval.low, interval.high], [height, height], color=colour, linewidth=1.8, solid_capstyle="butt")
    axis.plot(interval.value, height, mark, color=colour, markersize=5.5, label=label or "_")

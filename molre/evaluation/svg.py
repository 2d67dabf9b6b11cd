"""Drawings of the report as inline SVG: interval bars, curves, calibration, expert use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

SERIES = ("#1f5f8b", "#b5532a", "#3b7d4f", "#7a4a8c", "#8a6d1d", "#4a4a4a", "#a33b5e", "#2f8f8f")
"""Line colours of at least 4.5:1 contrast on white, told apart by dash as well as by hue."""

DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "4 2", "1 2", "10 2 2 2 2 2")
"""Dash patterns, so that curves are told apart in print and without colour vision."""

_PLOT = 260.0
_LEFT, _TOP, _BOTTOM = 46.0, 10.0, 44.0


def interval_bar(auc: Mapping[str, Any], *, width: int = 180) -> str:
    """An AUC on a scale from 0 to 1: the interval as a bar, the value as a tick, 0.5 (chance) as a dotted line."""
    if auc["value"] is None:
        return ""
    at = [float(auc[end]) * width if auc[end] is not None else float(auc["value"]) * width for end in ("low", "high")]
    value = float(auc["value"]) * width
    bar = f'<rect class="bar" x="{at[0]:.1f}" y="5" width="{max(1.0, at[1] - at[0]):.1f}" height="6"/>'
    return (
        f'<svg class="interval" width="{width}" height="16" viewBox="-1 0 {width + 2} 16" role="img" '
        f'aria-label="AUC {auc["value"]:.3f}">'
        f'<line class="track" x1="0" x2="{width}" y1="8" y2="8"/>'
        f'<line class="chance" x1="{width / 2}" x2="{width / 2}" y1="1" y2="15"/>'
        f'{bar}<line class="value" x1="{value:.1f}" x2="{value:.1f}" y1="1.5" y2="14.5"/></svg>'
    )


def scale(*, width: int = 180) -> str:
    """The axis that heads a column of interval bars."""
    marks = "".join(
        f'<text x="{at * width}" y="11" text-anchor="{anchor}">{at:g}</text>'
        for at, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    size = f'width="{width}" height="14" viewBox="-1 0 {width + 2} 14"'
    return f'<svg class="interval" {size} aria-hidden="true">{marks}</svg>'


def roc(curves: Sequence[Mapping[str, Any]]) -> str:
    """ROC curves on one square."""
    drawn = [_diagonal()]
    for at, curve in enumerate(curves):
        points = _points(curve["false_positive_rate"], curve["sensitivity"])
        drawn.append(f'<polyline points="{points}" {_stroke(at)}/>')
    return _square("".join(drawn), "1 − specificity", "sensitivity", "ROC curves by group")


def precision_recall(curves: Sequence[Mapping[str, Any]]) -> str:
    """Curves of precision against sensitivity on one square."""
    drawn = "".join(
        f'<polyline points="{_points(curve["sensitivity"], curve["precision"])}" {_stroke(at)}/>'
        for at, curve in enumerate(curves)
    )
    return _square(drawn, "sensitivity", "precision", "Precision and sensitivity by group")


def _points(across: Sequence[float], up: Sequence[float]) -> str:
    return " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in zip(across, up, strict=True))


def legend_line(at: int) -> str:
    """A short piece of the line with which curve number ``at`` is drawn."""
    return f'<svg width="34" height="8" aria-hidden="true"><line x1="0" x2="34" y1="4" y2="4" {_stroke(at)}/></svg>'


def calibration(curve: Mapping[str, Any]) -> str:
    """Predicted against observed frequency; the area of a dot grows with the number of predictions."""
    total = sum(curve["count"]) or 1
    points = [
        (predicted, observed, count)
        for predicted, observed, count in zip(curve["predicted"], curve["observed"], curve["count"], strict=True)
        if predicted is not None
    ]
    line = " ".join(f"{_x(predicted):.1f},{_y(observed):.1f}" for predicted, observed, _ in points)
    dots = "".join(
        f'<circle class="dot" cx="{_x(predicted):.1f}" cy="{_y(observed):.1f}" r="{_radius(count / total):.1f}">'
        f"<title>{count} predictions: {predicted:.3f} predicted, {observed:.3f} observed</title></circle>"
        for predicted, observed, count in points
    )
    body = f'{_diagonal()}<polyline points="{line}" {_stroke(0)}/>{dots}'
    return _square(body, "predicted probability", "share that is positive", "Calibration")


def _radius(share: float) -> float:
    """Radius of a dot whose area grows with a share."""
    return 2.5 + 9 * share**0.5


def shares(values: Sequence[float], labels: Sequence[str]) -> str:
    """Horizontal bars of shares, the even share as a dotted line."""
    width, row = 300.0, 22
    even = width / len(values)
    bars = "".join(
        f'<text x="-8" y="{at * row + 14}" text-anchor="end">{escape(label)}</text>'
        f'<rect class="bar" x="0" y="{at * row + 3}" width="{value * width:.1f}" height="14"/>'
        f'<text x="{value * width + 6:.1f}" y="{at * row + 14}">{value:.3f}</text>'
        for at, (value, label) in enumerate(zip(values, labels, strict=True))
    )
    height = row * len(values)
    return (
        f'<svg class="plot" width="440" height="{height}" viewBox="-80 0 440 {height}" role="img" '
        f'aria-label="Mean gate by expert">'
        f'{bars}<line class="chance" x1="{even:.1f}" x2="{even:.1f}" y1="0" y2="{height}"/></svg>'
    )


def differences(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Experts across, findings down: how much more (blue) or less (red) gate an expert has where the finding is.

    A cell is as strong as its difference, and outlined where that is over three standard errors.
    """
    experts, cell, row, left = len(rows[0]["difference"]), 46, 18, 330
    most = max(max(map(abs, entry["difference"])) for entry in rows) or 1.0
    heads = "".join(
        f'<text x="{left + at * cell + cell / 2}" y="12" text-anchor="middle">{at + 1}</text>' for at in range(experts)
    )
    body = ""
    for line, (entry, name) in enumerate(zip(rows, names, strict=True)):
        top = 18 + line * row
        body += f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>'
        for at, (value, error) in enumerate(zip(entry["difference"], entry["standard_error"], strict=True)):
            sure = ' stroke="#222" stroke-width="1.2"' if error and abs(value) > 3 * error else ""
            body += (
                f'<rect x="{left + at * cell}" y="{top}" width="{cell - 2}" height="{row - 2}" '
                f'fill="{"#1f5f8b" if value > 0 else "#a3342a"}" fill-opacity="{abs(value) / most:.2f}"{sure}>'
                f"<title>{escape(name)}, expert {at + 1}: {value:+.4f} (standard error {error:.4f})</title></rect>"
            )
    width, height = left + experts * cell + 4, 20 + len(rows) * row
    return (
        f'<svg class="plot" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Gate with a finding less gate without it, by expert">{heads}{body}</svg>'
    )


def _stroke(at: int) -> str:
    dash = DASHES[at % len(DASHES)]
    return f'fill="none" stroke="{SERIES[at % len(SERIES)]}" stroke-width="1.8"' + (
        f' stroke-dasharray="{dash}"' if dash else ""
    )


def _x(share: float) -> float:
    return _LEFT + share * _PLOT


def _y(share: float) -> float:
    return _TOP + (1 - share) * _PLOT


def _diagonal() -> str:
    return f'<line class="chance" x1="{_x(0.0)}" y1="{_y(0.0)}" x2="{_x(1.0)}" y2="{_y(1.0)}"/>'


def _square(body: str, across: str, up: str, title: str) -> str:
    """Axes from 0 to 1 both ways around a drawing."""
    width, height = _LEFT + _PLOT + 14, _TOP + _PLOT + _BOTTOM
    ticks = "".join(
        f'<line class="grid" x1="{_x(at)}" x2="{_x(at)}" y1="{_y(0.0)}" y2="{_y(1.0)}"/>'
        f'<line class="grid" x1="{_x(0.0)}" x2="{_x(1.0)}" y1="{_y(at)}" y2="{_y(at)}"/>'
        f'<text x="{_x(at)}" y="{_y(0.0) + 15}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_x(0.0) - 6}" y="{_y(at) + 4}" text-anchor="end">{at:g}</text>'
        for at in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    middle = _TOP + _PLOT / 2
    return (
        f'<svg class="plot" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" aria-label="{escape(title)}">{ticks}{body}'
        f'<text x="{_x(0.5)}" y="{height - 8:.0f}" text-anchor="middle">{escape(across)}</text>'
        f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{escape(up)}</text></svg>'
    )

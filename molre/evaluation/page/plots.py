"""Curves and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from molre.evaluation import svg
from molre.evaluation.page.words import number, text
from molre.evaluation.report import in_words

_SHOWN = 4
"""Curves drawn on one square: those of the groups with most positives."""


def curves(report: Mapping[str, Any]) -> str:
    """ROC and precision curves, and predicted against observed frequency."""
    return (
        '<div class="plots">'
        + _figure("ROC of “any finding of the group”", svg.roc, report["roc"])
        + _figure("Precision and sensitivity of the same", svg.precision_recall, report["precision_recall"])
        + _calibration(report)
        + "</div>"
    )


def _figure(title: str, draw: Any, found: Sequence[Mapping[str, Any]]) -> str:
    shown = sorted(found, key=lambda curve: -curve["positives"])[:_SHOWN]
    if not shown:
        drawn = '<p class="soft">No group has both positives and negatives.</p>'
    else:
        entries = "".join(f"<li>{svg.legend_line(at)}{_entry(curve)}</li>" for at, curve in enumerate(shown))
        drawn = f'{draw(shown)}<ul class="legend">{entries}</ul>'
    return f"<figure><figcaption>{title}</figcaption>{drawn}</figure>"


def _entry(curve: Mapping[str, Any]) -> str:
    chance = f", chance {curve['prevalence']:.2f}" if "prevalence" in curve else ""
    return f"{text(in_words(curve['group']))}, {curve['positives']:,} positive series{chance}"


def _calibration(report: Mapping[str, Any]) -> str:
    found = report["calibration"]
    by = found["findings_by_fit"]
    said = (
        f"The probabilities are calibrated: {by['own']} findings by a curve of their own, {by['shared']} by a shared "
        f"one, {by['none']} not. The curves were fitted on the validation split."
        if found["applied"]
        else "The probabilities are not calibrated: they order scans, and are no frequencies."
    )
    return (
        f"<figure><figcaption>Calibration over all findings (expected calibration error {number(found['ece'])})"
        f'</figcaption>{svg.calibration(found)}<p class="soft">{said} On the dotted line a probability means what it '
        "says. A dot’s area grows with the number of predictions behind it.</p></figure>"
    )

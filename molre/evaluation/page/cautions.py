"""What must not be concluded from the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def cautions(report: Mapping[str, Any]) -> str:
    """The section, with what holds of this report in particular first."""
    return "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in _sentences(report)) + "</ul>"


def _sentences(report: Mapping[str, Any]) -> Iterator[str]:
    if report["evaluated"]["source"] == "phantom":
        yield "<b>Nothing about patients.</b> The scans are synthetic, and so are their labels."
    if report["evaluated"]["split"] != "test":
        yield (
            f"<b>Nothing about new scans.</b> These are of the {report['evaluated']['split']} split, which the model, "
            "its thresholds or its calibration were made on: the figures flatter it."
        )
    common, macro = report["macro"]["common"], report["macro"]
    if common["findings"] < len(report["findings"]):
        yield (
            f"<b>Not that all {len(report['findings'])} findings were tested.</b> {macro['findings']} have an AUC, "
            f"and {common['findings']} have {common['min_positives']} positives and negatives or more. A mean over "
            "other findings, or over another split’s, is another figure."
        )
    yield (
        "<b>Not that a finding is read well because its AUC is the highest, or badly because it is the lowest.</b> Of "
        "75 figures the extremes are extreme by chance too: look at the intervals, which are each for one finding."
    )
    yield (
        "<b>Not that two models differ because their intervals do, or are alike because they overlap.</b> Models on "
        "the same scans are compared scan by scan, and corrected for the number of findings."
    )
    yield (
        "<b>Not that the model sees the finding.</b> An AUC is as high for a model that reads the scanner, a drain or "
        "another finding that comes with it."
    )
    yield (
        "<b>Not how many alarms are true elsewhere.</b> Precision, Brier and calibration move with the prevalence; "
        "AUC moves with how hard the cases are."
    )
    yield "<b>Not that the labels are right.</b> What a report or reader missed counts as an error of the model."
    yield "<b>Not that anyone is helped.</b> Whether a reader does better with the model takes a study with readers."

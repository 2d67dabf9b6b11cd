"""The top of the page: what it is of, the few figures that stand for the rest, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molre.evaluation.page.words import number, span, text

_PHANTOM = (
    "These are synthetic scans made by the software itself. The figures show that the pipeline works; they say "
    "nothing about how well it detects findings in patients."
)
_RESEARCH = (
    "Research use only: not a medical device. The figures hold for the scans described below and need not hold for "
    "another site, scanner or population."
)


def notices(report: Mapping[str, Any]) -> str:
    """What has to be known before any figure is read."""
    sentences = ([_PHANTOM] if report["evaluated"]["source"] == "phantom" else []) + [_RESEARCH]
    return "".join(f'<div class="notice" role="note"><p>{sentence}</p></div>' for sentence in sentences)


def figures(report: Mapping[str, Any]) -> str:
    """The few figures that stand at the top."""
    macro, subject = report["macro"], report["evaluated"]
    common, weighted = macro["common"], macro["prevalence_weighted"]
    least = common["min_positives"]
    shown = [
        (number(macro["auc"]["value"]), "mean AUC over findings", _said(macro["auc"])),
        (
            number(common["auc"]["value"]),
            f"mean AUC, findings with {least} positives and {least} negatives or more",
            f"{common['findings']} findings; {_said(common['auc'])}" if common["findings"] else _said(common["auc"]),
        ),
        (number(weighted["auc"]["value"]), "mean AUC weighted by prevalence", _said(weighted["auc"])),
        (
            f"{macro['findings']} of {len(report['findings'])}",
            "findings with an AUC",
            "the rest lack positives or negatives" if macro["findings"] < len(report["findings"]) else "",
        ),
        (f"{subject['studies']:,}", "studies", f"{subject['patients']:,} patients, {subject['series']:,} series"),
    ]
    items = "".join(
        f'<li><b>{text(value)}</b>{text(name)}<br><span class="soft">{text(note)}</span></li>'
        for value, name, note in shown
    )
    return f'<ul class="figures">{items}</ul>'


def _said(interval: Mapping[str, Any]) -> str:
    ends = span(interval)
    return f"95 % interval {ends}" if ends else str(interval.get("reason", "no interval"))


def reading(report: Mapping[str, Any]) -> str:
    """What the figures mean."""
    resamples = report["bootstrap"]["resamples"]
    points = (
        "<b>AUC</b> is the chance that a scan with the finding scores higher than one without it: 1 is perfect, 0.5 "
        "(dotted) is chance. It does not depend on a threshold.",
        f"<b>The bar</b> is the 95 % interval, from {resamples:,} bootstrap resamples of whole patients. A "
        "wide bar means few positives: read the count beside it first. With fewer than ten positive or negative "
        "patients, where the bootstrap is too sure of itself, the interval is widened by a bound made for few cases.",
        "<b>A dash</b> means that the figure is undefined, because the scans hold no positive or no negative. Such a "
        "finding takes no part in any mean.",
        "<b>Unknown labels</b> (nobody looked for the finding) are left out; they are not negatives.",
        "<b>Average precision</b> is the mean share of true alarms over the positives. Chance gives the prevalence, so "
        "that it cannot be compared between findings.",
        "<b>Sensitivity at a specificity</b> is read off the curve of these very scans: it tells how far the scores "
        "separate, not what a threshold chosen beforehand gives. That is under operating points.",
        "<b>Brier</b> is the mean squared error of the probabilities, <b>ECE</b> the expected calibration error: of "
        "both, less is better.",
    )
    return "<ul>" + "".join(f"<li>{point}</li>" for point in points) + "</ul>"

"""The report as one HTML page that needs nothing else: no font, picture or script from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from molre.evaluation.page.cautions import cautions
from molre.evaluation.page.experts import experts
from molre.evaluation.page.facts import facts
from molre.evaluation.page.findings import findings, groups, operating_points
from molre.evaluation.page.gaps import gaps
from molre.evaluation.page.headline import figures, notices, reading
from molre.evaluation.page.misses import misses
from molre.evaluation.page.plots import curves
from molre.evaluation.page.words import backbone_and_adapter, text

_SECTIONS = (
    ("What not to conclude", cautions),
    ("How to read this", reading),
    ("By group of findings", groups),
    ("By finding", findings),
    ("Curves and calibration", curves),
    ("Operating points", operating_points),
    ("Subgroups", gaps),
    ("Most confident errors", misses),
    ("Use of the experts", experts),
    ("What was evaluated", facts),
)
"""Titles of the sections, in order, and what writes each; one that writes nothing is left out."""


def page(report: Mapping[str, Any], pictures: list[str] | None = None) -> str:
    """The whole page of a report that :func:`molre.evaluation.report.build` made.

    Args:
        report: every figure.
        pictures: of its errors, in their order, as data URIs; without them the errors are named only.
    """
    subject = report["evaluated"]
    told = {**report, "pictures": pictures or []}
    written = [(title, write(told)) for title, write in _SECTIONS]
    sections = "\n".join(f"<section><h2>{title}</h2>\n{inside}</section>" for title, inside in written if inside)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation: {text(backbone_and_adapter(subject))}</title>"
        f"<style>\n{_file('page.css')}</style></head>\n<body>\n<main>"
        f"<h1>Head CT findings: evaluation on the {text(subject['split'])} split</h1>\n"
        f'<p class="soft">{text(backbone_and_adapter(subject))}</p>\n'
        f"{notices(report)}\n{figures(report)}\n{sections}\n</main>\n"
        f"<script>\n{_file('table.js')}</script>\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return (resources.files("molre.evaluation.page") / name).read_text(encoding="utf-8")

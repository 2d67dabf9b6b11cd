"""The tables by group and by finding, and the operating points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from molre.evaluation import svg
from molre.evaluation.page.words import heads, number, row, span, table, text
from molre.evaluation.report import in_words

_POINTS = {
    "youden": "greatest sum of sensitivity and specificity (Youden)",
    "sensitivity_0.95": "sensitivity of 0.95",
    "specificity_0.95": "specificity of 0.95",
}
"""Operating points as people read them."""


def groups(report: Mapping[str, Any]) -> str:
    """Means by group."""
    head = heads(
        (
            "Group",
            svg.scale(),
            "AUC",
            "95 % interval",
            "Findings with AUC",
            "Positive labels",
            "Series with any",
            "AUC of “any”",
            "Average precision",
            "Brier",
        )
    )
    rows = [
        row(
            (
                f'<a href="#{text(one["group"])}">{text(in_words(one["group"]))}</a>',
                svg.interval_bar(one["auc"]),
                number(one["auc"]["value"]),
                span(one["auc"]),
                f"{one['findings_with_auc']} of {one['findings']}",
                f"{one['positives']:,}",
                f"{one['positive_series']:,}",
                number(one["any_finding_auc"]),
                number(one["average_precision"]["value"]),
                number(one["brier"]["value"]),
            ),
            "" if one["auc"]["value"] is not None else "undefined",
        )
        for one in report["groups"]
    ]
    macro = report["macro"]
    total = (
        "Mean over findings",
        svg.interval_bar(macro["auc"]),
        number(macro["auc"]["value"]),
        span(macro["auc"]),
        f"{macro['findings']} of {len(report['findings'])}",
        f"{sum(one['positives'] for one in report['findings']):,}",
        "",
        "",
        number(macro["average_precision"]["value"]),
        number(macro["brier"]["value"]),
    )
    note = (
        '<p class="soft">A group’s figures are means over its findings. “Any” asks one question of each scan, whether '
        "anything of the group is there, with the highest probability in the group as its score.</p>"
    )
    return table(head, [*rows, row(total, "total")], attributes='class="bars"') + note


_COLUMNS = (
    "Finding",
    "Group",
    "AUC from 0 to 1",
    "AUC",
    "95 % interval",
    "Pos.",
    "Neg.",
    "Average precision",
    "Sens. at spec. 0.90",
    "Sens. at spec. 0.95",
    "Spec. at sens. 0.90",
    "Spec. at sens. 0.95",
    "Brier",
    "ECE",
)
_FIGURES = (
    "average_precision",
    "sensitivity_at_specificity_0.90",
    "sensitivity_at_specificity_0.95",
    "specificity_at_sensitivity_0.90",
    "specificity_at_sensitivity_0.95",
    "brier",
    "ece",
)


def findings(report: Mapping[str, Any]) -> str:
    """Every finding, with a search field and columns that sort."""
    search = (
        '<p class="search" hidden><label for="find">Search findings and groups</label> '
        '<input id="find" type="search" data-table="findings" autocomplete="off"> '
        f'<output for="find">{len(report["findings"])} of {len(report["findings"])} findings</output></p>'
    )
    head = [f'<th scope="col"><button type="button" disabled>{name}</button></th>' for name in _COLUMNS]
    seen: set[str] = set()
    rows = []
    for one in report["findings"]:
        anchor = "" if one["group"] in seen else f' id="{text(one["group"])}"'
        seen.add(one["group"])
        rows.append(_finding(one, anchor))
    left_out = report["macro"]["common"]["left_out"]
    least = report["macro"]["common"]["min_positives"]
    note = (
        f'<p class="soft">{len(left_out)} findings have fewer than {least} positives or {least} negatives and count '
        "only for the first mean; report.json lists them.</p>"
    )
    return search + table(head, rows, attributes='id="findings" class="sortable bars"') + note


def _finding(one: Mapping[str, Any], anchor: str) -> str:
    defined = one["auc"]["value"] is not None
    group = in_words(one["group"])
    value = one["auc"]["value"]
    cells = [
        (value, svg.interval_bar(one["auc"]) if defined else ""),
        (value, number(value)),
        (one["auc"]["low"], span(one["auc"]) if defined else text(one["auc"]["reason"])),
        (one["positives"], f"{one['positives']:,}"),
        (one["negatives"], f"{one['negatives']:,}"),
        *((one[metric]["value"], _hinted(one[metric])) for metric in _FIGURES),
    ]
    inside = f'<td class="name">{text(one["name"])}</td><td class="name">{text(group)}</td>' + "".join(
        f'<td data-value="{"" if sorted_by is None else sorted_by}">{shown}</td>' for sorted_by, shown in cells
    )
    kind = "" if defined else ' class="undefined"'
    words = text(f"{one['name']} {one['key']} {group}".lower())
    return f'<tr{anchor}{kind} data-words="{words}">{inside}</tr>'


def _hinted(interval: Mapping[str, Any]) -> str:
    """The figure, its interval as a hint."""
    ends = span(interval)
    hint = f' title="95 % interval {ends}"' if ends else ""
    return f"<span{hint}>{number(interval['value'])}</span>"


def operating_points(report: Mapping[str, Any]) -> str:
    """What the bundle's thresholds do on these scans."""
    names: Sequence[str] = list(report["findings"][0]["operating_points"])
    shown = [one for one in report["findings"] if any(one["operating_points"].values())]
    if not shown:
        return '<p class="soft">The bundle has no thresholds.</p>'
    text_of = "; ".join(text(_POINTS.get(name, name)) for name in names)
    told = (
        f"<p>Each threshold was chosen on the validation split: {text_of}. Here is what it gives on these scans, "
        "with intervals in report.json. A point with too few cases on the validation split has no threshold.</p>"
    )
    head = heads(["Finding", *(f"{text(name.replace('_', ' '))}: {what}" for name in names for what in _WHAT)])
    return told + table(head, [row(_points(one, names)) for one in shown])


_WHAT = ("threshold", "sens.", "spec.")


def _points(one: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    cells = [text(one["name"])]
    for name in names:
        point = one["operating_points"][name]
        cells += (
            ["–"] * len(_WHAT)
            if point is None
            else [
                number(point["value"]),
                number(point["sensitivity"]["value"], 2),
                number(point["specificity"]["value"], 2),
            ]
        )
    return cells

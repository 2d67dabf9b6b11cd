"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from typing import Any

from molre.evaluation import svg
from molre.evaluation.report import in_words

_PHANTOM = (
    "These are synthetic scans made by the software itself. The figures show that the pipeline works; they say "
    "nothing about how well it detects findings in patients."
)
_RESEARCH = (
    "Research use only: not a medical device. The figures hold for the scans described below and need not hold for "
    "another site, scanner or population."
)

_SPECIALISTS = 30
"""Findings that the picture of experts shows; report.json has them all."""


def page(report: Mapping[str, Any]) -> str:
    """The whole page of a report that :func:`molre.evaluation.report.build` made."""
    css = (resources.files("molre.evaluation") / "report.css").read_text(encoding="utf-8")
    subject = report["evaluated"]
    parts = [
        f"<h1>Head CT findings: evaluation on the {_text(subject['split'])} split</h1>",
        f'<p class="soft">{_text(_in_short(subject))}</p>',
        *_notices(subject),
        _figures(report),
        _reading(report),
        "<h2>By group of findings</h2>",
        _groups(report),
        "<h2>Curves</h2>",
        _curves(report),
        "<h2>By finding</h2>",
        *_findings(report),
        *_experts(report),
        "<h2>What was evaluated</h2>",
        _facts(report),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation: {_text(_in_short(subject))}</title>"
        f"<style>\n{css}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return escape(str(value))


def _in_short(subject: Mapping[str, Any]) -> str:
    return f"{subject['backbone']} backbone with {_adapter(subject)}, {subject['grid']} grid, {subject['split']} split"


def _adapter(subject: Mapping[str, Any]) -> str:
    if subject["adapter"] == "none":
        return "no adapter"
    return f"{subject['adapter']} at {subject['site']}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(auc: Mapping[str, Any]) -> str:
    return "" if auc["low"] is None else f"{auc['low']:.3f}–{auc['high']:.3f}"


def _notices(subject: Mapping[str, Any]) -> list[str]:
    sentences = [_PHANTOM] if subject["source"] == "phantom" else []
    return [f'<div class="notice" role="note"><p>{sentence}</p></div>' for sentence in [*sentences, _RESEARCH]]


def _figures(report: Mapping[str, Any]) -> str:
    """The few figures that stand at the top."""
    macro, subject = report["macro"], report["evaluated"]
    common = macro["common"]
    said = (
        f"95 % interval {_interval(macro['auc'])}"
        if macro["auc"]["low"] is not None
        else macro["auc"].get("reason", "")
    )
    rare = _interval(common["auc"]) or common["auc"].get("reason", "")
    figures = [
        (_number(macro["auc"]["value"]), "mean AUC over findings", said),
        (
            _number(common["auc"]["value"]),
            f"mean AUC, findings with {common['min_positives']} positives or more",
            f"{common['findings']} findings; {rare}" if common["findings"] else rare,
        ),
        (
            f"{macro['findings']} of {len(report['findings'])}",
            "findings with an AUC",
            "the rest lack positives or negatives",
        ),
        (f"{subject['studies']:,}", "studies", f"{subject['patients']:,} patients, {subject['series']:,} series"),
    ]
    items = "".join(
        f'<li><b>{_text(value)}</b>{_text(name)}<br><span class="soft">{_text(note)}</span></li>'
        for value, name, note in figures
    )
    return f'<ul class="figures">{items}</ul>'


def _reading(report: Mapping[str, Any]) -> str:
    resamples = report["bootstrap"]["resamples"]
    points = (
        "<b>AUC</b> is the chance that a scan with the finding scores higher than one without it: 1 is perfect, 0.5 "
        "(dotted) is chance. It does not depend on a threshold.",
        f"<b>The bar</b> is the 95 % interval, from {resamples:,} bootstrap resamples of whole patients. A "
        "wide bar means few positives: read the count beside it first. With fewer than ten positive or negative "
        "patients, where the bootstrap is too sure of itself, the interval is widened by a bound made for few cases.",
        "<b>A dash</b> means that the AUC is undefined, because the scans hold no positive or no negative. Such a "
        "finding takes no part in any mean.",
        "<b>Unknown labels</b> (nobody looked for the finding) are left out; they are not negatives.",
        "<b>Sensitivity and specificity</b> are given at the threshold stored in the bundle, chosen on the validation "
        "split, where there is one. <b>Brier</b> is the mean squared error of the probabilities, <b>ECE</b> the "
        "expected calibration error: of both, less is better.",
    )
    return "<h2>How to read this</h2><ul>" + "".join(f"<li>{point}</li>" for point in points) + "</ul>"


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    inside = f"<thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table>{inside}</table></div>'


def _row(cells: Iterable[str], kind: str = "") -> str:
    """A table row whose first four cells are the name, the bar, the value and the interval."""
    kinds = ("name", "bars", "", "span")
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    filled = (
        f'<td class="{kinds[at]}">{cell}</td>' if at < len(kinds) and kinds[at] else f"<td>{cell}</td>"
        for at, cell in enumerate(cells)
    )
    return f"{opening}{''.join(filled)}</tr>"


def _bars_head(first: str, rest: Iterable[str]) -> list[str]:
    heads = [f"<th>{first}</th>", f'<th class="bars">{svg.scale()}</th>', "<th>AUC</th>", "<th>95 % interval</th>"]
    return heads + [f"<th>{name}</th>" for name in rest]


def _groups(report: Mapping[str, Any]) -> str:
    head = _bars_head("Group", ("Findings with AUC", "Positive labels", "Series with any", "AUC of “any”"))
    rows = [
        _row(
            (
                f'<a href="#{_text(row["group"])}">{_text(in_words(row["group"]))}</a>',
                svg.interval_bar(row["auc"]),
                _number(row["auc"]["value"]),
                _interval(row["auc"]),
                f"{row['findings_with_auc']} of {row['findings']}",
                f"{row['positives']:,}",
                f"{row['positive_series']:,}",
                _number(row["any_finding_auc"]),
            ),
            "" if row["auc"]["value"] is not None else "undefined",
        )
        for row in report["groups"]
    ]
    macro = report["macro"]
    total = (
        "Mean over findings",
        svg.interval_bar(macro["auc"]),
        _number(macro["auc"]["value"]),
        _interval(macro["auc"]),
        f"{macro['findings']} of {len(report['findings'])}",
        f"{sum(row['positives'] for row in report['findings']):,}",
        "",
        "",
    )
    note = (
        '<p class="soft">A group’s AUC is the mean over its findings. “Any” asks one question of each scan, whether '
        "anything of the group is there, with the highest probability in the group as its score.</p>"
    )
    return _table(head, [*rows, _row(total, "total")]) + note


def _findings(report: Mapping[str, Any]) -> list[str]:
    head = _bars_head("Finding", ("Pos.", "Neg.", "Average precision", "Sens.", "Spec.", "Brier", "ECE"))
    parts = []
    for group in report["groups"]:
        rows = [_finding(row) for row in report["findings"] if row["group"] == group["group"]]
        parts.append(f'<h3 id="{_text(group["group"])}">{_text(in_words(group["group"]))}</h3>{_table(head, rows)}')
    return parts


def _finding(row: Mapping[str, Any]) -> str:
    defined = row["auc"]["value"] is not None
    point = row["threshold"] or {"sensitivity": {"value": None}, "specificity": {"value": None}}
    cells = (
        _text(row["name"]),
        svg.interval_bar(row["auc"]) if defined else "",
        _number(row["auc"]["value"]),
        _interval(row["auc"]) if defined else _text(row["auc"]["reason"]),
        f"{row['positives']:,}",
        f"{row['negatives']:,}",
        _number(row["average_precision"]["value"]),
        _number(point["sensitivity"]["value"], 2),
        _number(point["specificity"]["value"], 2),
        _number(row["brier"]["value"]),
        _number(row["ece"]["value"]),
    )
    return _row(cells, "" if defined else "undefined")


def _curves(report: Mapping[str, Any]) -> str:
    shown = sorted(report["roc"], key=lambda curve: -curve["positives"])[:4]
    entries = "".join(
        f"<li>{svg.legend_line(at)}{_text(in_words(curve['group']))}, {curve['positives']:,} positive series</li>"
        for at, curve in enumerate(shown)
    )
    empty = '<p class="soft">No group has both positives and negatives.</p>'
    roc = f"{svg.roc(shown)}<ul class='legend'>{entries}</ul>" if shown else empty
    ece = report["calibration"]["ece"]
    return (
        f'<div class="plots"><figure><figcaption>ROC of “any finding of the group”, the groups with most positives'
        f"</figcaption>{roc}</figure>"
        f"<figure><figcaption>Calibration over all findings (expected calibration error {_number(ece)})</figcaption>"
        f'{svg.calibration(report["calibration"])}<p class="soft" style="max-width:40ch">On the dotted line a '
        "probability means what it says. A dot’s area grows with the number of predictions behind it.</p>"
        "</figure></div>"
    )


def _experts(report: Mapping[str, Any]) -> list[str]:
    sites = report["experts"]
    if not sites:
        return []
    text = (
        "A router mixes the experts for every slice. <b>Mean gate</b>: each expert’s share over all slices; the "
        "dotted line is even use. <b>Entropy</b> of one slice’s gates: 1 mixes all experts evenly, 0 uses one alone. "
        "<b>Balance</b>, the entropy of the mean gates: 1 uses all experts equally over the cohort, 0 one for all; "
        "<b>effective</b> is the number of evenly used experts with that entropy."
    )
    drawing = svg.shares(sites[0]["mean_gate"], [f"expert {at + 1}" for at in range(sites[0]["experts"])])
    head = [
        f"<th>{name}</th>"
        for name in ("Site", "Slices", "Least mean gate", "Greatest", "Entropy", "Balance", "Effective")
    ]
    rows = (
        "<tr>"
        + "".join(
            f"<td>{cell}</td>"
            for cell in (
                _text(site["site"]),
                f"{site['routed']:,}",
                _number(min(site["mean_gate"])),
                _number(max(site["mean_gate"])),
                _number(site["entropy"]),
                _number(site["balance"]),
                _number(site["effective_experts"], 2),
            )
        )
        + "</tr>"
        for site in sites
    )
    shown = [drawing] if len(sites) == 1 else []
    return ["<h2>Use of the experts</h2>", f"<p>{text}</p>", *shown, _table(head, rows), *_specialists(report)]


def _specialists(report: Mapping[str, Any]) -> list[str]:
    """Which experts have more gate where a finding is, at the site where that differs most."""
    sites = [site for site in report["experts"] if site["by_finding"] and site["experts"] > 1]
    if not sites:
        return []

    def most(row: Mapping[str, Any]) -> float:
        return max(map(abs, row["difference"]))

    site = max(sites, key=lambda each: max(map(most, each["by_finding"])))
    rows = sorted(site["by_finding"], key=most, reverse=True)[:_SPECIALISTS]
    names = {finding["key"]: finding["name"] for finding in report["findings"]}
    said = [f"{names[row['key']]} ({row['positives']} positives)" for row in rows]
    text = (
        f"How much more gate an expert has on scans with a finding than on scans without it (blue: more, red: less), "
        f"at {_text(site['site'])}, for the {len(rows)} findings where that differs most; at most "
        f"{most(rows[0]):.3f}. A dark rim marks differences over three standard errors. The router saw no label. With "
        "this many cells some are marked by chance, and a finding that comes with another shares its experts."
    )
    return ["<h3>Experts and findings</h3>", f"<p>{text}</p>", svg.differences(rows, said)]


def _facts(report: Mapping[str, Any]) -> str:
    subject, bootstrap = report["evaluated"], report["bootstrap"]
    facts = {
        "Bundle": subject["bundle"],
        "Bundle digest": subject["bundle_sha"],
        "Store": f"{subject['store']} (source: {subject['source']})",
        "Split": subject["split"],
        "Patients, studies, series": f"{subject['patients']:,}, {subject['studies']:,}, {subject['series']:,}",
        "Grid": subject["grid"],
        "Backbone": subject["backbone"],
        "Backbone weights": subject["weights"],
        "Adapter": _adapter(subject),
        "Added parameters": f"{subject['added_parameters']:,}, {100 * subject['added_fraction']:.3f} % of the backbone",
        "Intervals": f"bootstrap, {bootstrap['resamples']:,} resamples of patients, seed {bootstrap['seed']}",
    }
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in facts.items())
    return f'<table class="facts"><tbody>{rows}</tbody></table>'

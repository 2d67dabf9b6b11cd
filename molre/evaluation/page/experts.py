"""How a mixture of experts spread its work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molre.evaluation import svg
from molre.evaluation.page.words import heads, number, row, table, text

_SPECIALISTS = 30
"""Findings that the picture of experts shows; report.json has them all."""


def experts(report: Mapping[str, Any]) -> str:
    """Mean gates, their entropy, and which expert goes with which finding; nothing without a router."""
    sites = report["experts"]
    if not sites:
        return ""
    told = (
        "A router mixes the experts for every slice. <b>Mean gate</b>: each expert’s share over all slices; the "
        "dotted line is even use. <b>Entropy</b> of one slice’s gates: 1 mixes all experts evenly, 0 uses one alone. "
        "<b>Balance</b>, the entropy of the mean gates: 1 uses all experts equally over the cohort, 0 one for all; "
        "<b>effective</b> is the number of evenly used experts with that entropy."
    )
    drawing = svg.shares(sites[0]["mean_gate"], [f"expert {at + 1}" for at in range(sites[0]["experts"])])
    rows = [
        row(
            (
                text(site["site"]),
                f"{site['routed']:,}",
                number(min(site["mean_gate"])),
                number(max(site["mean_gate"])),
                number(site["entropy"]),
                number(site["balance"]),
                number(site["effective_experts"], 2),
            )
        )
        for site in sites
    ]
    head = heads(("Site", "Slices", "Least mean gate", "Greatest", "Entropy", "Balance", "Effective"))
    return f"<p>{told}</p>{drawing if len(sites) == 1 else ''}{table(head, rows)}{_specialists(report)}"


def _specialists(report: Mapping[str, Any]) -> str:
    """Which experts have more gate where a finding is, at the site where that differs most."""
    sites = [site for site in report["experts"] if site["by_finding"] and site["experts"] > 1]
    if not sites:
        return ""

    def most(row: Mapping[str, Any]) -> float:
        return max(map(abs, row["difference"]))

    site = max(sites, key=lambda each: max(map(most, each["by_finding"])))
    rows = sorted(site["by_finding"], key=most, reverse=True)[:_SPECIALISTS]
    names = {finding["key"]: finding["name"] for finding in report["findings"]}
    said = [f"{names[row['key']]} ({row['positives']} positives)" for row in rows]
    told = (
        f"How much more gate an expert has on scans with a finding than on scans without it (blue: more, red: less), "
        f"at {text(site['site'])}, for the {len(rows)} findings where that differs most; at most "
        f"{most(rows[0]):.3f}. A dark rim marks differences over three standard errors. The router saw no label. With "
        "this many cells some are marked by chance, and a finding that comes with another shares its experts."
    )
    drawn = f'<div class="scroll" tabindex="0">{svg.differences(rows, said)}</div>'
    return f"<h3>Experts and findings</h3><p>{told}</p>{drawn}"

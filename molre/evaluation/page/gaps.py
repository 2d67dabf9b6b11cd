"""The table of subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molre.evaluation.page.words import heads, number, row, span, table, text


def gaps(report: Mapping[str, Any]) -> str:
    """Each subgroup against the rest; what is too small is listed with its size."""
    found = report["subgroups"]
    if not found:
        return '<p class="soft">Nothing is known of how the scans were acquired.</p>'
    told = (
        "<p>A subgroup and the rest are compared on the same findings, those with enough positives and negatives on "
        "both sides. The interval of the gap comes from resamples of patients. Among many gaps about one interval in "
        "twenty misses zero by chance, and a gap does not tell its cause: other scanners stand at other places, with "
        "other patients.</p>"
    )
    head = heads(("Subgroup", "Patients", "Series", "Findings", "AUC", "AUC of the rest", "Gap", "95 % interval"))
    rows = [
        row(
            (
                f"{text(one['dimension'].capitalize())}: {text(one['value'])}",
                f"{one['patients']:,}",
                f"{one['series']:,}",
                f"{one['findings']:,}",
                number(one["auc"]["value"]),
                number(one["rest"]["value"]),
                "–" if one["gap"]["value"] is None else f"{one['gap']['value']:+.3f}",
                text(one["gap"].get("reason") or _ends(one["gap"])),
            ),
            "undefined" if one["gap"]["value"] is None else "",
        )
        for one in found
    ]
    return told + table(head, rows)


def _ends(gap: Mapping[str, Any]) -> str:
    return span(gap) if gap["low"] is None else f"{gap['low']:+.3f} to {gap['high']:+.3f}"

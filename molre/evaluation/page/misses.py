"""The section of the errors of which the model is most certain, with their slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molre.evaluation.page.words import number, text
from molre.findings import FINDINGS, index

_TITLES = {"missed": "Missed", "false alarm": "False alarms"}


def misses(report: Mapping[str, Any]) -> str:
    """Each error with its picture, of which ``pictures`` are in their order; nothing where there is none."""
    found = report["misses"]
    if not found:
        return ""
    told = (
        "<p>The errors of which the model is most certain: positives that stand below most negatives, and negatives "
        "that stand above most positives of the same finding; at most one of either kind a finding and a series. "
        "Each slice is the one that counted most in the model's mean over slices, in brain, subdural and bone window. "
        "Some of them may be errors of the labels.</p>"
    )
    parts = [told]
    shown = report["pictures"] or [""] * len(found)
    for kind, title in _TITLES.items():
        mine = [_one(miss, picture) for miss, picture in zip(found, shown, strict=True) if miss["kind"] == kind]
        if mine:
            parts.append(f'<h3>{title}</h3>\n<div class="misses">{"".join(mine)}</div>')
    return "\n".join(parts)


def _one(miss: Mapping[str, Any], picture: str) -> str:
    name = text(FINDINGS[index(miss["key"])].name)
    which = "middle slice" if miss["slice"] is None else f"slice {miss['slice'] + 1} from the feet"
    others = "negatives score higher" if miss["kind"] == "missed" else "positives score lower"
    image = f'<img src="{picture}" alt="{which} of series {text(miss["series"])}">' if picture else ""
    return (
        f"<figure>{image}<figcaption><b>{name}</b><br>probability {number(miss['probability'])}; "
        f'{miss["beyond"]:.0%} of the {others}<br><span class="soft">{which}, series {text(miss["series"])}</span>'
        "</figcaption></figure>"
    )

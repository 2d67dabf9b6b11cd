"""The table of findings as a page to review."""

from __future__ import annotations

from molre.findings import FINDINGS, GROUPS
from molre.phantom.table import Entry, entries, mimics

_INTRODUCTION = """# What the phantom draws

Everything here is synthetic. The figures below are what each of the 75 findings is drawn from: they come from
`molre/phantom/table/*.toml`, are set by engineers from the works named, and have not been reviewed by a radiologist.
`prevalence` is the share of studies at a hospital's mix; sizes are barely visible / typical / large; a finding without
a prevalence only follows from others, by the rule given.
"""


def listing() -> str:
    """Markdown: a section a group, a paragraph a finding, and the mimics at the end."""
    parts = [_INTRODUCTION]
    for group in GROUPS:
        parts.append(f"## {group.replace('_', ' ')}\n\n![{group}]({group}.jpg)\n")
        parts += [_paragraph(entries()[finding.key], finding.name) for finding in FINDINGS if finding.group == group]
    parts.append("## Mimics\n\nDrawn without a label: what looks like a finding and is none.\n")
    parts += [_paragraph(entry, name.replace("_", " ").capitalize()) for name, entry in mimics().items()]
    return "\n".join(parts)


def _paragraph(entry: Entry, name: str) -> str:
    return f"**{name}**. {entry.morphology.rstrip('.')}. {'; '.join(_figures(entry))}. *{entry.source.rstrip('.')}.*\n"


def _figures(entry: Entry) -> list[str]:
    low, high = entry.hu
    small, typical, large = entry.size_mm
    figures = [f"age {entry.age_years[0]:.0f}–{entry.age_years[2]:.0f} y, mostly {entry.age_years[1]:.0f}"]
    if entry.prevalence:
        figures.insert(0, f"Prevalence {entry.prevalence:.1%}")
        figures.append(f"{entry.measure} {small:g} / {typical:g} / {large:g} mm")
    if low or high:
        figures.append(f"{low:g} to {high:g} HU")
    for title, shares in (("kinds", entry.kinds), ("places", entry.places), ("companions", entry.companions)):
        if shares:
            figures.append(f"{title}: " + ", ".join(f"{key.replace('_', ' ')} {p:g}" for key, p in shares.items()))
    if entry.follows:
        figures.append(f"follows where {entry.follows}")
    if entry.implies:
        figures.append("implies " + ", ".join(key.replace("_", " ") for key in entry.implies))
    if entry.of:
        figures.append(f"may be taken for {entry.of.replace('_', ' ')}")
    return figures

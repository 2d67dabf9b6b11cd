"""The figures of a store as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from molre.store.inspection import Figures
from molre.store.schema import SPLITS

_BAR = 30
"""Characters of the longest bar."""
_UNITS = {"_mm": ", mm", "_deg": ", degrees"}
_CODES = ("repairs", "passed_over")
"""Attributes of which a row has any number: most rows have none."""


def listing(told: Figures) -> str:
    """Everything that ``inspection.figures`` tells."""
    sections = [_head(told), _rejected(told), _splits(told), _prevalence(told), *_attributes(told), _remarks(told)]
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


def _head(told: Figures) -> Iterator[str]:
    grid, counts = told["grid"], told["counts"]
    shape = " x ".join(map(str, grid["shape"]))
    spacing = " / ".join(f"{step:g}" for step in grid["spacing_mm"])
    kind = f"{told['source']} (synthetic)" if told["synthetic"] else told["source"]
    yield f"store      {told['store']}"
    yield f"source     {kind}, written {told['created'] or 'at an unknown time'}"
    yield f"grid       {grid['name']}: {shape} voxels of {spacing} mm"
    yield f"size       {told['bytes'] / 1e9:,.2f} GB in {told['parts']:,} parts"
    names = {"studies": "studies", "rows": "rows", "patients": "patients", "rejected_studies": "studies rejected"}
    names |= {"rejected_files": "files rejected", "ignored_files": "files ignored"}
    yield "counts     " + ", ".join(f"{counts[name]:,} {word}" for name, word in names.items() if name in counts)


def _rejected(told: Figures) -> Iterator[str]:
    if told["rejected"]:
        yield "rejected, by code"
        yield from _bars(told["rejected"])


def _splits(told: Figures) -> Iterator[str]:
    if told["splits"]:
        yield f"{'split':<10} {'rows':>9} {'patients':>9}"
    for split, side in told["splits"].items():
        yield f"{split:<10} {side['rows']:>9,} {side['patients']:>9,}"


def _prevalence(told: Figures) -> Iterator[str]:
    findings: Mapping[str, Mapping[str, int]] = told["findings"]
    labelled = {key: row for key, row in findings.items() if row["known"]}
    if not findings:
        return
    width = max(map(len, labelled), default=0)
    if labelled:
        yield f"{'finding':<{width}} {'positives':>9} {'known':>9} {'%':>6}  " + " ".join(f"{s:>7}" for s in SPLITS)
    for key, row in labelled.items():
        share = 100 * row["positives"] / row["known"]
        sides = " ".join(f"{row[split]:>7,}" for split in SPLITS)
        yield f"{key:<{width}} {row['positives']:>9,} {row['known']:>9,} {share:>6.1f}  {sides}"
    if len(labelled) < len(findings):
        yield f"{len(findings) - len(labelled)} of {len(findings)} findings are unknown in every row"


def _attributes(told: Figures) -> Iterator[Iterator[str]]:
    for name, column in told["attributes"].items():
        yield _attribute(name, column)


def _attribute(name: str, column: Figures) -> Iterator[str]:
    notes = [f"median {column['median']:g}"] if "median" in column else []
    if column["unknown"] and name not in _CODES:
        notes.append(f"unknown in {column['unknown']:,} rows")
    yield _title(name) + (f" ({', '.join(notes)})" if notes else "")
    yield from _bars(column["rows"]) if column["rows"] else iter(["  none"])


def _title(name: str) -> str:
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " ") + unit
    return name.replace("_", " ")


def _bars(rows: Mapping[str, int]) -> Iterator[str]:
    width, most = max(map(len, rows)), max(1, *rows.values())
    for value, count in rows.items():
        bar = "#" * -(-count * _BAR // most)
        yield f"  {value:<{width}} {count:>9,}  {bar}".rstrip()


def _remarks(told: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"note: {remark}" for remark in told["remarks"])

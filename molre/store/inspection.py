"""What a store holds, as figures: counts, labels, geometry, and why studies are not in it."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int64

from molre.errors import StoreError
from molre.store.reader import Store
from molre.store.schema import ATTRIBUTES, SPLITS
from molre.store.writer import REJECTED

SYNTHETIC = "phantom"
"""Source whose patients are invented."""
MOST_VALUES = 10
"""Distinct values, or bins, that an attribute is shown with; more are not taken in at a glance."""
_ONE_OF = re.compile(r"^1 of \d+ series: ")
OTHERS = "others"

Figures = dict[str, Any]


def figures(store: Store) -> Figures:
    """Everything that is told about a store, as plain values; no volume is read and no path of the archive is told.

    Without its index, which the manifest may name and the store lack, rows are not looked into.
    """
    manifest, remarks = store.manifest, list[str]()
    counts = {name: value for name, value in manifest.counts.items() if isinstance(value, int)}
    told: Figures = {
        "store": store.uri,
        "source": manifest.source,
        "synthetic": manifest.source == SYNTHETIC,
        "created": manifest.created,
        "grid": {
            "name": store.grid.name,
            "shape": list(store.grid.shape),
            "spacing_mm": list(store.grid.spacing_mm),
        },
        "parts": len(manifest.parts),
        "bytes": sum(file.bytes for file in manifest.files),
        "counts": {**counts, "rows": store.rows},
        "rejected": _rejected(store, remarks),
    }
    try:
        told |= {"splits": _splits(store), "findings": _findings(store), "attributes": _attributes(store)}
    except StoreError:
        remarks.append("the index is damaged: what the rows say is not shown")
        told |= {"splits": {}, "findings": {}, "attributes": {}}
    return {**told, "remarks": remarks}


def _rejected(store: Store, remarks: list[str]) -> dict[str, int]:
    """Lines of ``rejected.csv`` by code; its paths may name patients and are not looked at."""
    try:
        text = (store.location / REJECTED).read_bytes().decode("utf-8", "replace")
    except OSError:
        remarks.append(f"{REJECTED} cannot be read")
        return {}
    found = Counter(line["code"] or "no code" for line in csv.DictReader(io.StringIO(text, newline="")))
    expected = sum(store.manifest.counts.get(name, 0) for name in ("rejected_studies", "rejected_files"))
    if found.total() != expected:
        remarks.append(f"{REJECTED} has {found.total()} lines, and {expected} by the manifest")
    return _by_frequency(found)


def _splits(store: Store) -> dict[str, dict[str, int]]:
    patients = store.table(["patient"])["patient"]
    sides = {split: patients.take(pa.array(store.indices(split))) for split in SPLITS}
    return {split: {"rows": len(own), "patients": len(own.unique())} for split, own in sides.items()}


def _findings(store: Store) -> dict[str, dict[str, int]]:
    """By finding: rows with a known label, the positive ones, and those by split."""
    labels = store.labels()
    positive = {split: (labels[store.indices(split)] == 1).sum(axis=0) for split in SPLITS}
    known, positives = (labels >= 0).sum(axis=0), (labels == 1).sum(axis=0)
    return {
        key: {
            "positives": int(positives[at]),
            "known": int(known[at]),
            **{split: int(side[at]) for split, side in positive.items()},
        }
        for at, key in enumerate(store.manifest.vocabulary)
    }


def _attributes(store: Store) -> dict[str, Figures]:
    """By attribute: rows by value, or by range where values are many; ``unknown`` counts the null ones."""
    table = store.table(list(ATTRIBUTES))
    return {name: _attribute(table[name]) for name in ATTRIBUTES}


def _attribute(column: pa.ChunkedArray) -> Figures:
    known = column.drop_null()
    told: Figures = {"unknown": column.null_count}
    if pa.types.is_list(column.type):
        lines = (line for lines in known.to_pylist() for line in lines)
        return told | {"rows": _by_frequency(Counter(line.partition(":")[0] for line in lines))}
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return told | _numbers(known.to_numpy().astype(np.float64))
    values = (_ONE_OF.sub("", _word(value)) for value in known.to_pylist())
    return told | {"rows": _shortened(_by_frequency(Counter(values)))}


def _word(value: str | bool) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else value


def _numbers(values: Float[np.ndarray, " n"]) -> Figures:
    """Extremes, median and rows by value or range; a hundredth is the finest that is told apart."""
    if not len(values):
        return {"rows": {}}
    hundredths = np.rint(values * 100).astype(np.int64)
    told = {"least": values.min(), "median": np.median(values), "most": values.max()}
    return {name: round(float(value), 2) for name, value in told.items()} | {"rows": _ranges(hundredths)}


def _ranges(hundredths: Int64[np.ndarray, " n"]) -> dict[str, int]:
    """Rows by value, or in at most ``MOST_VALUES`` ranges of one round width, each without its upper end."""
    distinct, rows = np.unique(hundredths, return_counts=True)
    if len(distinct) <= MOST_VALUES:
        return {f"{value / 100:g}": int(count) for value, count in zip(distinct, rows, strict=True)}
    widths = (step * 10**power for power in itertools.count() for step in (1, 2, 5))
    width = next(width for width in widths if distinct[-1] // width - distinct[0] // width < MOST_VALUES)
    first = distinct[0] // width
    counts = np.bincount(hundredths // width - first)
    return {
        f"{(first + at) * width / 100:g} to {(first + at + 1) * width / 100:g}": int(count)
        for at, count in enumerate(counts)
    }


def _by_frequency(found: Counter[str]) -> dict[str, int]:
    """Most frequent first; names in the order of the alphabet among equals."""
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _shortened(rows: dict[str, int]) -> dict[str, int]:
    """The first entries, and the sum of those past ``MOST_VALUES``."""
    if len(rows) <= MOST_VALUES:
        return rows
    entries = list(rows.items())
    return dict(entries[: MOST_VALUES - 1]) | {OTHERS: sum(count for _, count in entries[MOST_VALUES - 1 :])}

"""From finished parts to a complete store: index, ``rejected.csv``, and last of all the manifest."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from molre.errors import StoreError
from molre.findings import KEYS
from molre.location import Location
from molre.store.cohort import Found
from molre.store.manifest import Manifest
from molre.store.reader import Store
from molre.store.schema import SPLITS
from molre.store.writer import Receipt, Refused, keep_only, write_index, write_rejected
from molre.volume import Grid


def commit(
    folder: Location,
    grid: Grid,
    done: Sequence[Receipt],
    found: Found,
    paths: Mapping[str, str],
    told: Mapping[str, Any],
    current: Manifest | None,
) -> Store:
    """Make the finished parts the store.

    Args:
        folder: the store.
        grid: its grid.
        done: receipts that cover every study, by number.
        found: what the cohort holds.
        paths: of each study, by mark.
        told: what the manifest is to say of source and settings.
        current: of the store as it was, which stays if this fails.

    Raises:
        StoreError: the receipts do not cover every study, or no study could be read.
    """
    studies = [(paths[mark], code, text) for receipt in done for mark, code, text in receipt.refused]
    refused = [Refused(path=path, code=code, sentence=text) for path, code, text in (*studies, *found.refused)]
    parts = tuple(receipt.part for receipt in done if receipt.part)
    rows = sum(part.rows for part in parts)
    if rows + len(studies) != len(paths):
        raise StoreError(f"{len(paths)} studies found, but {rows} rows and {len(studies)} rejected: run it again")
    rejected = write_rejected(folder, refused)
    if not rows:
        keep_only(folder, current.files if current else (), ())
        raise StoreError(
            f"no study could be read: {len(studies)} studies and {len(found.refused)} files were rejected, "
            f"see {rejected}"
        )
    counts = {
        "studies": len(paths),
        "rows": rows,
        "rejected_studies": len(studies),
        **found.counts,
        "rejected_codes": _tally(line.code for line in refused),
    }
    manifest = Manifest(
        grid=grid,
        parts=parts,
        index=current.index if current and current.parts == parts else write_index(folder, grid, parts),
        counts=counts,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **told,
    )
    manifest = dataclasses.replace(manifest, counts={**counts, **counted(Store(folder, manifest))})
    # A manifest that says the same stays as it is: what was computed from it is then still current.
    if current is None or dataclasses.replace(manifest, created=current.created) != current:
        manifest.write(folder)
    keep_only(folder, manifest.files, done)
    return Store.open(folder)


def counted(store: Store) -> dict[str, Any]:
    """What the rows of a store add up to.

    Returns:
        patients; rows by split; by finding the rows with a known label, the positive ones, and those by split; how the
        series were chosen, which were passed over and what was repaired, by code.
    """
    labels, sides = store.labels(), np.array(store.table(["split"])["split"].to_pylist())
    rows = store.table(["patient", "choice", "passed_over", "repairs"]).to_pydict()
    known = (labels >= 0).sum(axis=0)
    positives = {split: (labels[sides == split] == 1).sum(axis=0) for split in SPLITS}
    return {
        "patients": len(set(rows["patient"])),
        "splits": {split: int((sides == split).sum()) for split in SPLITS},
        "findings": {
            key: {
                "known": int(known[at]),
                "positives": int(sum(side[at] for side in positives.values())),
                **{split: int(side[at]) for split, side in positives.items()},
            }
            for at, key in enumerate(KEYS)
        },
        "choices": _tally(choice for choice in rows["choice"] if choice),
        "passed_over": _tally(code for codes in rows["passed_over"] for code in codes or ()),
        "repairs": _tally(line.partition(":")[0] for lines in rows["repairs"] for line in lines or ()),
    }


def _tally(words: Iterable[str]) -> dict[str, int]:
    """How often each word occurs, in the order of the alphabet, so that the same store says the same."""
    return dict(sorted(Counter(words).items()))

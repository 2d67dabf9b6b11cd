"""Read a cohort of head CT studies into a store; without flags, make the embedded phantom cohort first."""

from __future__ import annotations

from typing import Any

from molre.job import run
from molre.sources.ingest import IngestConfig, ingest


def main(config: IngestConfig) -> dict[str, Any]:
    """Ingest, and say where the store is and whether its counts reconcile."""
    store = ingest(config)
    counts = store.manifest.counts
    studies, rejected = counts["studies"], counts["rejected_studies"]
    print(f"{studies} studies found = {store.rows} rows + {rejected} rejected ({counts['patients']} patients)")
    print(f"{counts['rejected_files']} files rejected, {counts['ignored_files']} other files ignored")
    if counts.get("linked_folders"):
        print(f"{counts['linked_folders']} linked folders not entered")
    if counts.get("label_rows_unmatched"):
        print(f"{counts['label_rows_unmatched']} rows of the labels match no study")
    if counts["rejected_codes"]:
        told = ", ".join(f"{code} {count}" for code, count in counts["rejected_codes"].items())
        print(f"why       {told}: {store.uri}/rejected.csv")
    print(f"look      python -m molre.store {store.uri}")
    print(f"store     {store.uri}")
    print(f"train     python jobs/train.py --store {store.uri}")
    return {"store": store.uri, "counts": counts}


if __name__ == "__main__":
    run(main, IngestConfig)

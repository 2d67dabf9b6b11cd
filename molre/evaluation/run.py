"""Evaluate a bundle on a split of a store, and write the report."""

from __future__ import annotations

import json
from typing import Any

from molre.bundle import Bundle
from molre.errors import ConfigError
from molre.evaluation.kept import Kept
from molre.evaluation.page import page
from molre.evaluation.pictures import pictures
from molre.evaluation.prediction import open_bundle, predict, rows_of
from molre.evaluation.report import Subject, build
from molre.evaluation.scores import to_parquet
from molre.evaluation.subgroups import COLUMNS
from molre.location import Location
from molre.store import Store

REPORT = "report.json"
PAGE = "report.html"
PREDICTIONS = "predictions.parquet"


def evaluate(
    bundle_uri: str,
    store_uri: str,
    split: str,
    out_uri: str,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    remote_code: bool = False,
) -> dict[str, Any]:
    """Score a split and write ``predictions.parquet``, ``report.json`` and ``report.html``.

    A run that was killed goes on from the scores it has kept. The files are the same with any number of workers.

    Args:
        bundle_uri: the bundle, a path or URI.
        store_uri: the store, a path or URI.
        split: ``train``, ``val`` or ``test``.
        out_uri: folder to write into.
        bootstrap: resamples of patients behind each interval.
        seed: seed of the resampling.
        workers: scorers at work; by default what the cluster has.
        remote_code: run code that comes with the backbone's weights, for the backbones that need it.

    Returns:
        The report, as ``report.json`` holds it.

    Raises:
        ConfigError: the split is empty, or bundle and store are on different grids.
        BundleError: the bundle is absent or damaged.
        StoreError: the store is absent or incomplete.
    """
    if bootstrap < 0:
        raise ConfigError(f"bootstrap is {bootstrap}: it must be 0 or more resamples")
    bundle, store, out = open_bundle(bundle_uri, remote_code=remote_code), Store.open(store_uri), Location.of(out_uri)
    if bundle.grid != store.grid:
        raise ConfigError(
            f"the bundle was trained on grid {bundle.grid.name} and the store is on {store.grid.name}: "
            f"ingest again with --grid {bundle.grid.name}"
        )
    rows = rows_of(store, split)
    kept = Kept(out, bundle.sha, store.manifest, split, rows)
    prediction = predict(bundle_uri, store, split, kept=kept, workers=workers, remote_code=remote_code)
    (out / PREDICTIONS).write_bytes(to_parquet(prediction.scores))
    report = build(
        prediction.scores,
        subject_of(bundle, bundle_uri, store, split),
        thresholds=bundle.thresholds,
        operating_points=bundle.operating_points,
        calibration=bundle.calibration,
        attributes=store.table(list(COLUMNS)).take(rows).to_pydict(),
        gates=prediction.gates,
        slices=prediction.slices,
        bootstrap=bootstrap,
        seed=seed,
    )
    (out / REPORT).write_bytes(json.dumps(report, indent=2, allow_nan=False).encode())
    (out / PAGE).write_bytes(page(report, pictures(store, rows, report["misses"])).encode())
    kept.delete()
    return report


def subject_of(bundle: Bundle, bundle_uri: str, store: Store, split: str) -> Subject:
    """What is evaluated, from the bundle's and the store's manifests."""
    backbone, adapter = bundle.manifest["backbone"], bundle.adapted
    return Subject(
        bundle=bundle_uri,
        bundle_sha=bundle.sha,
        made_with=" ".join(filter(None, (bundle.manifest["molre"], bundle.manifest["commit"]))),
        store=store.uri,
        source=store.manifest.source,
        split=split,
        grid=bundle.grid.name,
        backbone=backbone["name"],
        weights=", ".join(f"{name} {value}" for name, value in backbone["weights"].items() if value is not None),
        adapter=adapter.config.kind,
        site=adapter.config.site,
        added_parameters=adapter.added_parameters,
        added_fraction=adapter.added_fraction,
        provenance=bundle.manifest["provenance"],
    )

"""Score every series of a split exactly once, spread over the cluster by Ray Data.

Ray Data shards only the row numbers; each scorer reads the volumes from the store itself. A trainer's shards are of
equal length and drop what is left over, so they are no place to evaluate.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.data
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from molre.adapters.gates import record_gates
from molre.bundle import Bundle, load_bundle
from molre.cluster import offer
from molre.errors import ConfigError
from molre.evaluation.scores import Scores
from molre.location import Location
from molre.store import Store

BATCH = 4
"""Series scored at a time: enough to fill a forward pass with some hundred slices, little memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a bundle said about a split.

    Attributes:
        scores: labels and probabilities, in the order of the store's rows.
        gates: by adapter site, every gate of every series, NaN where it was for a slice of air; empty for an adapter
            without a router.
    """

    scores: Scores
    gates: dict[str, Float32[np.ndarray, "series routed experts"]]


def open_bundle(bundle_uri: str, *, device: str = "cpu", remote_code: bool = False) -> Bundle:
    """The bundle at a path or URI; a remote one is copied for as long as it takes to read it."""
    with tempfile.TemporaryDirectory(prefix="molre-bundle-") as folder:
        local = Location.of(bundle_uri).download(Path(folder) / "bundle")
        return load_bundle(local, device=device, remote_code=remote_code)


class Scorer:
    """A bundle in a worker, called with batches of row numbers."""

    def __init__(self, bundle_uri: str, store: Store, device: str, remote_code: bool) -> None:
        if device == "cpu":
            torch.set_num_threads(1)  # one scorer a CPU: more threads would only wait for each other
        self._bundle = open_bundle(bundle_uri, device=device, remote_code=remote_code)
        self._store = store

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Probabilities of the rows numbered in ``batch["row"]``, and ``gates SITE`` for each site with a router."""
        hu = self._store.volumes(batch["row"])
        with record_gates(self._bundle.adapted.model) as gates:
            probabilities = self._bundle.predict(hu)
        shown = self._bundle.adapted.classifier.shown(torch.as_tensor(hu)).numpy()
        return {"row": batch["row"], "probabilities": probabilities, **_by_series(gates, shown)}


def _by_series(
    gates: Mapping[str, list[Tensor]], shown: Bool[np.ndarray, "b rows"]
) -> dict[str, Float32[np.ndarray, "b routed experts"]]:
    """Gates as a table a series, NaN for the slices that are all air and never pooled.

    Args:
        gates: of each pass; a row a slice, a volume or a window of a slice, in the order of the series.
        shown: rows that take part in pooling.
    """
    tables = {}
    for site, passes in gates.items():
        rows = torch.cat([one.flatten(1, -2).mean(1) if one.ndim > 2 else one for one in passes])
        table = rows.float().cpu().numpy().reshape(len(shown), -1, rows.shape[-1])
        if table.shape[1] % shown.shape[1] == 0:
            table[~np.repeat(shown, table.shape[1] // shown.shape[1], axis=1)] = np.nan
        tables[f"gates {site}"] = table
    return tables


def predict(
    bundle_uri: str, store: Store, split: str, *, workers: int | None = None, remote_code: bool = False
) -> Prediction:
    """Probabilities of every series of a split.

    Args:
        bundle_uri: path or URI that every node of the cluster can read.
        store: the same grid as the bundle's.
        split: ``train``, ``val`` or ``test``.
        workers: scorers at work; as many as there are CPUs (GPUs, where there are any) by default.
        remote_code: run code that comes with the backbone's weights, for the backbones that need it.

    Raises:
        ConfigError: the split is empty.
    """
    rows = store.indices(split)
    if not len(rows):
        raise ConfigError(f"the {split} split of {store.uri} is empty: choose another with --split")
    scored = _scored(bundle_uri, store, rows.astype(np.int64), workers, remote_code)
    order = np.argsort([row["row"] for row in scored], kind="stable")
    scored = [scored[at] for at in order]
    if [int(row["row"]) for row in scored] != rows.tolist():
        raise RuntimeError(f"{len(scored)} of {len(rows)} series were scored: some were lost or scored twice")
    return Prediction(
        scores=_scores(store, rows, np.stack([np.asarray(row["probabilities"], np.float32) for row in scored])),
        gates={
            name.removeprefix("gates "): np.stack([np.asarray(row[name], np.float32) for row in scored])
            for name in scored[0]
            if name.startswith("gates ")
        },
    )


def _scored(
    bundle_uri: str, store: Store, rows: Int64[np.ndarray, "rows"], workers: int | None, remote_code: bool
) -> list[dict[str, Any]]:
    """Each row's answer, in any order."""
    there = offer()
    wanted = min(workers or there.workers, -(-len(rows) // BATCH))
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    dataset = ray.data.from_items([{"row": int(row)} for row in rows], override_num_blocks=-(-len(rows) // BATCH))
    answers = dataset.map_batches(
        Scorer,
        fn_constructor_args=(bundle_uri, store, "cuda" if there.gpus else "cpu", remote_code),
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=wanted),
        num_cpus=1,
        num_gpus=1 if there.gpus else 0,
    )
    answers.context.enable_progress_bars = False
    return answers.take_all()


def _scores(
    store: Store, rows: Int64[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows findings"]
) -> Scores:
    """The predictions beside the store's labels."""
    table = store.table(["patient", "study", "series"]).take(rows)
    return Scores(
        patients=table["patient"].to_pylist(),
        studies=table["study"].to_pylist(),
        series=table["series"].to_pylist(),
        labels=store.labels()[rows],
        probabilities=probabilities,
    )

"""Score every series of a split exactly once, spread over the cluster by Ray Data.

Ray Data shards only the row numbers; each scorer reads the volumes from the store itself. A trainer's shards are of
equal length and drop what is left over, so they are no place to evaluate.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.data
import torch
from jaxtyping import Float32, Int16, Int64
from torch import Tensor

from molre.adapters.gates import record_gates
from molre.bundle import Bundle, load_bundle
from molre.classifier import slice_mask
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
        gates: by adapter site, the gates of every slice that is not all air; empty for an adapter without a router.
    """

    scores: Scores
    gates: dict[str, Float32[np.ndarray, "routed experts"]]


def open_bundle(bundle_uri: str, *, device: str = "cpu") -> Bundle:
    """The bundle at a path or URI; a remote one is copied for as long as it takes to read it."""
    with tempfile.TemporaryDirectory(prefix="molre-bundle-") as folder:
        return load_bundle(Location.of(bundle_uri).download(Path(folder) / "bundle"), device=device)


class Scorer:
    """A bundle in a worker, called with batches of row numbers."""

    def __init__(self, bundle_uri: str, store: Store, device: str) -> None:
        if device == "cpu":
            torch.set_num_threads(1)  # one scorer a CPU: more threads would only wait for each other
        self._bundle = open_bundle(bundle_uri, device=device)
        self._store = store

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Probabilities of the rows numbered in ``batch["row"]``, and ``gates SITE`` for each site with a router."""
        hu = self._store.volumes(batch["row"])
        with record_gates(self._bundle.adapted.model) as gates:
            probabilities = self._bundle.predict(hu)
        return {"row": batch["row"], "probabilities": probabilities, **_by_series(gates, hu, self._one_a_volume)}

    @property
    def _one_a_volume(self) -> bool:
        classifier = self._bundle.adapted.classifier
        return classifier.routes_volumes or classifier.backbone.spec.dims == 3


def _by_series(
    gates: Mapping[str, list[Tensor]], hu: Int16[np.ndarray, "b d h w"], one_a_volume: bool
) -> dict[str, Float32[np.ndarray, "b rows experts"]]:
    """Gates as a table of slices a series, NaN for the slices that are all air and never pooled; or one row a series.

    Where a slice or volume has several gates, as with one a token, the table holds their mean.
    """
    rows = 1 if one_a_volume else hu.shape[1]
    air = ~slice_mask(torch.as_tensor(hu)).numpy()
    tables = {}
    for site, passes in gates.items():
        told = torch.cat(passes).float()
        table = told.view(len(hu), rows, -1, told.shape[-1]).mean(2).cpu().numpy()
        if not one_a_volume:
            table[air] = np.nan
        tables[f"gates {site}"] = table
    return tables


def predict(bundle_uri: str, store: Store, split: str, *, workers: int | None = None) -> Prediction:
    """Probabilities of every series of a split.

    Args:
        bundle_uri: path or URI that every node of the cluster can read.
        store: the same grid as the bundle's.
        split: ``train``, ``val`` or ``test``.
        workers: scorers at work; as many as there are CPUs (GPUs, where there are any) by default.

    Raises:
        ConfigError: the split is empty.
    """
    rows = store.indices(split)
    if not len(rows):
        raise ConfigError(f"the {split} split of {store.uri} is empty: choose another with --split")
    scored = _scored(bundle_uri, store, rows.astype(np.int64), workers)
    order = np.argsort([row["row"] for row in scored], kind="stable")
    scored = [scored[at] for at in order]
    if [int(row["row"]) for row in scored] != rows.tolist():
        raise RuntimeError(f"{len(scored)} of {len(rows)} series were scored: some were lost or scored twice")
    return Prediction(
        scores=_scores(store, rows, np.stack([np.asarray(row["probabilities"], np.float32) for row in scored])),
        gates={
            name.removeprefix("gates "): _routed([row[name] for row in scored])
            for name in scored[0]
            if name.startswith("gates ")
        },
    )


def _routed(tables: list[Any]) -> Float32[np.ndarray, "routed experts"]:
    """The gates of all series in one table, without the slices of air."""
    gates = np.concatenate([np.asarray(table, np.float32) for table in tables])
    return gates[np.isfinite(gates).all(axis=1)]


def _scored(
    bundle_uri: str, store: Store, rows: Int64[np.ndarray, "rows"], workers: int | None
) -> list[dict[str, Any]]:
    """Each row's answer, in any order."""
    there = offer()
    wanted = min(workers or there.workers, -(-len(rows) // BATCH))
    dataset = ray.data.from_items([{"row": int(row)} for row in rows], override_num_blocks=-(-len(rows) // BATCH))
    answers = dataset.map_batches(
        Scorer,
        fn_constructor_args=(bundle_uri, store, "cuda" if there.gpus else "cpu"),
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=wanted),
        num_cpus=1,
        num_gpus=1 if there.gpus else 0,
    )
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

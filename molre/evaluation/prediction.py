"""Score every series of a split exactly once, spread over the cluster by Ray Data.

Ray Data shards only pieces of row numbers; each scorer reads the volumes from the store itself. A trainer's shards are
of equal length and drop what is left over, so they are no place to evaluate.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.data
import torch
from jaxtyping import Bool, Float, Float32, Int16, Int64
from torch import Tensor

from molre.adapters.gates import record_gates
from molre.bundle import Bundle, load_bundle
from molre.classifier import Pooling
from molre.cluster import offer
from molre.errors import ConfigError
from molre.evaluation.kept import Kept, Scored
from molre.evaluation.progress import Progress
from molre.evaluation.scores import Scores, scores_of
from molre.location import Location
from molre.outcome import caught, given
from molre.store import Store

BATCH = 4
"""Series scored at a time: enough to fill a forward pass with some hundred slices, little memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a bundle said about a split.

    Attributes:
        scores: labels and probabilities, in the order of the store's rows.
        slices: of each series the slice that pooling weighed most, by query; -1 where the backbone reads volumes.
        gates: by adapter site, every gate of every series, NaN where it was for a slice of air; empty for an adapter
            without a router.
    """

    scores: Scores
    slices: Int16[np.ndarray, "series queries"]
    gates: dict[str, Float32[np.ndarray, "series routed experts"]]


def open_bundle(bundle_uri: str, *, device: str = "cpu", remote_code: bool = False) -> Bundle:
    """The bundle at a path or URI; a remote one is copied for as long as it takes to read it."""
    with tempfile.TemporaryDirectory(prefix="molre-bundle-") as folder:
        local = Location.of(bundle_uri).download(Path(folder) / "bundle")
        return load_bundle(local, device=device, remote_code=remote_code)


class Scorer:
    """A bundle in a worker, called with one piece of a split."""

    def __init__(self, bundle_uri: str, store: Store, device: str, remote_code: bool) -> None:
        if device == "cpu":
            torch.set_num_threads(1)  # one scorer a CPU: more threads would only wait for each other
        self._bundle = open_bundle(bundle_uri, device=device, remote_code=remote_code)
        self._store = store

    def __call__(self, piece: dict[str, Any]) -> dict[str, Any]:
        """The piece's name, its number of series, and as outcome its scores as ``Scored`` writes them."""
        rows = np.asarray(piece["rows"], np.int64)
        return {"name": piece["name"], "series": len(rows), "outcome": caught(self._piece, rows)}

    def _piece(self, rows: Int64[np.ndarray, "rows"]) -> bytes:
        return Scored.joined([self.score(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]).to_bytes()

    def score(self, rows: Int64[np.ndarray, "rows"]) -> Scored:
        """Probabilities and what led to them, of one forward pass."""
        hu = self._store.volumes(rows)
        classifier = self._bundle.adapted.classifier
        with record_gates(self._bundle.adapted.model) as gates, _recorded(classifier.pooling) as attention:
            probabilities = self._bundle.predict(hu)
        (weights,) = attention
        by_slice = weights.shape[1] == hu.shape[1] and classifier.backbone.spec.dims == 2
        shown = classifier.shown(torch.as_tensor(hu)).numpy()
        slices = _leading(weights.float().cpu().numpy()) if by_slice else np.full((len(rows), 1), -1)
        return Scored(
            rows=rows,
            probabilities=np.asarray(probabilities, np.float32),
            slices=slices.astype(np.int16),
            gates=_by_series(gates, shown),
        )


def _leading(weights: Float32[np.ndarray, "b slices queries"]) -> Int64[np.ndarray, "b queries"]:
    """The slice that counts most; of several that count alike, as before any training, the middle one."""
    alike = weights >= weights.max(1, keepdims=True) * (1 - 1e-4)
    order = np.cumsum(alike, axis=1)
    return (alike & (order == (alike.sum(1, keepdims=True) + 1) // 2)).argmax(1)


@contextmanager
def _recorded(pooling: Pooling) -> Iterator[list[Float[Tensor, "b rows queries"]]]:
    """Record how pooling weighs the slices of each pass while the block runs."""
    told: list[Tensor] = []
    handle = pooling.register_forward_hook(lambda module, given, _: told.append(module.weights(*given)))
    try:
        yield told
    finally:
        handle.remove()


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
        tables[site] = table
    return tables


def predict(
    bundle_uri: str,
    store: Store,
    split: str,
    *,
    kept: Kept,
    workers: int | None = None,
    remote_code: bool = False,
) -> Prediction:
    """Probabilities of every series of a split.

    Args:
        bundle_uri: path or URI that every node of the cluster can read.
        store: the same grid as the bundle's.
        split: ``train``, ``val`` or ``test``.
        kept: where scores are kept, and where those of a run that was killed lie.
        workers: scorers at work; as many as there are CPUs (GPUs, where there are any) by default.
        remote_code: run code that comes with the backbone's weights, for the backbones that need it.

    Raises:
        StoreError: a part of the store cannot be read.
    """
    rows = rows_of(store, split)
    found = kept.read()
    progress = Progress(len(rows), sum(len(one.rows) for one in found.values()))
    missing = {name: piece for name, piece in kept.pieces.items() if name not in found}
    for answer in _scored(bundle_uri, store, missing, workers, remote_code):
        scored = given(answer["outcome"])
        kept.write(answer["name"], scored)
        found[answer["name"]] = Scored.from_bytes(scored)
        progress.add(int(answer["series"]))
    progress.close()
    whole = Scored.joined(list(found.values()))
    if whole.rows.tolist() != rows.tolist():
        raise RuntimeError(f"{len(whole.rows)} of {len(rows)} series were scored: some were lost or scored twice")
    return Prediction(scores=scores_of(store, rows, whole.probabilities), slices=whole.slices, gates=whole.gates)


def rows_of(store: Store, split: str) -> Int64[np.ndarray, "rows"]:
    """Numbers of a split's rows.

    Raises:
        ConfigError: the split is empty or unknown.
    """
    rows = store.indices(split)
    if not len(rows):
        raise ConfigError(f"the {split} split of {store.uri} is empty: choose another with --split")
    return rows.astype(np.int64)


def _scored(
    bundle_uri: str,
    store: Store,
    pieces: Mapping[str, Int64[np.ndarray, "rows"]],
    workers: int | None,
    remote_code: bool,
) -> Iterator[dict[str, Any]]:
    """Each piece's answer as it comes, in any order."""
    if not pieces:
        return
    there = offer()
    wanted = min(workers or there.workers, len(pieces))
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    items = [{"name": name, "rows": rows.tolist()} for name, rows in pieces.items()]
    answers = ray.data.from_items(items, override_num_blocks=len(items)).map(
        Scorer,  # type: ignore[arg-type]  # Ray makes one a worker
        fn_constructor_args=(bundle_uri, store, "cuda" if there.gpus else "cpu", remote_code),
        compute=ray.data.ActorPoolStrategy(size=wanted),
        num_cpus=1,
        num_gpus=1 if there.gpus else 0,
    )
    answers.context.enable_progress_bars = False
    yield from answers.iter_rows()

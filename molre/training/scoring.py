"""A split scored by all workers of a run together."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64

from molre.adapters import GateMeter
from molre.training.engine import Engine
from molre.training.examples import Examples, Part
from molre.training.sampler import share
from molre.training.validation import merged


class Scoring:
    """Logits and gates of rows, of which every worker scores its share.

    Args:
        engine: scores.
        examples: what is read.
        meter: of the routers. They are metered here and not in the steps: it costs training nothing, and all gates are
            of one moment.
        rank: of this worker.
        batch_size: studies at once, over all workers.
    """

    def __init__(self, engine: Engine, examples: Examples, meter: GateMeter, rank: int, batch_size: int) -> None:
        self._engine, self._examples, self._meter, self._rank = engine, examples, meter, rank
        self._size = max(1, batch_size // engine.world)

    def score(
        self, rows: Int64[np.ndarray, "rows"]
    ) -> tuple[Float32[np.ndarray, "rows findings"], dict[str, dict[str, float]]]:
        """Logits of the rows, and the gates by site, the same on every worker."""
        world = self._engine.world
        self._meter.reset()
        with self._meter:
            scored = self._part(share(rows, self._rank, world), -(-len(rows) // world))
        mine = scored, self._meter.read()
        gathered: list[Any] = [mine] * world
        if world > 1:
            torch.distributed.all_gather_object(gathered, mine)
        logits = np.zeros((len(rows), self._examples.labels.shape[1]), np.float32)
        for rank, (part, _) in enumerate(gathered):
            logits[rank::world] = part
        return logits, merged([figures for _, figures in gathered])

    @torch.no_grad()
    def _part(self, rows: Int64[np.ndarray, "part"], most: int) -> Float32[np.ndarray, "part findings"]:
        """Logits of this worker's rows; ``most`` is what any worker has, since all do the same number of passes."""
        self._engine.trainee.eval()
        stand_in = self._examples.store.indices("train")[:1]
        padded = np.concatenate([rows, stand_in.repeat(most - len(rows))])
        parts = [Part(rows=padded[at : at + self._size], counts=self._size) for at in range(0, most, self._size)]
        with contextlib.closing(self._examples.batches(parts)) as batches:
            outputs = [self._engine.logits(batch).cpu().numpy() for batch in batches]
        findings = self._examples.labels.shape[1]
        return np.concatenate([np.zeros((0, findings), np.float32), *outputs])[: len(rows)]

"""Which studies are in which step: a seeded order an epoch, the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from molre.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampler:
    """Order of the training studies.

    A step depends on (seed, epoch, step) alone, so a run that was stopped goes on where it was, on any number of
    workers. Without weights every study is in exactly one step of an epoch.

    Attributes:
        count: training studies.
        batch_size: studies a step at most, over all workers together.
        seed: of the orders.
        weights: how often each study is drawn, in proportion; with them an epoch is drawn with replacement.
    """

    count: int
    batch_size: int
    seed: int
    weights: Float64[np.ndarray, "count"] | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError("the store has no study in its training split")

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-self.count // self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Int64[np.ndarray, "batch"]]:
        """Positions of the studies of each step of an epoch, from the given step on; steps differ by one study."""
        generator = np.random.default_rng([self.seed, number])
        if self.weights is None:
            order = generator.permutation(self.count)
        else:
            order = generator.choice(self.count, self.count, p=self.weights / self.weights.sum())
        yield from np.array_split(order.astype(np.int64), self.steps)[start:]


def share(batch: Int64[np.ndarray, "batch"], rank: int, world: int) -> Int64[np.ndarray, "part"]:
    """One worker's part of a batch or split; every position is in exactly one worker's part."""
    return batch[rank::world]

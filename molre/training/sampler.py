"""Which studies are in which step: a seeded permutation an epoch, the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from molre.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampler:
    """Order of the training studies.

    A step depends on (seed, epoch, step) alone, so a run that was stopped goes on where it was, on any number of
    workers.

    Attributes:
        count: training studies.
        batch_size: studies a step, over all workers together.
        seed: of the permutations.
    """

    count: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError("the store has no study in its training split")

    @property
    def steps(self) -> int:
        """Steps an epoch; the last one is filled up from the epoch's beginning."""
        return -(-self.count // self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Int64[np.ndarray, "batch"]]:
        """Positions of the studies of each step of an epoch, from the given step on."""
        order = np.random.default_rng([self.seed, number]).permutation(self.count)
        filled = np.resize(order, self.steps * self.batch_size).reshape(self.steps, self.batch_size)
        yield from filled[start:].astype(np.int64)


def share(batch: Int64[np.ndarray, "batch"], rank: int, world: int) -> Int64[np.ndarray, "part"]:
    """One worker's part of a batch or split; every position is in exactly one worker's part."""
    return batch[rank::world]

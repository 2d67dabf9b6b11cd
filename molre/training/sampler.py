"""Which studies are in which step: a seeded order an epoch, the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int8, Int64

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


RARE_CAP = 10.0
"""No study is drawn more than this many times as often as one with the commonest finding or none; chosen, so that a
study that is alone with its finding does not fill the epochs."""


def rarity(labels: Int8[np.ndarray, "count findings"]) -> Float64[np.ndarray, "count"]:
    """How often to draw each study so that rare findings are seen more often: 1 for the least, at most ``RARE_CAP``.

    A study's weight is ``min(RARE_CAP, P / p)``: p is the prevalence of the rarest finding that it is known to have,
    among the known labels of that finding in the training split and smoothed by one of each class, and P the largest
    such prevalence of any finding. A study without a known positive weighs 1. Chosen: capped inverse class frequency,
    as repeat-factor sampling has it (Gupta, Dollár, Girshick, CVPR 2019), but of the rarest finding, linearly.
    """
    positives, known = (labels == 1).sum(axis=0), (labels >= 0).sum(axis=0)
    prevalence = (positives + 1) / (known + 2)
    seen = positives > 0
    if not seen.any():
        return np.ones(len(labels))
    rarest = np.where(labels == 1, prevalence, np.inf).min(axis=1)
    return np.clip(prevalence[seen].max() / rarest, 1.0, RARE_CAP)


def share(batch: Int64[np.ndarray, "batch"], rank: int, world: int) -> Int64[np.ndarray, "part"]:
    """One worker's part of a batch or split; every position is in exactly one worker's part."""
    return batch[rank::world]

"""What each step reads: a few slices of a few studies of a store, the same for the same seed and step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor

from molre.classifier import slice_mask
from molre.errors import ConfigError
from molre.store import Store
from molre.training.augmentation import Ranges, augmented

CHANGES = Ranges(offset_hu=0.0, noise_hu=0.0)
"""How slices are changed: in shape only, for their HU are the target."""


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Slices of one split of a store; nothing but voxels is read of it.

    Attributes:
        store: the store.
        split: the split.
        batch_studies: studies a step.
        study_slices: slices of each.
        seed: of order, slices and augmentation.
    """

    store: Store
    split: str
    batch_studies: int
    study_slices: int
    seed: int

    def __post_init__(self) -> None:
        if not len(self.rows):
            raise ConfigError(f"the store {self.store.uri} has no {self.split} split: ingest more studies")

    @property
    def rows(self) -> Int64[np.ndarray, " rows"]:
        """Rows of the split."""
        return self.store.indices(self.split)

    def step(self, number: int, device: torch.device) -> Float[Tensor, "n rows columns"]:
        """The slices of a step, augmented. Every study comes once before any comes again."""
        rows = self.rows
        studies = min(self.batch_studies, len(rows))
        epoch, at = divmod(number, len(rows) // studies)
        order = np.random.default_rng([self.seed, epoch]).permutation(rows)
        volumes = self.store.volumes(order[at * studies : (at + 1) * studies])
        # augmentation has generators of its own, so that each draw needs another seed than its neighbours'
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint32)[0])
        hu = some_slices(torch.from_numpy(volumes), self.study_slices, torch.Generator().manual_seed(seed))
        _, y_mm, x_mm = self.store.grid.spacing_mm
        return augmented(hu.to(device).float(), seed, (y_mm, x_mm), CHANGES).flatten(0, 1)

    def every(self, most_studies: int) -> Int16[Tensor, "n rows columns"]:
        """All slices with something in them of the first studies of the split, as they are."""
        volumes = torch.from_numpy(self.store.volumes(self.rows[:most_studies]))
        return volumes[slice_mask(volumes)]


def some_slices(
    volumes: Int16[Tensor, "b d h w"], count: int, generator: torch.Generator
) -> Int16[Tensor, "b count h w"]:
    """Some slices of each volume, empty ones only where there are too few others; one may come twice if need be."""
    likely = slice_mask(volumes).float() + 1e-6
    picked = torch.multinomial(likely, count, replacement=count > volumes.shape[1], generator=generator)
    return volumes.gather(1, picked[:, :, None, None].expand(-1, -1, *volumes.shape[2:]))

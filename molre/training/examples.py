"""What a step reads: volumes of a store, or features computed from them once."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int8, Int16, Int64
from torch import Tensor

from molre.embedding import Features
from molre.store import Store
from molre.store.readahead import Readahead, Shape, plain


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Studies as a classifier takes them.

    Attributes:
        labels: 1, 0 or -1.
        hu: voxels, where the backbone runs in the step.
        features: what it gave earlier, where it does not.
        mask: rows that take part in pooling; with voxels it is found in them where it is not given.
    """

    labels: Int8[Tensor, "batch findings"]
    hu: Int16[Tensor, "batch slices height breadth"] | None = None
    features: Float[Tensor, "batch rows width"] | None = None
    mask: Bool[Tensor, "batch rows"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What a worker reads at once.

    Attributes:
        rows: of the store.
        counts: how many of them count; those after only stand in for nothing, and all their labels are unknown.
    """

    rows: Int64[np.ndarray, " _"]
    counts: int


class Examples:
    """Labels of a whole store in memory, and its volumes or features by row.

    Args:
        store: where labels and volumes lie.
        features: cached features of the same store; without them batches hold voxels.
        device: of the batches.
    """

    def __init__(self, store: Store, features: Features | None, device: torch.device) -> None:
        self.store, self.features, self.device = store, features, device
        self.labels: Int8[np.ndarray, "rows findings"] = store.labels()
        self._ahead = Readahead(store, plain if device.type == "cpu" else _pinned)

    def batches(self, parts: Iterable[Part]) -> Generator[Batch, None, None]:
        """The studies of each part, in order; volumes are read ahead while the consumer works.

        A batch with voxels is the consumer's until it asks for the next one: on the CPU its voxels then are
        overwritten. What is to outlast that must be copied.

        Args:
            parts: what is read at once.

        Raises:
            StoreError: a part is not there any more, or not readable.
        """
        return self._of_features(self.features, parts) if self.features else self._of_voxels(parts)

    def _of_features(self, features: Features, parts: Iterable[Part]) -> Generator[Batch, None, None]:
        for part in parts:
            values, mask = (torch.from_numpy(array).to(self.device) for array in features.read(part.rows))
            yield Batch(labels=self._labels(part), features=values, mask=mask)

    def _of_voxels(self, parts: Iterable[Part]) -> Generator[Batch, None, None]:
        ahead, here = itertools.tee(parts)
        with contextlib.closing(self._ahead.volumes(part.rows for part in ahead)) as read:
            for part, (_, volumes) in zip(here, read, strict=True):
                hu = torch.from_numpy(volumes).to(self.device, non_blocking=True)
                try:
                    yield Batch(labels=self._labels(part), hu=hu)
                finally:
                    if self.device.type == "cuda":
                        # The transfer reads the buffer, which is about to be filled again.
                        torch.cuda.current_stream(self.device).synchronize()

    def _labels(self, part: Part) -> Int8[Tensor, "batch findings"]:
        labels = torch.from_numpy(self.labels[part.rows]).to(self.device)
        labels[part.counts :] = -1
        return labels


def _pinned(shape: Shape) -> Int16[np.ndarray, "n z y x"]:
    """Memory that a GPU fetches from while its kernels run."""
    return torch.empty(shape, dtype=torch.int16, pin_memory=True).numpy()

"""What a step reads: volumes of a store, or features computed from them once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int8, Int16, Int64
from torch import Tensor

from molre.classifier import slice_mask
from molre.embedding import Features
from molre.store import Store


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Studies as a classifier takes them.

    Attributes:
        labels: 1, 0 or -1.
        hu: voxels, where the backbone runs in the step.
        features: slice features, where it does not.
        mask: slices that take part in pooling.
    """

    labels: Int8[Tensor, "batch findings"]
    hu: Int16[Tensor, "batch slices rows columns"] | None
    features: Float[Tensor, "batch slices width"] | None
    mask: Bool[Tensor, "batch slices"]

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(
            labels=self.labels.to(device),
            hu=None if self.hu is None else self.hu.to(device, non_blocking=True),
            features=None if self.features is None else self.features.to(device),
            mask=self.mask.to(device),
        )


class Examples:
    """Labels of a whole store in memory, and its volumes or features by position.

    Args:
        store: where labels and volumes lie.
        features: cached features of the same store; without them batches hold voxels.
    """

    def __init__(self, store: Store, features: Features | None) -> None:
        self.store = store
        self.features = features
        self.labels: Int8[np.ndarray, "rows findings"] = store.labels()

    def batch(self, rows: Int64[np.ndarray, "batch"]) -> Batch:
        """The studies at the given rows of the store."""
        labels = torch.from_numpy(self.labels[rows])
        if self.features is not None:
            features, mask = self.features.read(rows)
            return Batch(labels=labels, hu=None, features=torch.from_numpy(features), mask=torch.from_numpy(mask))
        hu = torch.from_numpy(np.array(self.store.volumes(rows)))
        return Batch(labels=labels, hu=hu, features=None, mask=slice_mask(hu))

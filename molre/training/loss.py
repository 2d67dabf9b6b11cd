"""Multi-label focal loss over the labels that are known."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64, Int8
from torch import Tensor
from torch.nn import functional

WEIGHT_CAP = 20.0
"""No class counts more than this many times the mean; chosen, so that a finding seen once does not rule the step."""


def class_weights(
    labels: Int8[np.ndarray, "rows findings"], draws: Float64[np.ndarray, "rows"] | None = None
) -> Float[Tensor, "2 findings"]:
    """Weights of negatives (row 0) and positives (row 1) by prevalence.

    The paper states prevalence-based class weights and not their form. Chosen: each class of a finding weighs half of
    the finding's known labels, ``w1 = 1 / (2 p)`` and ``w0 = 1 / (2 (1 - p))`` with p smoothed by one of each, capped.

    Args:
        labels: of the training split.
        draws: how often each study is drawn, in proportion; p then is what the steps see.
    """
    often = np.ones(len(labels)) if draws is None else draws / draws.mean()
    positives, known = often @ (labels == 1), often @ (labels >= 0)
    prevalence = (positives + 1) / (known + 2)
    weights = np.stack([0.5 / (1 - prevalence), 0.5 / prevalence])
    return torch.from_numpy(np.minimum(weights, WEIGHT_CAP).astype(np.float32))


def focal_sum(
    logits: Float[Tensor, "rows findings"],
    labels: Int8[Tensor, "rows findings"],
    weights: Float[Tensor, "2 findings"],
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """Sum of ``w (1 - p_t)^gamma * -log p_t`` over the known labels (Lin et al., ICCV 2017, eq. 4; gamma 2 stated).

    A sum, so that the caller divides by the number of known labels of the whole batch, on however many workers it lies.
    Unknown labels (-1) add nothing and get no gradient.
    """
    known = labels >= 0
    target = (labels == 1).to(logits.dtype)
    surprise = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    doubt = 1 - torch.exp(-surprise)
    weight = torch.where(labels == 1, weights[1], weights[0])
    # clamp: the slope of doubt^gamma is undefined at 0 for gamma below 1
    terms = weight * doubt.clamp_min(1e-8) ** gamma * surprise
    return torch.where(known, terms, torch.zeros_like(terms)).sum()

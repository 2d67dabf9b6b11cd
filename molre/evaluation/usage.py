"""How a mixture of experts spreads its work: gates averaged over slices, and their entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Use of the experts over a set of routed inputs (slices in 2D, volumes in 3D).

    Attributes:
        mean: mean gate of each expert; they sum to 1.
        dominant: share of the inputs in which each expert has the largest gate.
        entropy: mean entropy of an input's gates over its greatest value, log K: 1 is an even mix in every input, 0 is
            one expert an input.
        balance: entropy of the mean gates over log K: 1 is even use over the cohort, 0 is one expert for all.
        routed: number of inputs.
    """

    mean: Float64[np.ndarray, "experts"]
    dominant: Float64[np.ndarray, "experts"]
    entropy: float
    balance: float
    routed: int

    def to_json(self) -> dict[str, Any]:
        """The form in which a report holds it."""
        return {
            "experts": len(self.mean),
            "mean_gate": [float(gate) for gate in self.mean],
            "dominant_share": [float(share) for share in self.dominant],
            "entropy": self.entropy,
            "balance": self.balance,
            "routed": self.routed,
        }


def normalised_entropy(gates: Float64[np.ndarray, "n experts"]) -> Float64[np.ndarray, "n"]:
    """Shannon entropy of gates over log K, in [0, 1]; 0 for a single expert."""
    experts = gates.shape[-1]
    if experts == 1:
        return np.zeros(len(gates))
    logs = np.log(gates, out=np.zeros_like(gates), where=gates > 0)
    return np.clip(-(gates * logs).sum(axis=-1) / np.log(experts), 0.0, 1.0)


def usage(gates: Float32[np.ndarray, "routed experts"]) -> Usage:
    """Summary of the gates of many inputs.

    Args:
        gates: a row an input, each a distribution over the experts.
    """
    wide = gates.astype(np.float64)
    mean = wide.mean(axis=0)
    dominant = np.bincount(wide.argmax(axis=1), minlength=wide.shape[1]) / len(wide)
    return Usage(
        mean=mean,
        dominant=dominant,
        entropy=float(normalised_entropy(wide).mean()),
        balance=float(normalised_entropy(mean[None])[0]),
        routed=len(wide),
    )

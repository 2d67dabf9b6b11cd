"""How a mixture of experts spreads its work: mean gates, their entropy, and which expert goes with which finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int8

from molre.findings import KEYS


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Use of the experts over a set of routed inputs (slices in 2D, volumes in 3D).

    Attributes:
        mean: mean gate of each expert; they sum to 1.
        dominant: share of the inputs in which each expert has the largest gate.
        entropy: mean entropy of an input's gates over its greatest value, log K: 1 is an even mix in every input, 0 is
            one expert an input.
        balance: entropy of the mean gates over log K: 1 is even use over the cohort, 0 is one expert for all.
        effective: experts that would give that entropy if they were used evenly: exp of the entropy of the mean gates.
        routed: number of inputs.
    """

    mean: Float64[np.ndarray, "experts"]
    dominant: Float64[np.ndarray, "experts"]
    entropy: float
    balance: float
    effective: float
    routed: int

    def to_json(self) -> dict[str, Any]:
        """The form in which a report holds it."""
        return {
            "experts": len(self.mean),
            "mean_gate": [float(gate) for gate in self.mean],
            "dominant_share": [float(share) for share in self.dominant],
            "entropy": self.entropy,
            "balance": self.balance,
            "effective_experts": self.effective,
            "routed": self.routed,
        }


def normalised_entropy(gates: Float64[np.ndarray, "n experts"]) -> Float64[np.ndarray, "n"]:
    """Shannon entropy of gates over log K, in [0, 1]; 0 for a single expert."""
    experts = gates.shape[-1]
    if experts == 1:
        return np.zeros(len(gates))
    logs = np.log(gates, out=np.zeros_like(gates), where=gates > 0)
    return np.clip(-(gates * logs).sum(axis=-1) / np.log(experts), 0.0, 1.0)


def usage(gates: Float32[np.ndarray, "series routed experts"]) -> Usage:
    """Summary of the gates of many inputs.

    Args:
        gates: of every series, each a distribution over the experts, NaN where the slice was all air.
    """
    flat = gates.reshape(-1, gates.shape[-1])
    wide = flat[np.isfinite(flat).all(axis=1)].astype(np.float64)
    mean = wide.mean(axis=0)
    balance = float(normalised_entropy(mean[None])[0])
    return Usage(
        mean=mean,
        dominant=np.bincount(wide.argmax(axis=1), minlength=wide.shape[1]) / len(wide),
        entropy=float(normalised_entropy(wide).mean()),
        balance=balance,
        effective=float(len(mean) ** balance),
        routed=len(wide),
    )


def by_finding(
    gates: Float32[np.ndarray, "series routed experts"], labels: Int8[np.ndarray, "series findings"]
) -> list[dict[str, Any]]:
    """Mean gate of each expert on the series with a finding and on those without it.

    A series counts once, by the mean over its slices. The router never saw a label: what stands out here it found in
    the images, or by chance, which a standard error of the difference tells.

    Args:
        gates: of every series, NaN where the slice was all air.
        labels: 1, 0 or -1; unknown ones are left out.

    Returns:
        A row a finding that has two series or more on either side, in the order of the findings, as JSON values.
    """
    series = np.nanmean(gates.astype(np.float64), axis=1)
    rows = []
    for at, key in enumerate(KEYS):
        with_it, without = (series[labels[:, at] == value] for value in (1, 0))
        if min(len(with_it), len(without)) < 2:
            continue
        difference = with_it.mean(0) - without.mean(0)
        error = np.sqrt(with_it.var(0, ddof=1) / len(with_it) + without.var(0, ddof=1) / len(without))
        rows.append(
            {
                "key": key,
                "positives": len(with_it),
                "negatives": len(without),
                "gate_on_positives": with_it.mean(0).tolist(),
                "gate_on_negatives": without.mean(0).tolist(),
                "difference": difference.tolist(),
                "standard_error": error.tolist(),
            }
        )
    return rows

"""The deployment that holds the bundle and answers one volume at a time."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int16

from molre.bundle import Bundle
from molre.evaluation.prediction import open_bundle
from molre.findings import FINDINGS, Finding

PROBES = 8
"""Readiness probes answered beside the studies."""


class Model:
    """A loaded bundle in a replica.

    One volume at a time: a study is already a batch of slices, so batching studies would only add latency.
    """

    def __init__(self, bundle_uri: str, threads: int, remote_code: bool) -> None:
        """Load and warm up.

        Args:
            bundle_uri: path or URI.
            threads: of torch on the CPU; 0 for all that this process may use.
            remote_code: run code that comes with the backbone's weights, for the backbones that need it.
        """
        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._bundle = open_bundle(bundle_uri, device=device, remote_code=remote_code)
        self._turn = asyncio.Lock()
        self._predict(np.zeros(self._bundle.grid.shape, np.int16))

    async def predict(self, hu: Int16[np.ndarray, "z y x"]) -> Float32[np.ndarray, "findings"]:
        """Probability of each finding in one volume on the bundle's grid."""
        # Waiting here and not in a thread, a request whose client gave up costs nothing, and probes are answered.
        async with self._turn:
            return await asyncio.to_thread(self._predict, hu)

    def _predict(self, hu: Int16[np.ndarray, "z y x"]) -> Float32[np.ndarray, "findings"]:
        return self._bundle.predict(hu[None])[0]

    async def ready(self) -> bool:
        """True, which only a loaded and warm replica can say."""
        return True


def facts_of(bundle: Bundle) -> dict[str, Any]:
    """What a reply says about the model."""
    adapter = bundle.adapted
    return {
        "bundle": bundle.sha,
        "backbone": bundle.manifest["backbone"]["name"],
        "adapter": adapter.config.kind,
        "site": adapter.config.site,
        "added_fraction": adapter.added_fraction,
        "grid": bundle.grid.name,
        "synthetic": bundle.synthetic,
        "calibrated": bool(bundle.calibration.curves),
        "intended_use": "research use only; not a medical device",
    }


def described(finding: Finding, thresholds: dict[str, float]) -> dict[str, Any]:
    """A finding as replies list it, with its threshold where the bundle has one."""
    entry: dict[str, Any] = {"key": finding.key, "name": finding.name, "group": finding.group}
    return entry | ({"threshold": thresholds[finding.key]} if finding.key in thresholds else {})


def findings_reply(
    probabilities: Float32[np.ndarray, "findings"], thresholds: dict[str, float]
) -> list[dict[str, Any]]:
    """The findings as a reply lists them; ``threshold`` and ``positive`` where the bundle has a threshold."""
    reply = []
    for finding, probability in zip(FINDINGS, probabilities, strict=True):
        entry = described(finding, thresholds) | {"probability": float(probability)}
        if finding.key in thresholds:
            entry["positive"] = bool(probability >= np.float32(thresholds[finding.key]))
        reply.append(entry)
    return reply

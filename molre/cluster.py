"""The Ray that this process belongs to, and what it offers."""

from __future__ import annotations

from dataclasses import dataclass

import ray


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a cluster has in all, busy or not.

    Attributes:
        cpus: logical CPUs, at least 1.
        gpus: GPUs.
    """

    cpus: int
    gpus: int

    @property
    def workers(self) -> int:
        """Workers of one GPU each where there are GPUs, else of one CPU each."""
        return self.gpus or self.cpus


def offer() -> Offer:
    """What the cluster offers; connects to the one at ``RAY_ADDRESS`` or on this machine, else starts a local one."""
    if not ray.is_initialized():
        ray.init()
    resources = ray.cluster_resources()
    return Offer(cpus=max(1, int(resources.get("CPU", 1))), gpus=int(resources.get("GPU", 0)))

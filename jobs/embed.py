"""Compute the frozen features of a store once, for trainings that only change what comes after the backbone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from molre.classifier import MEMORY_MIB
from molre.embedded import default_store
from molre.embedding import EmbedConfig, embed
from molre.job import run
from molre.location import home, place


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedJob:
    """Compute the frozen features of a store and hold them as Arrow."""

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones."""
    weights: str | None = None
    """Checkpoint file or folder, hub id, or 'random'; without it the packaged weights, else random ones."""
    out: str = field(default_factory=lambda: str(home() / "features"))
    """Folder or URI below which features lie by store, backbone, weights, windows and grid; a killed run goes on."""
    workers: int = 0
    """Actors that compute; 0 for one a CPU or GPU of the cluster."""
    memory_mib: float = MEMORY_MIB
    """What a forward pass may take beyond the weights, MiB, in each worker; bounds the slices that pass at once."""
    remote_code: bool = False
    """Run code that comes with the weights, for the backbones that need it."""


def main(config: EmbedJob) -> dict[str, Any]:
    """Embed, and say where the features are."""
    store = place(config.store) if config.store else default_store()
    features = embed(
        EmbedConfig(
            store=store,
            backbone=config.backbone,
            weights=config.weights,
            out=place(config.out),
            workers=config.workers,
            memory_mib=config.memory_mib,
            remote_code=config.remote_code,
        )
    )
    print(f"features  {features.uri}")
    print(f"train     python jobs/train.py --store {store} --backbone {config.backbone} --features {features.uri}")
    shape = features.manifest["shape"]
    told = {"features": features.uri, "rows_a_volume": shape[0], "width": shape[1]}
    return told | {"provenance": features.manifest["provenance"]}


if __name__ == "__main__":
    run(main, EmbedJob)

"""Compute the frozen slice features of a store once, for trainings that only change what comes after the backbone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from molre.embedded import default_store
from molre.embedding import EmbedConfig, embed
from molre.job import run
from molre.location import home, place


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedJob:
    """Compute the frozen slice features of a store and hold them as Arrow."""

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones."""
    weights: str | None = None
    """Checkpoint file or folder, hub id, or 'random'; without it the packaged weights, else random ones."""
    out: str = field(default_factory=lambda: str(home() / "features"))
    """Folder or URI of the features; a run that was killed goes on here."""
    workers: int = 0
    """Actors that compute; 0 for one a CPU or GPU of the cluster."""


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
        )
    )
    print(f"features  {features.uri}")
    print(f"train     python jobs/train.py --store {store} --backbone {config.backbone} --features {features.uri}")
    shape = features.manifest["shape"]
    told = {"features": features.uri, "slices": shape[0], "width": shape[1]}
    return told | {"provenance": features.manifest["provenance"]}


if __name__ == "__main__":
    run(main, EmbedJob)

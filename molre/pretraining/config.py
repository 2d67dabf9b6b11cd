"""What a pre-training is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from molre.errors import ConfigError
from molre.location import home, place

PHANTOM_SEED = 7_000_000_019
"""Seed of the phantoms that are learned from; beyond the 32 bits of any seed that a person would give a cohort."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig:
    """Pre-train a DINOv3 backbone on unlabelled slices; without flags, the demo's small one on phantoms."""

    out: str = field(default_factory=lambda: str(home() / "pretrain"))
    """Folder or URI of the result; a run that was killed goes on there."""
    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI: voxels of its train split are learned from, the loss on its val
    split is told, its labels are not read. Without it phantoms of a seed of their own are drawn."""
    studies: int = 560
    """Phantoms to draw where no store is given; 94 % of the patients are learned from."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones, of the DINOv3 family."""
    weights: str = "random"
    """What to begin with: random, or a checkpoint file, folder or hub id to go on from."""
    steps: int = 1800
    """Optimiser steps; the default takes 20 to 40 minutes on one core."""
    batch_studies: int = 12
    """Studies a step."""
    study_slices: int = 4
    """Slices of each of them, drawn anew each time."""
    most_hidden: float = 0.6
    """Largest share of an image's patches that is hidden; a quarter of the images shows all (SimMIM: 0.6)."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    checkpoint_every_s: float = 120.0
    """Seconds between two checkpoints, which is what a killed run loses at most."""
    seed: int = 0
    """Seed of initial weights, order, augmentation and masks."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", place(self.out))
        if self.store is not None:
            object.__setattr__(self, "store", place(self.store))
        for name in ("steps", "batch_studies", "study_slices"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("learning_rate", "checkpoint_every_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.studies < 40:
            raise ConfigError(f"studies is {self.studies}: it must be at least 40, or too few tell the held-out loss")
        if not 0 < self.most_hidden < 1:
            raise ConfigError(f"most_hidden is {self.most_hidden}: it must lie between 0 and 1")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}: it must be at least 0")

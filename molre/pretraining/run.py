"""The loop: steps, lines of progress, checkpoints, and the weights in the end."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import time
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16
from safetensors.torch import save
from torch import Tensor, nn

from molre.backbones import BACKBONES, SliceInput, build
from molre.backbones.dinov3 import DinoV3
from molre.errors import ConfigError, TrainingError
from molre.location import Location
from molre.pretraining.config import PretrainConfig
from molre.pretraining.objective import Losses, Objective, band_weights, masks
from molre.pretraining.slices import Slices
from molre.store import Store
from molre.training.schedule import learning_rate

SURVEYED = 32
"""Studies whose voxels tell how rare each band is."""
HELD_OUT = 32
"""Most studies of the val split on which losses are told."""
CHECKPOINT = "checkpoint.pt"
ANYWHERE = ("out", "store", "studies", "checkpoint_every_s")
"""Settings that may differ when a run is taken up again; the store's content may not."""


def pretrain(config: PretrainConfig) -> dict[str, Any]:
    """Train on a store's voxels, and write the weights in half precision.

    Args:
        config: with a store.

    Returns:
        What the summary says: losses on held-out studies before and after, and where the weights are.

    Raises:
        ConfigError: the backbone is of another family, the store lacks a split, or ``out`` holds another pre-training.
        TrainingError: the loss is no number.
    """
    if config.store is None:
        raise ConfigError("pre-training needs a store")
    store = Store.open(config.store)
    slices, held = (
        Slices(
            store=store,
            split=split,
            batch_studies=config.batch_studies,
            study_slices=config.study_slices,
            seed=config.seed,
        )
        for split in ("train", "val")
    )
    run = _Run(config, slices, held.every(HELD_OUT), store.manifest.index.sha256)
    run.take_up()
    run.go_on()
    out = Location.of(config.out) / f"{config.backbone}.safetensors"
    state = {name: value.half().cpu().contiguous() for name, value in run.objective.backbone.vit.state_dict().items()}
    out.write_bytes(save(state))
    return {
        "weights": out.uri,
        "held_out": {"before": run.before, "after": run.held_out()},
        "studies": {"train": len(slices.rows), "val": min(HELD_OUT, len(held.rows))},
        "device": str(run.device),
    }


def objective_of(config: PretrainConfig, slices: Slices) -> Objective:
    """The backbone as the run begins, with new heads.

    Raises:
        ConfigError: the backbone is of another family.
    """
    backbone = build(config.backbone, weights=config.weights, seed=config.seed)
    if not isinstance(backbone, DinoV3):
        known = ", ".join(name for name, spec in BACKBONES.items() if issubclass(spec.family, DinoV3))
        raise ConfigError(f"pre-training hides patches of DINOv3 only, not of {config.backbone}: choose from {known}")
    wanted = backbone.spec.input
    assert isinstance(wanted, SliceInput)
    weights = band_weights(slices.every(SURVEYED), wanted.image_px)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        backbone.train()
        return Objective(backbone, weights)


class _Run:
    """One pre-training: the objective, its optimiser, and how far it has come."""

    def __init__(
        self, config: PretrainConfig, slices: Slices, held: Int16[Tensor, "n rows columns"], content: str
    ) -> None:
        self.config, self.slices, self.held = config, slices, held
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.objective = objective_of(config, slices).to(self.device)
        self.optimizer = torch.optim.AdamW(self.objective.parameters(), lr=config.learning_rate, weight_decay=0.05)
        self.taken = 0
        self.before: dict[str, float] = {}
        told = {key: value for key, value in dataclasses.asdict(config).items() if key not in ANYWHERE}
        self.settings = json.dumps(told | {"content": content}, sort_keys=True)
        self.checkpoint = Location.of(config.out) / CHECKPOINT

    def take_up(self) -> None:
        """Go on from the checkpoint, or begin.

        Raises:
            ConfigError: the checkpoint is of other settings or another store.
        """
        if not self.checkpoint.exists():
            self.before = self.held_out()
            return
        kept = torch.load(io.BytesIO(self.checkpoint.read_bytes()), map_location=self.device, weights_only=True)
        if kept["settings"] != self.settings:
            raise ConfigError(
                f"{self.config.out} holds a pre-training with other settings or of another store: "
                "give another --out, or delete that folder"
            )
        self.taken, self.before = kept["taken"], kept["before"]
        self.objective.load_state_dict(kept["objective"])
        self.optimizer.load_state_dict(kept["optimizer"])
        print(f"going on after step {self.taken} of {self.config.steps}", flush=True)

    def keep(self) -> None:
        """Write the checkpoint."""
        file = io.BytesIO()
        told = {"settings": self.settings, "taken": self.taken, "before": self.before}
        states = {"objective": self.objective.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(told | states, file)
        self.checkpoint.write_bytes(file.getvalue())

    def go_on(self) -> None:
        """All steps that are left."""
        begun = kept = time.monotonic()
        first, losses = self.taken, []
        while self.taken < self.config.steps:
            losses.append(self.step())
            if self.taken % 50 == 0 or self.taken == self.config.steps:
                pace = (time.monotonic() - begun) / (self.taken - first)
                self._tell(float(np.mean(losses)), pace)
                losses = []
            if time.monotonic() - kept > self.config.checkpoint_every_s or self.taken == self.config.steps:
                self.keep()
                kept = time.monotonic()

    def _tell(self, loss: float, pace: float) -> None:
        left = pace * (self.config.steps - self.taken) / 60
        print(f"step {self.taken} of {self.config.steps}: loss {loss:.4f}, {left:.1f} min left", flush=True)

    def step(self) -> float:
        """One optimiser step; returns the loss.

        Raises:
            TrainingError: the loss is no number.
        """
        config, number = self.config, self.taken
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(number, config.steps, peak=config.learning_rate, warmup=0.05)
        hu = self.slices.step(number, self.device)
        loss = self._losses(hu, seed_of(config.seed, number)).total
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss is {loss.item()} at step {number}: use a lower --learning-rate")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        self.optimizer.step()
        self.taken += 1
        return loss.item()

    def _losses(self, hu: Float[Tensor, "n rows columns"], seed: int) -> Losses:
        generator = torch.Generator().manual_seed(seed)
        hidden = masks(len(hu), self.objective.patches, self.config.most_hidden, generator)
        return self.objective(hu, hidden.to(self.device))

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Mean losses over slices that nothing is learned from, always with the same patches hidden."""
        parts = self.held.split(self.config.batch_studies * self.config.study_slices)
        told = [self._losses(part.to(self.device).float(), seed) for seed, part in enumerate(parts)]
        names = [field.name for field in dataclasses.fields(Losses)]
        return {name: round(float(np.mean([getattr(each, name).item() for each in told])), 4) for name in names}


def seed_of(seed: int, step: int) -> int:
    """Seed of a step's masks; its augmentation has another."""
    return int(np.random.SeedSequence([seed, step, 1]).generate_state(1, np.uint32)[0])

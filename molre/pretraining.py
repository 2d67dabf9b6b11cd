"""How the small backbone comes to know anything: dense supervision by the tissues of phantom slices.

The demo's backbone is too small to have published weights, and random features say little about a head. It is trained
here on phantoms of another seed than any cohort's, to tell from each patch which tissue fills each of its cells, and
from the mean of its patches how much of each tissue lies in each zone of the slice. No label of a finding is used. The
weights that come with molre were made by ``jobs/pretrain.py`` with its default settings.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int16, UInt8
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from molre.backbones import SliceInput, build
from molre.backbones.dinov3 import PREFIX, DinoV3
from molre.errors import ConfigError
from molre.location import Location, home, place
from molre.phantom import TISSUES, CohortConfig, make_study
from molre.training.schedule import learning_rate

SEED_OFFSET = 7_000_000_019
"""Added to the seed, so that no cohort of the platform's default seeds shares a phantom with the pre-training."""

CELL_PX = 4
"""Side of the cells whose tissue is told: fine enough for a thin subdural, coarse enough for a linear decoder."""

ZONES = 4
"""Zones along each side of the slice whose tissue volumes the mean of the patches has to tell."""

WEIGHTS = "dinov3-tiny.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig:
    """Pre-train the demo's small backbone on the tissues of phantoms."""

    out: str = field(default_factory=lambda: str(home() / "pretrain"))
    """Folder or URI of the result."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones."""
    studies: int = 500
    """Phantoms to learn from."""
    held_out: int = 20
    """Further phantoms on which the loss is told and nothing learned."""
    steps: int = 2400
    """Optimiser steps."""
    batch_size: int = 48
    """Slices a step."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    field_mm: float = 224.0
    """Side of the image; 224 mm at 112 px are the 2 mm of the demo's grid."""
    seed: int = 0
    """Seed of phantoms, initial weights and order; phantoms of any cohort have other seeds."""
    processes: int = 2
    """Processes that draw phantoms."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", place(self.out))
        for name in ("studies", "held_out", "steps", "batch_size", "processes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Slices:
    """Phantom slices with their tissues.

    Attributes:
        hu: acquired slices of all studies, one study after the other from feet to head.
        tissue: position in ``TISSUES`` of every voxel.
        top: whether a slice is the last of its study.
        field_mm: side of a slice.
    """

    hu: Int16[np.ndarray, "n rows columns"]
    tissue: UInt8[np.ndarray, "n rows columns"]
    top: np.ndarray
    field_mm: float


class TissueHeads(nn.Module):
    """What reads tissues from tokens while the backbone learns; thrown away afterwards.

    Args:
        width: of a token.
        patch_px: side of a token's patch.
    """

    def __init__(self, width: int, patch_px: int) -> None:
        super().__init__()
        self.cells = patch_px // CELL_PX
        self.dense = nn.Linear(width, self.cells**2 * len(TISSUES))
        self.zones = nn.Linear(width, ZONES**2 * len(TISSUES))

    def tissue(self, tokens: Float[Tensor, "n patches width"]) -> Float[Tensor, "n tissues rows columns"]:
        """Logits of each cell's tissue."""
        side, cells = round(tokens.shape[1] ** 0.5), self.cells
        logits = self.dense(tokens).view(len(tokens), side, side, cells, cells, len(TISSUES))
        return logits.permute(0, 5, 1, 3, 2, 4).reshape(len(tokens), len(TISSUES), side * cells, side * cells)

    def volumes(self, features: Float[Tensor, "n width"]) -> Float[Tensor, "n tissues zones zones"]:
        """Logarithmic tissue volumes of each zone."""
        return self.zones(features).view(len(features), len(TISSUES), ZONES, ZONES)


def draw(config: PretrainConfig, first: int, count: int) -> Slices:
    """Draw phantoms in several processes; the same settings give the same slices in the same order."""
    cohort = CohortConfig(studies=first + count, seed=config.seed + SEED_OFFSET)
    context = multiprocessing.get_context("spawn")
    hu, tissue, top = [], [], []
    with ProcessPoolExecutor(config.processes, mp_context=context) as pool:
        numbers = range(first, first + count)
        for done, (one, its) in enumerate(pool.map(_drawn, [cohort] * count, numbers, chunksize=4), start=1):
            hu.append(one)
            tissue.append(its)
            top.append(np.arange(len(one)) == len(one) - 1)
            if done % 50 == 0 or done == count:
                print(f"{done} of {count} phantoms drawn", flush=True)
    return Slices(
        hu=np.concatenate(hu), tissue=np.concatenate(tissue), top=np.concatenate(top), field_mm=cohort.field_mm
    )


def _drawn(cohort: CohortConfig, number: int) -> tuple[np.ndarray, np.ndarray]:
    study = make_study(cohort, number)
    return study.hu, study.tissue


def augmented(
    slices: Slices, picked: np.ndarray, image_px: int, field_mm: float, generator: torch.Generator
) -> tuple[Float[Tensor, "n rows columns"], Tensor]:
    """Slices as a store would hold them, each moved, turned and scaled a little, and mixed with the one above.

    A store's slices lie between acquired ones, so an image is a mixture of two neighbours; its tissues are those of
    the nearer.

    Returns:
        HU and tissue, both ``image_px`` square over ``field_mm``.
    """
    above = np.where(slices.top[picked], picked, np.minimum(picked + 1, len(slices.hu) - 1))
    share = 0.5 * torch.rand(len(picked), 1, 1, generator=generator)
    hu = torch.from_numpy(slices.hu[picked]).float().lerp(torch.from_numpy(slices.hu[above]).float(), share)
    tissue = torch.from_numpy(slices.tissue[picked])
    grid = _movement(len(picked), image_px, field_mm / slices.field_mm, generator)
    # outside the field lies air: shifted by 1024 so that the zero padding of grid_sample means -1024 HU
    moved = functional.grid_sample(hu[:, None] + 1024, grid, align_corners=False)[:, 0] - 1024
    named = functional.grid_sample(tissue[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0]
    return moved, named.long()


def _movement(count: int, image_px: int, ratio: float, generator: torch.Generator) -> Float[Tensor, "n p p 2"]:
    draws = torch.rand(4, count, generator=generator) * 2 - 1
    angle, scale = draws[0] * 0.12, ratio * (1 + 0.06 * draws[1])
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cos, -sin, 0.06 * draws[2], sin, cos, 0.06 * draws[3]], dim=1)
    return functional.affine_grid(rows.view(count, 2, 3), [count, 1, image_px, image_px], align_corners=False)


def tissue_loss(
    heads: TissueHeads, tokens: Float[Tensor, "n patches width"], tissue: Tensor, weights: Float[Tensor, "tissues"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy of the cells' tissues, and error of the zones' logarithmic volumes.

    Args:
        heads: of the pre-training.
        tokens: of the patches.
        tissue: (n, rows, columns) of the image.
        weights: of the tissues; rare ones count more.
    """
    sampled = tissue[:, ::2, ::2]  # every fourth voxel tells a cell's shares well enough, at a quarter of the cost
    share = torch.zeros(len(tissue), len(TISSUES), *sampled.shape[1:]).scatter_(1, sampled[:, None], 1.0)
    cells = functional.avg_pool2d(share, CELL_PX // 2)
    told = heads.tissue(tokens).log_softmax(1)
    dense = -(told * cells * weights[:, None, None]).sum(1).mean()
    volume = functional.adaptive_avg_pool2d(cells, ZONES) * (tissue.shape[-1] / ZONES) ** 2
    error = functional.smooth_l1_loss(heads.volumes(tokens.mean(1)), torch.log1p(volume), reduction="none")
    return dense, (error * weights[:, None, None].sqrt()).mean()


def tissue_weights(tissue: np.ndarray) -> Float[Tensor, "tissues"]:
    """Weights by the root of rarity, so that a bleed counts beside the air around the head; at most 12."""
    counts = np.bincount(tissue.ravel(), minlength=len(TISSUES)).astype(float) + 1
    weights = np.sqrt(counts.sum() / counts / len(TISSUES))
    return torch.from_numpy(np.minimum(weights, 12).astype(np.float32))


def pretrain(config: PretrainConfig) -> dict[str, object]:
    """Draw phantoms, train, and write the weights in half precision.

    Returns:
        What the summary says: losses on held-out phantoms before and after, and where the weights are.
    """
    held = draw(config, config.studies, config.held_out)
    slices = draw(config, 0, config.studies)
    backbone = build(config.backbone, weights="random", seed=config.seed).train()
    if not isinstance(backbone, DinoV3):
        raise ConfigError(f"pre-training knows the tokens of DINOv3 only, not of {config.backbone}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        heads = TissueHeads(backbone.spec.width, _input(backbone).patch_px)
    weights = tissue_weights(slices.tissue)
    step = _Step(config, backbone, heads, weights)
    before = step.held_out(held)
    begun, total = time.monotonic(), 0.0
    for number, picked in enumerate(_order(len(slices.hu), config)):
        total += step.take(slices, picked, number)
        if (number + 1) % 100 == 0:
            rate = (number + 1) * config.batch_size / (time.monotonic() - begun)
            print(f"step {number + 1}/{config.steps}: loss {total / 100:.4f}, {rate:.0f} slices/s", flush=True)
            total = 0.0
    after = step.held_out(held)
    out = Location.of(config.out) / WEIGHTS
    state = {name: value.half().contiguous() for name, value in backbone.vit.state_dict().items()}
    out.write_bytes(save(state))
    return {"weights": out.uri, "held_out": {"before": before, "after": after}, "slices": len(slices.hu)}


def _input(backbone: DinoV3) -> SliceInput:
    assert isinstance(backbone.spec.input, SliceInput)
    return backbone.spec.input


def _order(count: int, config: PretrainConfig) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(config.seed)
    taken = 0
    while taken < config.steps:
        order = generator.permutation(count)
        for start in range(0, count - config.batch_size + 1, config.batch_size):
            if taken == config.steps:
                return
            taken += 1
            yield order[start : start + config.batch_size]


class _Step:
    """The optimiser around backbone and heads."""

    def __init__(
        self, config: PretrainConfig, backbone: DinoV3, heads: TissueHeads, weights: Float[Tensor, "tissues"]
    ) -> None:
        self.config, self.backbone, self.heads, self.weights = config, backbone, heads, weights
        self.parameters = [*backbone.parameters(), *heads.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, weight_decay=0.05)
        self.generator = torch.Generator().manual_seed(config.seed)

    def losses(
        self, slices: Slices, picked: np.ndarray, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        spec = self.backbone.spec
        wanted = _input(self.backbone)
        hu, tissue = augmented(slices, picked, wanted.image_px, self.config.field_mm, generator)
        images = wanted.of(hu, spec.windows)
        return tissue_loss(self.heads, self._patches(images), tissue, self.weights)

    def _patches(self, images: Float[Tensor, "n c p p"]) -> Float[Tensor, "n patches width"]:
        return self.backbone.vit(pixel_values=images).last_hidden_state[:, PREFIX:]

    def take(self, slices: Slices, picked: np.ndarray, number: int) -> float:
        """One optimiser step; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(number, self.config.steps, peak=self.config.learning_rate, warmup=0.05)
        dense, zones = self.losses(slices, picked, self.generator)
        loss = dense + 2 * zones
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def held_out(self, slices: Slices) -> dict[str, float]:
        """Mean losses over slices that nothing is learned from."""
        generator = torch.Generator().manual_seed(0)
        parts = np.array_split(np.arange(len(slices.hu)), max(1, len(slices.hu) // self.config.batch_size))
        losses = [self.losses(slices, part, generator) for part in parts]
        return {
            "dense": float(np.mean([float(dense) for dense, _ in losses])),
            "zones": float(np.mean([float(zones) for _, zones in losses])),
        }

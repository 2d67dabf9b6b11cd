"""The plan that all workers of a run make together, from the network, the batch and the memory that each has."""

from __future__ import annotations

import dataclasses
import json
import math

import torch

from molre.classifier import Classifier
from molre.location import Location
from molre.store.readahead import DEPTH
from molre.training.activations import saved_bytes
from molre.training.config import TrainConfig
from molre.training.deepspeed_settings import bf16, own, stage_of
from molre.training.trainee import Trainee
from molre.training.zero import Load, Plan, Room, plan, room
from molre.volume import Grid

PLAN = "deepspeed.json"
"""What a run's folder says of its last plan, and of what DeepSpeed was told."""


def agreed(
    config: TrainConfig, trainee: Trainee, grid: Grid, device: torch.device, world: int, here: int
) -> tuple[Plan, Load]:
    """The plan for a run, the same on every worker.

    Args:
        config: resolved.
        trainee: what is trained.
        grid: of the store.
        device: of this worker.
        world: workers of the run.
        here: those of them on this node.

    Raises:
        ConfigError: nothing fits, on every worker alike.
    """
    load = load_of(config, trainee, grid, world, gpu=device.type == "cuda")
    least = _least(room(device, here), device, world)
    found = plan(load, least, world, wanted=stage_of(config), nvme=config.nvme is not None)
    mine = own(config)
    if mine is not None and "zero_optimization" in mine:
        found = dataclasses.replace(found, chosen="own file")
    return found, load


def load_of(config: TrainConfig, trainee: Trainee, grid: Grid, world: int, *, gpu: bool) -> Load:
    """What a worker has to hold.

    Args:
        config: resolved.
        trainee: what is trained.
        grid: of the store.
        world: workers of the run.
        gpu: whether they work on GPUs.
    """
    return Load(
        parameters=sum(parameter.numel() for parameter in trainee.parameters()),
        trained=sum(parameter.numel() for parameter in trainee.trained.values()),
        element=2 if bf16(config, gpu) else 4,
        activations=_activations(config, trainee, grid, world, 2 if bf16(config, gpu) else 4),
        accumulated=config.accumulation > 1,
    )


def part_rows(count: int, world: int, accumulation: int) -> int:
    """Studies in the largest part of a step, over all workers."""
    return math.ceil(math.ceil(count / world) / accumulation)


def _activations(config: TrainConfig, trainee: Trainee, grid: Grid, world: int, element: int) -> int:
    rows, (depth, height, width) = part_rows(config.batch_size, world, config.accumulation), grid.shape
    if "classifier" not in trainee.parts:
        features = next(trainee.parts["pooling"].parameters()).shape[-1]
        return 4 * rows * depth * features * 4
    classifier = trainee.parts["classifier"]
    assert isinstance(classifier, Classifier)
    spec = classifier.backbone.spec
    images = rows * depth if spec.dims == 2 else rows
    chunk = min(classifier.chunk, images)
    kept = saved_bytes(classifier.backbone) * element // 4 * (chunk if config.recompute else images)
    return kept + int(chunk * spec.forward_mib * 2**20) + 2 * DEPTH * rows * depth * height * width


def _least(mine: Room, device: torch.device, world: int) -> Room:
    """The room of the worker that has least."""
    if world == 1:
        return mine
    bytes_there = torch.tensor([mine.device, mine.host], dtype=torch.int64, device=device)
    torch.distributed.all_reduce(bytes_there, torch.distributed.ReduceOp.MIN)
    least, host = bytes_there.tolist()
    return Room(device=least, host=host, gpu=mine.gpu)


def write_plan(out: str, found: Plan, settings: dict[str, object]) -> None:
    """Leave in a run's folder how it was shared out."""
    told = {**dataclasses.asdict(found), "told": found.told, "settings": settings}
    (Location.of(out) / PLAN).write_bytes(json.dumps(told, indent=2).encode())


def read_plan(out: str) -> dict[str, object] | None:
    """What ``write_plan`` left; None where nothing was trained."""
    try:
        return json.loads((Location.of(out) / PLAN).read_bytes())
    except FileNotFoundError:
        return None

"""Two processes with gloo and DeepSpeed, without Ray: what a case of training does, told as numbers."""

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import torch

from molre.training.checkpoint import MOMENTS
from molre.training.config import TrainConfig
from molre.training.examples import Batch
from molre.training.sampler import share
from molre.volume import Grid

GRID = Grid(name="tiny", shape=(4, 64, 64), spacing_mm=(20.0, 3.0, 3.0))
STEPS = 3


def spawn(function, *arguments, world=2):
    """Run ``function(rank, world, *arguments)`` on every process; its exception is the caller's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_started, (world, port, function, arguments), nprocs=world)


def _started(rank, world, port, function, arguments):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    function(rank, world, *arguments)
    torch.distributed.barrier()
    os._exit(0)  # DeepSpeed's and gloo's threads may wait for each other while the interpreter ends


def batch_of(step, rows=4, grid=GRID):
    """Invented studies of a step, whose count of rows need not divide by anything."""
    generator = np.random.default_rng(step)
    hu = generator.integers(-200, 200, (rows, *grid.shape)).astype(np.int16)
    labels = generator.integers(-1, 2, (rows, 75)).astype(np.int8)
    return torch.from_numpy(hu), torch.from_numpy(labels)


def parts_of(step, rank, world, config, stage, rows=4):
    """This worker's parts of a step, as the loop cuts them, and the known labels of all of it."""
    from molre.training.planning import part_rows

    hu, labels = batch_of(step, rows)
    size = part_rows(rows, world, config.accumulation) if stage == 3 else 1
    parts = []
    for mine in np.array_split(share(np.arange(rows), rank, world), config.accumulation):
        padded = np.concatenate([mine, np.zeros(max(0, size - len(mine)), np.int64)])
        known = labels[padded].clone()
        known[len(mine) :] = -1
        parts.append(Batch(labels=known, hu=hu[padded]))
    return parts, int((labels >= 0).sum())


def engine_of(rank, world, config, grid=GRID):
    """An engine as a worker makes it."""
    from molre.training.engine import Engine
    from molre.training.planning import agreed
    from molre.training.trainee import Trainee, make

    trainee = Trainee(make(config, grid, cached=False), cached=False)
    device = torch.device("cpu")
    plan, load = agreed(config, trainee, grid, device, world, world)
    return Engine(trainee, config, world, device, plan, load)


def steps(engine, rank, world, config, numbers, rows=4):
    """Losses of steps, over all workers."""
    engine.trainee.train()
    weights, losses = torch.ones(2, 75), []
    for step in numbers:
        parts, known = parts_of(step, rank, world, config, engine.plan.stage, rows)
        loss = engine.step(iter(parts), known, 1e-3, weights)
        if world > 1:
            torch.distributed.all_reduce(loss)
        losses.append(float(loss))
    return losses


def train_cases(rank, world, cases, out):
    """Each case: steps, its state, and the same run taken up again from that state before its last step."""
    for name, (settings, rows) in cases.items():
        config = TrainConfig(**settings)
        engine = engine_of(rank, world, config)
        losses = steps(engine, rank, world, config, range(STEPS - 1), rows)
        parameters, moments = engine.state()
        losses += steps(engine, rank, world, config, [STEPS - 1], rows)
        end, _ = engine.state()
        told = engine.plan.stage
        engine.engine.destroy()
        again = engine_of(rank, world, config)
        before, _ = again.state()
        again.load(parameters, moments, STEPS - 1)
        loaded, loaded_moments = again.state()
        repeated = steps(again, rank, world, config, [STEPS - 1], rows)
        resumed, _ = again.state()
        again.engine.destroy()
        if rank == 0:
            content = {
                "losses": losses, "end": end, "resumed": resumed, "repeated": repeated, "stage": told,
                "before": before, "parameters": parameters, "loaded": loaded,
                "moments": {f"{key}:{p}": moments[p][key] for p in moments for key in MOMENTS},
                "loaded_moments": {f"{key}:{p}": loaded_moments[p][key] for p in moments for key in MOMENTS},
            }  # fmt: skip
            torch.save(content, Path(out) / f"{name}.pt")


def large() -> str:
    """Name of MedSigLIP's whole tower on images of 112 px, registered in this process: 427 million parameters."""
    from dataclasses import replace

    from molre.backbones.inputs import SliceInput
    from molre.backbones.registry import BACKBONES, register
    from molre.backbones.siglip import MEDSIGLIP_448

    small = SliceInput(image_px=112, patch_px=14, most_slices=85)
    positions = (32 * 32 - 8 * 8) * MEDSIGLIP_448.width  # one a patch of 14 px
    count = MEDSIGLIP_448.parameters - positions
    spec = replace(MEDSIGLIP_448, name="medsiglip-112", input=small, parameters=count, forward_mib=10.0)
    if spec.name not in BACKBONES:
        register(spec)
    return spec.name


def step_large(rank, world, name, settings, out):
    """The large tower is built, shared out and takes one step, and rank 0 gathers what a checkpoint keeps."""
    with Peak() as peak:
        engine = engine_of(rank, world, TrainConfig(backbone=large(), **settings))
        trainee = engine.trainee
        held = sum(getattr(each, "ds_tensor", each).numel() for each in trainee.parameters())
        (loss,) = steps(engine, rank, world, engine.config, [0], rows=2)
        _, moments = engine.state(keep=rank == 0)
    facts = {
        "loss": loss, "stage": engine.plan.stage, "needs": engine.plan.needs / 2**30, "held": held,
        "trained": sum(each.ds_numel for each in trainee.trained.values()),
        "total": sum(each.ds_numel for each in trainee.parameters()),
        "moved": sum(bool(state[MOMENTS[0]].any()) for state in moments.values()),
        "gib": peak.gib, "seconds": peak.seconds,
    }  # fmt: skip
    gathered = [None] * world
    torch.distributed.all_gather_object(gathered, facts)
    if rank == 0:
        Path(out, f"{name}.json").write_text(json.dumps(gathered))


class Peak:
    """Most memory that this process held while a block ran, in GiB: pages of its own, shared ones by their share."""

    def __enter__(self):
        self.gib, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._start = time.monotonic()
        return self

    def _watch(self):
        while not self._done.wait(0.05):
            self._look()

    def _look(self):
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    self.gib = max(self.gib, int(line.split()[1]) / 2**20)

    def __exit__(self, *failure):
        self._look()
        self._done.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._start

"""Which stage of ZeRO a run needs: what a worker must hold in each, and what its device has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from molre.errors import ConfigError

Offload = Literal["none", "cpu", "nvme"]

GIB = 2**30

USABLE = 0.9
"""Share of a device's memory that a plan may fill; the rest is the allocator's (chosen)."""

PROCESS = {"cpu": 1.0 * GIB, "cuda": 0.25 * GIB}
"""A worker without its network: interpreter, torch, Ray and DeepSpeed took 0.8 GiB on a CPU; on a GPU, buffers of
its communication (the CUDA context is there before free memory is asked for)."""

MOST_IN_A_BUCKET = 50_000_000
"""Elements that are reduced or gathered at once; DeepSpeed's own 5e8 would be 2 GB beside a network of 0.4e9."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a worker has to hold, whatever the stage.

    Attributes:
        parameters: of the network, frozen ones included; without the backbone where features are cached.
        trained: how many of them are trained.
        element: bytes of a number in forward and backward: 4, or 2 for bf16.
        activations: bytes of a part's activations, and of the passes of frozen layers.
        accumulated: whether gradients of several parts are summed up.
    """

    parameters: int
    trained: int
    element: int
    activations: int
    accumulated: bool = False

    @property
    def bucket(self) -> int:
        """Elements that are reduced or gathered at once; even, as DeepSpeed's alignment asks."""
        return 2 * max(1, min(-(-self.trained // 2), MOST_IN_A_BUCKET // 2))

    @property
    def live(self) -> int:
        """Parameters that stage 3 keeps gathered beyond the layer at work: an eighth, so that sharding is of use."""
        return max(1, min(self.parameters // 8, 10 * MOST_IN_A_BUCKET))


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What a worker has.

    Attributes:
        device: bytes of its GPU that are free, or its share of the node's memory.
        host: its share of the node's memory.
        gpu: whether the device is a GPU.
    """

    device: int
    host: int
    gpu: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a run is shared out.

    Attributes:
        stage: of ZeRO, 0 to 3.
        offload: where optimiser state, and in stage 3 parameters, are moved to.
        needs: estimated bytes on a worker's device.
        has: bytes that there are.
        chosen: who chose the stage: ``auto``, ``--deepspeed`` or ``own file``.
    """

    stage: int
    offload: Offload
    needs: int
    has: int
    chosen: str

    @property
    def told(self) -> str:
        """The plan in one line."""
        where = {"none": "", "cpu": ", offloaded to the CPU", "nvme": ", offloaded to NVMe"}[self.offload]
        why = {"auto": "the lowest that fits", "--deepspeed": "as told", "own file": "of your own file"}[self.chosen]
        if not self.fits:
            why += ", and more than there seems to be"
        return f"deepspeed: stage {self.stage}{where}, {_gib(self.needs)} of {_gib(self.has)} a worker ({why})"

    @property
    def fits(self) -> bool:
        """Whether the estimate leaves the allocator its share."""
        return self.needs <= USABLE * self.has


def needs(load: Load, stage: int, workers: int, offload: Offload = "none", *, gpu: bool = False) -> tuple[int, int]:
    """Bytes on a worker's device, and on its host.

    Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models" (SC 2020), section 3.1
    and figure 1: Ψ parameters take 2Ψ, their gradients 2Ψ, and Adam's state 12Ψ, of which stage 1 shares out the state,
    stage 2 the gradients too, and stage 3 the parameters too. Here only what is trained has gradients and state; in
    32-bit floats a number takes 4 bytes, and there is a master copy from stage 1 on only, where DeepSpeed makes one.
    Beyond the paper are counted: buckets, what stage 3 gathers, AdamW's one temporary, and activations.
    """
    size, trained, shares = load.element, load.trained, max(1, workers)
    of_state = shares if stage >= 1 else 1
    of_gradients = shares if stage >= 2 else 1
    of_parameters = shares if stage >= 3 else 1
    master = 4 if stage >= 1 or size < 4 else 0
    state = (master + 8) * trained // of_state
    temporary = 4 * trained // of_state
    gradients = (size + (4 if size < 4 and (load.accumulated or stage >= 1) else 0)) * trained // of_gradients
    parameters = size * load.parameters // of_parameters
    buckets = size * load.bucket * (2 if stage >= 1 else 1)
    gathered = size * min(load.parameters, load.live + load.bucket) if stage == 3 else 0
    device = load.activations + gradients + buckets + gathered
    host = 0
    if offload == "none":
        device += state + temporary + parameters
    else:
        host += state + temporary + gradients
        device += 0 if stage == 3 else parameters
        host += parameters if stage == 3 else 0
        if offload == "nvme":
            host = (state + parameters) // 4  # the part that is on its way in or out (not measured)
    # Every worker builds the whole network before it gives shares of it away: on the host, then on its device.
    whole = 4 * load.parameters if not gpu else size * load.parameters
    process = int(PROCESS["cuda" if gpu else "cpu"])
    return process + max(whole, device), int(PROCESS["cpu"]) + max(4 * load.parameters, host)


def plan(load: Load, room: Room, workers: int, *, wanted: int | None = None, nvme: bool = False) -> Plan:
    """The lowest stage that fits; where none does on a GPU, the first offload that does.

    Args:
        load: what a worker has to hold.
        room: what it has.
        workers: of the run.
        wanted: the stage that the user chose, which is taken whatever the estimate says.
        nvme: whether there is a folder to offload to.

    Raises:
        ConfigError: nothing fits.
    """
    if wanted is not None:
        bytes_needed, _ = needs(load, wanted, workers, gpu=room.gpu)
        return Plan(stage=wanted, offload="none", needs=bytes_needed, has=room.device, chosen="--deepspeed")
    least: int | None = None
    for stage, offload in _ladder(room.gpu, nvme):
        device, host = needs(load, stage, workers, offload, gpu=room.gpu)
        found = Plan(stage=stage, offload=offload, needs=device, has=room.device, chosen="auto")
        if found.fits and (offload == "none" or host <= USABLE * room.host):
            return found
        least = device if least is None else min(least, device)
    assert least is not None
    fewer = ", --precision bf16" if load.element == 4 and room.gpu else ""
    raise ConfigError(
        f"no stage of DeepSpeed fits: at least {_gib(least)} are needed of {_gib(room.device)} a worker, "
        f"{_gib(load.activations)} of it activations: try --recompute, more --accumulation, a smaller --batch-size or "
        f"--memory-mib{fewer}, --workers on more nodes" + ("" if nvme or not room.gpu else ", --nvme")
    )


def _ladder(gpu: bool, nvme: bool) -> Iterator[tuple[int, Offload]]:
    yield from ((stage, "none") for stage in range(4))
    if gpu:
        yield from ((stage, "cpu") for stage in (2, 3))
        if nvme:
            yield 3, "nvme"


def room(device: torch.device, workers_here: int) -> Room:
    """What a worker has: its GPU's free memory, or its share of the node's.

    Args:
        device: of the worker.
        workers_here: workers of the run on this node, which share its memory.
    """
    host = node_memory() // max(1, workers_here)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return Room(device=free, host=host, gpu=True)
    return Room(device=host, host=host, gpu=False)


def node_memory(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory of this node, or of this container where that is less.

    Args:
        root: of the control groups: ``memory.max`` is version 2's file, the other version 1's, whose word for no limit
            is a number larger than any memory.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int((root / name).read_text()))
        except (OSError, ValueError):  # not of this version, or "max"
            continue
    return min(limits)


def _gib(count: int | float) -> str:
    return f"{count / GIB:.1f} GiB"

"""A checkpoint: what is trained, the optimiser's moments, and the place in the order of studies.

Everything is gathered from its shards and saved once, under the names the classifier uses, so that a checkpoint is
independent of the number of workers and of the ZeRO stage. No pickle.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
"""The state that AdamW keeps of each parameter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run is.

    Attributes:
        epoch: epoch to go on with.
        step: step within it to go on with.
        taken: optimiser steps taken so far.
        score: mean validation AUC when this was written.
    """

    epoch: int = 0
    step: int = 0
    taken: int = 0
    score: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A run's state.

    Attributes:
        progress: where the run is.
        parameters: trained values by name.
        moments: by name of the parameter, then of the moment.
    """

    progress: Progress
    parameters: dict[str, Tensor]
    moments: dict[str, dict[str, Tensor]]


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the three files of a checkpoint."""
    trained = {name: tensor.contiguous() for name, tensor in checkpoint.parameters.items()}
    save_file(trained, folder / "trained.safetensors")
    flat = {f"{key}:{name}": tensor for name, state in checkpoint.moments.items() for key, tensor in state.items()}
    save_file({name: tensor.contiguous() for name, tensor in flat.items()}, folder / "optimizer.safetensors")
    (folder / "progress.json").write_text(json.dumps(dataclasses.asdict(checkpoint.progress)))


def read(folder: Path) -> Checkpoint:
    """Read what ``write`` wrote."""
    moments: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(folder / "optimizer.safetensors").items():
        key, _, parameter = name.partition(":")
        moments.setdefault(parameter, {})[key] = tensor
    return Checkpoint(
        progress=Progress(**json.loads((folder / "progress.json").read_text())),
        parameters=load_file(folder / "trained.safetensors"),
        moments=moments,
    )

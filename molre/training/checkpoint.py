"""A checkpoint: what is trained, the optimiser's moments, the place in the order of studies, and what was seen so far.

Everything is gathered from its shards and saved once, under the names the classifier uses, so that a checkpoint is
independent of the number of workers and of the ZeRO stage. ``checkpoint.json`` comes last and names the SHA-256 of
every other file: a folder without it, or with another file than it names, is no checkpoint. No pickle.

The folders themselves are the only record of what there is. Ray Train is told of metrics but not of checkpoints: of
those its controller keeps a list in storage, ends the run when that cannot be written, and refuses to start from a
list that was cut short or names a folder which is gone (``CheckpointManager`` of Ray 2.60).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.torch import load, save
from torch import Tensor

from molre.errors import StoreError
from molre.location import Location

MOMENTS = ("exp_avg", "exp_avg_sq")
"""The state that AdamW keeps of each parameter."""

MANIFEST = "checkpoint.json"
TRAINED, OPTIMIZER, HISTORY = "trained.safetensors", "optimizer.safetensors", "history.safetensors"
OWN = "sha256"
"""Key of the manifest's own digest, over all else in it."""

PREFIX = "step-"
"""What the folders of checkpoints are called, with the number of optimiser steps taken."""


KEPT = 2
"""Checkpoints that stay besides the best one: the last, and the one to go back to where the last is damaged."""


class DamagedCheckpoint(StoreError):
    """A folder is no whole checkpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run is.

    Attributes:
        epoch: epoch to go on with.
        step: step within it to go on with.
        taken: optimiser steps taken so far.
        seen: studies seen so far, over all workers.
        order: SHA-256 over the rows of every step so far, in order: equal only for the same sequence of batches.
        score: mean validation AUC when this was written, or when it was last taken.
        best: highest score so far.
        waited: validations since then.
        stopped: whether the run ended early.
    """

    epoch: int = 0
    step: int = 0
    taken: int = 0
    seen: int = 0
    order: str = ""
    score: float = 0.0
    best: float = 0.0
    waited: int = 0
    stopped: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A run's state.

    Attributes:
        progress: where the run is.
        parameters: trained values by name.
        moments: by name of the parameter, then of the moment.
        losses: mean loss of every step so far.
        validations: figures of every validation so far, as JSON values.
        logits: of the validation split in the order of the store, where this checkpoint was validated.
    """

    progress: Progress
    parameters: dict[str, Tensor]
    moments: dict[str, dict[str, Tensor]]
    losses: Float32[np.ndarray, "taken"] = field(default_factory=lambda: np.zeros(0, np.float32))
    validations: list[dict[str, Any]] = field(default_factory=list)
    logits: Float32[np.ndarray, "rows findings"] | None = None


def folder_name(taken: int) -> str:
    """A name that no other checkpoint has: one of the same step may be there, damaged."""
    return f"{PREFIX}{taken:08d}-{uuid.uuid4().hex[:8]}"


def write(folder: Location, checkpoint: Checkpoint) -> None:
    """Write a checkpoint's files, the one that makes it whole last; writing it again completes one cut short.

    Raises:
        OSError: storage refuses.
    """
    digests = {}
    for name, tensors in _files(checkpoint):
        content = save(tensors)
        digests[name] = hashlib.sha256(content).hexdigest()
        (folder / name).write_bytes(content)
    manifest = {
        "progress": dataclasses.asdict(checkpoint.progress),
        "validations": checkpoint.validations,
        "validated": checkpoint.logits is not None,
        "files": digests,
    }
    (folder / MANIFEST).write_bytes(json.dumps({**manifest, OWN: _digest(manifest)}, indent=2).encode())


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _manifest(folder: Location) -> dict[str, Any]:
    """A folder's manifest.

    Raises:
        FileNotFoundError: it has none.
        ValueError: it is not what was written.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    if manifest.pop(OWN) != _digest(manifest):
        raise ValueError(f"{MANIFEST} is not what it says of itself")
    return manifest


def _files(checkpoint: Checkpoint) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Names and tensors of the files, one in memory at a time."""
    yield TRAINED, _contiguous(checkpoint.parameters)
    yield (
        OPTIMIZER,
        _contiguous(
            {f"{key}:{name}": tensor for name, state in checkpoint.moments.items() for key, tensor in state.items()}
        ),
    )
    arrays = {"losses": checkpoint.losses}
    if checkpoint.logits is not None:
        arrays["logits"] = checkpoint.logits
    yield HISTORY, {name: _tensor(value) for name, value in arrays.items()}


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def read(folder: Location) -> Checkpoint:
    """Read what ``write`` wrote, from wherever it was put.

    Raises:
        DamagedCheckpoint: the folder is not whole.
    """
    try:
        manifest = _manifest(folder)
        files = {name: (folder / name).read_bytes() for name in manifest["files"]}
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != manifest["files"][name]:
                raise DamagedCheckpoint(f"{name} of the checkpoint {folder} is not what {MANIFEST} says")
        moments: dict[str, dict[str, Tensor]] = {}
        for name, tensor in load(files[OPTIMIZER]).items():
            key, _, parameter = name.partition(":")
            moments.setdefault(parameter, {})[key] = tensor
        history = load_arrays(files[HISTORY])
        return Checkpoint(
            progress=Progress(**manifest["progress"]),
            parameters=load(files[TRAINED]),
            moments=moments,
            losses=history["losses"],
            validations=manifest["validations"],
            logits=history.get("logits"),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as fault:
        raise DamagedCheckpoint(f"the checkpoint {folder} is incomplete ({type(fault).__name__})") from fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A whole checkpoint of a run, without its tensors.

    Attributes:
        place: its folder.
        progress: where the run was.
        validated: whether it holds the validation split's logits.
    """

    place: Location
    progress: Progress
    validated: bool


def whole(run: Location) -> list[Found]:
    """The checkpoints of a run that have all their files, the furthest last; damage within a file shows in ``read``."""
    found = (_whole(run / name) for name in _names(run))
    return sorted((each for each in found if each), key=lambda each: each.progress.taken)


def _names(run: Location) -> list[str]:
    return [name for name in run.names() if name.startswith(PREFIX)]


def _whole(folder: Location) -> Found | None:
    try:
        manifest = _manifest(folder)
        progress = Progress(**manifest["progress"])
        if not set(manifest["files"]) <= set(folder.names()):
            return None
        return Found(place=folder, progress=progress, validated=bool(manifest["validated"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def newest(run: Location) -> tuple[Found | None, dict[str, str]]:
    """The furthest checkpoint that can be read, and by name what is wrong with each further one."""
    damaged: dict[str, str] = {}
    for each in reversed(whole(run)):
        try:
            read(each.place)
        except DamagedCheckpoint as fault:
            damaged[each.place.name] = str(fault)
        else:
            return each, damaged
    return None, damaged


def best(run: Location) -> list[Found]:
    """The validated checkpoints, the one with the highest score first; of equals the furthest."""
    validated = [one for one in whole(run) if one.validated]
    return sorted(validated, key=lambda one: (one.progress.score, one.progress.taken), reverse=True)


def thin(run: Location) -> None:
    """Remove every whole checkpoint but the last ones and the best one.

    Raises:
        OSError: storage refuses.
    """
    kept = {one.place.name for one in [*whole(run)[-KEPT:], *best(run)[:1]]}
    for one in whole(run):
        if one.place.name not in kept:
            one.place.delete()


def sweep(run: Location) -> list[str]:
    """Remove what killed runs left of checkpoints, and name it.

    Only for a time at which no worker of the run is writing: before the first step, and after the last.

    Raises:
        OSError: storage refuses.
    """
    keep = {one.place.name for one in whole(run)}
    orphans = [name for name in _names(run) if name not in keep]
    for name in orphans:
        (run / name).delete()
    return orphans

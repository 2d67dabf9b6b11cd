"""A training run from a store to a bundle, as a driver sees it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from molre.adapters import Adapted
from molre.bundle import save_bundle
from molre.cluster import offer
from molre.embedding import EmbedConfig, Features, embed
from molre.errors import ConfigError, MolreError, TrainingError
from molre.evaluation.scores import Scores
from molre.evaluation.thresholds import choose
from molre.location import Location
from molre.store import Store
from molre.training import checkpoint as checkpoints
from molre.training.config import TrainConfig
from molre.training.deepspeed_settings import resolved
from molre.training.loop import train_worker
from molre.training.planning import read_plan
from molre.training.trainee import load_trained, make
from molre.training.validation import CHECKPOINTS, SCORE

RUN = "run.json"
"""What the run in a folder is of; a second run goes on only with the same."""

KEPT = 3
"""Checkpoints that stay: the last one, the best one, and one more to go back to where the last is damaged."""

CONTROLLER_RESTARTS = 2
"""Ray Train restarts a dead controller without end unless it is told; twice outlasts a lost node."""

FREE = (
    "out",
    "epochs",
    "workers",
    "max_failures",
    "evaluate",
    "bootstrap",
    "features",
    "memory_mib",
    "checkpoint_every_epochs",
    "accumulation",
    "deepspeed",
    "nvme",
    "recompute",
)
"""Settings that may differ when a run is taken up again."""


def train(config: TrainConfig) -> dict[str, Any]:
    """Train, and write checkpoints and the bundle of the best one into ``config.out``.

    Returns:
        What the summary says of it: metrics, adapter, bundle.

    Raises:
        MolreError: the store, the backbone, the adapter or the folder does not fit.
    """
    if config.store is None:
        raise ConfigError("training needs a store: make one with jobs/ingest.py")
    resolved(config)  # a wrong file of the user's is found before features are computed
    store = Store.open(config.store)
    adapted = make(config, store.grid, cached=config.cached)
    if not config.cached:  # embedding says it too
        for told in adapted.classifier.shortcomings:
            print(f"note: {told}", flush=True)
    print(f"{config.backbone}, {describe(adapted)}; {store.rows} studies, {_split_counts(store)}", flush=True)
    _claim(config)
    features = _features(config, store)
    fit(dataclasses.replace(config, features=features.uri) if features else config)
    best = _best(config)
    bundle_at = Location.of(config.out) / "bundle"
    with tempfile.TemporaryDirectory() as folder:
        bundle_at.upload(_bundle(config, store, best, _thresholds(store, best), Path(folder) / "bundle"))
    last = best.validations[-1]
    return {
        "metrics": {
            "val": {"mean_auc": last["mean_auc"], "findings": last["findings"], "epoch": best.progress.epoch},
            "train": {"loss": last["loss"], "steps": best.progress.taken, "studies_seen": best.progress.seen},
        },
        "adapter": adapter_facts(adapted),
        "deepspeed": read_plan(config.out),
        "studies_per_second": last["studies_per_second"],
        "bundle": bundle_at.uri,
    }


def fit(config: TrainConfig, callbacks: list[Any] | None = None) -> Any:
    """Run Ray Train on a resolved configuration, going on where an earlier run of the folder stopped.

    Args:
        config: with store and features resolved.
        callbacks: of Ray Train, such as the one that tells Ray Tune.

    Raises:
        MolreError: what a worker met, where it is something a user can act on.
    """
    gpus = offer().gpus > 0
    trainer = TorchTrainer(
        train_worker,  # type: ignore[arg-type]  # Train V2 hands on what rank 0 returns
        train_loop_config={**dataclasses.asdict(config), "deepspeed": resolved(config)},
        torch_config=TorchConfig(backend=None if gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=config.workers, use_gpu=gpus),
        run_config=RunConfig(  # type: ignore[call-arg]
            name=CHECKPOINTS,
            storage_path=config.out,
            callbacks=callbacks,
            logging_config=LoggingConfig(log_level="ERROR"),
            failure_config=FailureConfig(  # type: ignore[call-arg]
                max_failures=config.max_failures, controller_failure_limit=CONTROLLER_RESTARTS
            ),
            checkpoint_config=CheckpointConfig(num_to_keep=KEPT, checkpoint_score_attribute=SCORE),
        ),
    )
    try:
        result = trainer.fit()
    except ray.train.TrainingFailedError as failure:
        raise_cause(failure)
        raise
    hopeless = getattr(result, "return_value", None)  # of Train V2, whose type stubs are V1's
    if hopeless is not None:
        raise TrainingError(hopeless)
    return result


def raise_cause(failure: ray.train.TrainingFailedError) -> None:
    """Raise the error that a worker met, where it is one a user can act on."""
    for error in getattr(failure, "worker_failures", {}).values():
        cause = getattr(error, "cause", error)
        if isinstance(cause, MolreError):
            raise cause from failure


def describe(adapted: Adapted) -> str:
    """The adapter and what it adds, in words."""
    added = f"{adapted.added_parameters:,} added parameters ({adapted.added_fraction:.3%})"
    return f"adapter {adapted.config.kind} at {adapted.config.site}: {added}"


def adapter_facts(adapted: Adapted) -> dict[str, Any]:
    """The adapter's part of a summary."""
    return {
        **dataclasses.asdict(adapted.config),
        "added_parameters": adapted.added_parameters,
        "added_fraction": adapted.added_fraction,
    }


def _split_counts(store: Store) -> str:
    return ", ".join(f"{len(store.indices(split))} {split}" for split in ("train", "val", "test"))


def _claim(config: TrainConfig) -> None:
    """Refuse to go on with the run of another configuration."""
    where = Location.of(config.out) / RUN
    wanted = {key: value for key, value in dataclasses.asdict(config).items() if key not in FREE}
    if where.exists():
        saved = json.loads(where.read_bytes())
        for key in wanted:
            if saved.get(key) != wanted[key]:
                raise ConfigError(
                    f"{config.out} holds a run with {key} {saved.get(key)!r}, not {wanted[key]!r}: choose another --out"
                )
        return
    where.write_bytes(json.dumps(wanted, indent=2).encode())


def _features(config: TrainConfig, store: Store) -> Features | None:
    if not config.cached:
        return None
    return embed(
        EmbedConfig(
            store=store.uri,
            backbone=config.backbone,
            weights=config.weights,
            out=config.features_root,
            memory_mib=config.memory_mib,
            remote_code=config.remote_code,
        )
    )


def _best(config: TrainConfig) -> checkpoints.Checkpoint:
    """The checkpoint with the best validation score; the furthest of those that are as good.

    Raises:
        TrainingError: no validated checkpoint is whole.
    """
    found = [one for one in checkpoints.whole(Location.of(config.out) / CHECKPOINTS) if one.validated]
    for one in sorted(found, key=lambda each: (each.progress.score, each.progress.taken), reverse=True):
        with contextlib.suppress(checkpoints.DamagedCheckpoint):
            return checkpoints.read(one.place)
    raise TrainingError(f"the run in {config.out} left no whole checkpoint: choose another --out and train again")


def _thresholds(store: Store, checkpoint: checkpoints.Checkpoint) -> dict[str, float]:
    """A threshold a finding, chosen on the validation split."""
    assert checkpoint.logits is not None
    rows, logits = store.indices("val"), checkpoint.logits
    table = store.table(["patient", "study", "series"]).take(rows)
    scores = Scores(
        patients=table["patient"].to_pylist(),
        studies=table["study"].to_pylist(),
        series=table["series"].to_pylist(),
        labels=store.labels()[rows],
        probabilities=torch.from_numpy(logits).sigmoid().numpy(),
    )
    return choose(scores)


def _bundle(
    config: TrainConfig, store: Store, state: checkpoints.Checkpoint, thresholds: dict[str, float], folder: Path
) -> Path:
    """Build the classifier with its real backbone, put the best checkpoint in, and save it."""
    adapted = make(config, store.grid, cached=False)
    load_trained(adapted, state.parameters)
    provenance = {
        "store": {"source": store.manifest.source, "counts": store.manifest.counts},
        "training": dataclasses.asdict(config),
        "validation": state.validations[-1],
        "trained": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
    }
    save_bundle(folder, adapted, grid=store.grid, provenance=provenance, thresholds=thresholds)
    return folder

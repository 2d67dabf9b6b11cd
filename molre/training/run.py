"""A training run from a store to a bundle, as a driver sees it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from molre.adapters import Adapted
from molre.bundle import save_bundle
from molre.calibration import Calibration
from molre.cluster import offer
from molre.embedding import EmbedConfig, Features, embed
from molre.errors import ConfigError, TrainingError
from molre.evaluation.calibration import fit as fit_calibration
from molre.evaluation.scores import scores_of
from molre.evaluation.thresholds import YOUDEN, choose
from molre.location import Location
from molre.store import Store
from molre.training import checkpoint as checkpoints
from molre.training.config import TrainConfig
from molre.training.curves import History, png
from molre.training.deepspeed_settings import resolved
from molre.training.lines import LIVE_EVERY_S, live, on_terminal
from molre.training.loop import train_worker
from molre.training.planning import read_plan
from molre.training.schedule import learning_rate
from molre.training.storage import at_once, patiently
from molre.training.tracking import tracked
from molre.training.trainee import load_trained, make
from molre.training.unforeseen import Noted, unforeseen
from molre.training.validation import CHECKPOINTS

RUN = "run.json"
"""What the run in a folder is of; a second run goes on only with the same."""

CURVES = "curves.png"
"""The picture of the run, in OUT."""

STARTS_AGAIN = 2
"""How often Ray Train tries again where workers did not start; without end unless it is told."""

PREEMPTION_GRACE_S = 20.0
"""How long the workers that stay may finish an upload after a node was taken away."""

LOST_NODE_S = 60.0
"""How long an elastic run waits for workers to start before it counts the nodes again."""

RAY_TRAIN = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}
"""Ray Train's settings where the user has none: a dead worker is seen, and a report taken, within half a second."""

FREE = (
    "out",
    "epochs",
    "workers",
    "resize_every_s",
    "max_failures",
    "max_preemptions",
    "start_timeout_s",
    "storage_patience_s",
    "check_every_s",
    "tell_every_s",
    "evaluate",
    "bootstrap",
    "features",
    "memory_mib",
    "checkpoint_every_epochs",
    "checkpoint_every_steps",
    "run_name",
    "mlflow",
    "experiment",
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
        for sentence in adapted.classifier.shortcomings:
            print(f"note: {sentence}", flush=True)
    print(f"{config.backbone}, {describe(adapted)}; {store.rows} studies, {_split_counts(store)}", flush=True)
    _claim(config)
    with tracked(config) as record:
        features = _features(config, store)
        fit(dataclasses.replace(config, features=features.uri) if features else config)
        # Storage that refuses for a while must not cost the run what it has trained.
        stored = functools.partial(patiently, patience_s=config.storage_patience_s)
        best = stored(lambda: _best(config), "read the checkpoints")
        files = {name: (Location.of(config.out) / name).uri for name in (CURVES, "bundle")}
        with tempfile.TemporaryDirectory() as folder:
            bundle = _bundle(config, store, best, Path(folder) / "bundle")
            stored(lambda: Location.of(files["bundle"]).upload(bundle), f"write {files['bundle']}")
        history = stored(lambda: _history(config, store, describe(adapted), best), "read the checkpoints")
        curves = png(history)
        stored(lambda: Location.of(files[CURVES]).write_bytes(curves), f"write {files[CURVES]}")
        last = best.validations[-1]
        told = {
            "metrics": {
                "val": {"mean_auc": last["mean_auc"], "findings": last["findings"], "epoch": best.progress.epoch},
                "train": {"loss": last["loss"], "steps": best.progress.taken, "studies_seen": best.progress.seen},
            },
            "adapter": adapter_facts(adapted),
            "deepspeed": read_plan(config.out),
            "studies_per_second": last["studies_per_second"],
            "studies_seen": history.validations[-1]["seen"],
            "epochs": history.validations[-1]["epoch"],
            "bundle": files["bundle"],
            "files": files,
        }
        if record:
            record.add(told, {CURVES: files[CURVES]})
    return told


def fit(config: TrainConfig, callbacks: list[Any] | None = None) -> Any:
    """Run Ray Train on a resolved configuration, going on where an earlier run of the folder stopped.

    Args:
        config: with store and features resolved.
        callbacks: of Ray Train, such as the one that tells Ray Tune.

    Raises:
        MolreError: what a worker met, where it is something a user can act on.
    """
    available = offer()
    least, most = config.span
    if available.workers < least:
        print(f"note: the cluster offers {available.workers} of {least} workers; waiting for more", flush=True)
    # Workers of an elastic run start when there is room: what they still wait for is a node that has just been lost.
    start_timeout_s = config.start_timeout_s if least == most else min(config.start_timeout_s, LOST_NODE_S)
    for name, value in {**RAY_TRAIN, "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(start_timeout_s)}.items():
        os.environ.setdefault(name, value)
    gpus = available.gpus > 0
    trainer = at_once(
        lambda: TorchTrainer(
            train_worker,  # type: ignore[arg-type]  # Train V2 hands on what rank 0 returns
            train_loop_config={**dataclasses.asdict(_told_often(config)), "deepspeed": resolved(config)},
            torch_config=TorchConfig(backend=None if gpus else "gloo"),
            scaling_config=ScalingConfig(  # type: ignore[call-arg]
                num_workers=least if least == most else (least, most),  # type: ignore[arg-type]
                use_gpu=gpus,
                elastic_resize_monitor_interval_s=config.resize_every_s,
            ),
            run_config=_run_config(config, callbacks),
        ),
        f"write to {config.out}",
    )
    try:
        with live():
            result = trainer.fit()
    except ray.train.TrainingFailedError as failure:
        raise unforeseen(failure, config) from failure
    hopeless = getattr(result, "return_value", None)  # of Train V2, whose type stubs are V1's
    if hopeless is not None:
        raise TrainingError(hopeless)
    return result


def _run_config(config: TrainConfig, callbacks: list[Any] | None) -> RunConfig:
    return RunConfig(  # type: ignore[call-arg]
        name=CHECKPOINTS,
        storage_path=config.out,
        callbacks=[Noted(), *(callbacks or [])],  # type: ignore[list-item]  # of Train V2
        logging_config=LoggingConfig(log_level="CRITICAL"),
        failure_config=FailureConfig(  # type: ignore[call-arg]
            max_failures=config.max_failures,
            max_preemption_failures=config.max_preemptions,
            preemption_grace_s=PREEMPTION_GRACE_S,
            controller_failure_limit=STARTS_AGAIN,
        ),
    )


def _told_often(config: TrainConfig) -> TrainConfig:
    """Where lines of progress replace each other, they may come by the second."""
    if not on_terminal():
        return config
    return dataclasses.replace(config, tell_every_s=min(LIVE_EVERY_S, config.tell_every_s))


def _history(config: TrainConfig, store: Store, adapter: str, best: checkpoints.Checkpoint) -> History:
    """What the furthest checkpoint knows of the run; the best one where no other is whole."""
    found, _ = checkpoints.newest(Location.of(config.out) / CHECKPOINTS)
    last = checkpoints.read(found.place) if found else best
    validations = last.validations or best.validations
    steps = max(1, round(validations[-1]["taken"] / validations[-1]["epoch"]))
    total = max(config.epochs * steps, len(last.losses))
    rates = [learning_rate(at, total, peak=config.peak_rate, warmup=config.warmup) for at in range(len(last.losses))]
    scans = "synthetic scans" if store.manifest.source == "phantom" else f"{store.rows:,} scans"
    title = f"Training of {config.backbone} on {scans}\n{adapter}"
    return History(
        title=title, losses=last.losses, rates=np.array(rates), steps_per_epoch=steps, validations=validations
    )


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
    saved = at_once(lambda: json.loads(where.read_bytes()) if where.exists() else None, f"read {where}")
    wanted = {key: value for key, value in dataclasses.asdict(config).items() if key not in FREE}
    if saved is not None:
        for key in wanted:
            if saved.get(key) != wanted[key]:
                raise ConfigError(
                    f"{config.out} holds a run with {key} {saved.get(key)!r}, not {wanted[key]!r}: choose another --out"
                )
        return
    at_once(lambda: where.write_bytes(json.dumps(wanted, indent=2).encode()), f"write to {config.out}")


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
    run = Location.of(config.out) / CHECKPOINTS
    checkpoints.sweep(run)  # every upload has ended
    for one in checkpoints.best(run):
        try:
            return checkpoints.read(one.place)
        except checkpoints.DamagedCheckpoint as fault:
            print(f"note: {fault}; taking the next best", flush=True)
    raise TrainingError(f"the run in {config.out} left no whole checkpoint: choose another --out and train again")


def _calibrated(store: Store, checkpoint: checkpoints.Checkpoint) -> tuple[Calibration, dict[str, dict[str, float]]]:
    """Calibration, and thresholds of the calibrated probabilities, both chosen on the validation split."""
    assert checkpoint.logits is not None
    rows, logits = store.indices("val"), checkpoint.logits
    calibration = fit_calibration(store.labels()[rows], logits)
    return calibration, choose(scores_of(store, rows, calibration.probabilities(logits)))


def _bundle(config: TrainConfig, store: Store, state: checkpoints.Checkpoint, folder: Path) -> Path:
    """Build the classifier with its real backbone, put the best checkpoint in, and save it."""
    adapted = make(config, store.grid, cached=False)
    load_trained(adapted, state.parameters)
    calibration, points = _calibrated(store, state)
    provenance = {
        "store": {"source": store.manifest.source, "counts": store.manifest.counts},
        "training": dataclasses.asdict(config),
        "validation": state.validations[-1],
        "trained": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
    }
    save_bundle(
        folder,
        adapted,
        grid=store.grid,
        provenance=provenance,
        thresholds=points[YOUDEN],
        operating_points=points,
        calibration=calibration,
    )
    return folder

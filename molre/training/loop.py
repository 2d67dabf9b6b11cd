"""What each Ray Train worker does."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from jaxtyping import Float32, Int64
from ray.train import CheckpointUploadMode
from ray.train.torch import get_device
from ray.train.v2._internal.execution import context

from molre.embedding import Features
from molre.errors import ConfigError, TrainingError
from molre.location import Location
from molre.store import Store
from molre.training import checkpoint as checkpoints
from molre.training.checkpoint import Checkpoint, Progress
from molre.training.config import TrainConfig
from molre.training.engine import Engine
from molre.training.examples import Batch, Examples, Part
from molre.training.loss import class_weights
from molre.training.planning import agreed, part_rows, write_plan
from molre.training.sampler import Sampler, share
from molre.training.schedule import learning_rate
from molre.training.storage import Uploader
from molre.training.trainee import Trainee, make
from molre.training.validation import CHECKPOINTS, SCORE, mean_area
from molre.training.watch import Pace, Step, Validation, Watcher
from molre.training.watchers import watchers_of


def train_worker(settings: dict[str, Any]) -> str | None:
    """Run a worker from its last checkpoint to the end.

    Args:
        settings: fields of ``TrainConfig``, with ``store`` and ``features`` resolved.

    Returns:
        Why the run cannot go on, where trying again would meet the same; raised by the driver.
    """
    context.logger.setLevel(logging.WARNING)  # it would tell every report at length
    config = TrainConfig(**settings)
    store = Store.open(config.store or "")
    features = Features.open(config.features) if config.cached else None
    try:
        Worker(config, Examples(store, features, get_device())).run()
    except (Hopeless, ConfigError) as fault:
        return str(fault)
    return None


class Hopeless(TrainingError):
    """Every worker met what it would meet again from the same checkpoint."""


class Worker:
    """One worker of a run.

    Args:
        config: of the run.
        examples: what steps read.
    """

    def __init__(self, config: TrainConfig, examples: Examples) -> None:
        self.config, self.examples = config, examples
        self.rank, self.world = ray.train.get_context().get_world_rank(), ray.train.get_context().get_world_size()
        self.device = examples.device
        self.rows = examples.store.indices("train")
        self.sampler = Sampler(count=len(self.rows), batch_size=config.batch_size, seed=config.seed)
        self.weights = class_weights(examples.labels[self.rows]).to(self.device)
        cached = examples.features is not None
        self.trainee = Trainee(make(config, examples.store.grid, cached=cached), cached)
        here = ray.train.get_context().get_local_world_size()
        plan, load = agreed(config, self.trainee, examples.store.grid, self.device, self.world, here)
        self.engine = Engine(self.trainee, config, self.world, self.device, plan, load)
        if self.rank == 0:
            print(plan.told, flush=True)
            write_plan(config.out, plan, self.engine.settings)
        self.progress, self.losses, self.validations = Progress(), np.zeros(0, np.float32), list[dict[str, Any]]()
        self._recent: list[torch.Tensor] = []
        self._upload = Uploader(ray.train.get_context().get_storage())
        self._warned = False
        self._pace = Pace(config.tell_every_s)
        self.watchers: list[Watcher] = watchers_of(config) if self.rank == 0 else []
        self._restore()

    @property
    def total(self) -> int:
        """Optimiser steps of the whole run."""
        return self.config.epochs * self.sampler.steps

    def run(self) -> None:
        """Train to the last epoch or the early stop, validating and reporting on the way."""
        try:
            while self.progress.epoch < self.config.epochs and not self.progress.stopped:
                self._epoch()
                done = self.progress.epoch
                if done % self.config.checkpoint_every_epochs == 0 or done == self.config.epochs:
                    self._validate()
        finally:
            for watcher in self.watchers:
                watcher.close()

    def _epoch(self) -> None:
        self.trainee.train()
        at = self.progress
        steps = [self.rows[batch] for batch in self.sampler.epoch(at.epoch, at.step)]
        parts = (part for rows in steps for part in self._parts(rows))
        self._pace.restart()
        with contextlib.closing(self.examples.batches(parts)) as batches:
            for step, rows in enumerate(steps, start=at.step):
                self._step(rows, batches, at.epoch, step)
                self._after_step(rows, step)
        self._flush()
        self.progress = replace(self.progress, epoch=at.epoch + 1, step=0)

    def _step(self, rows: Int64[np.ndarray, "batch"], batches: Iterator[Batch], epoch: int, step: int) -> None:
        # Dropout is drawn afresh each step from a seed, so that a resumed run draws what an uninterrupted one would.
        torch.manual_seed(_seed(self.config.seed, epoch, step, self.rank))
        known = int((self.examples.labels[rows] >= 0).sum())
        mine = itertools.islice(batches, self.config.accumulation)
        self._recent.append(self.engine.step(mine, known, self._rate(), self.weights))

    def _rate(self) -> float:
        config = self.config
        return learning_rate(self.progress.taken, self.total, peak=config.peak_rate, warmup=config.warmup)

    def _after_step(self, rows: Int64[np.ndarray, "batch"], step: int) -> None:
        order = hashlib.sha256(self.progress.order.encode() + rows.astype("<i8").tobytes()).hexdigest()
        self.progress = replace(
            self.progress,
            step=step + 1,
            taken=self.progress.taken + 1,
            seen=self.progress.seen + len(rows),
            order=order,
        )
        self._pace.add(len(rows))
        within = step + 1 < self.sampler.steps
        if within and self._every(self.config.checkpoint_every_steps):
            self._flush()
            self._report({SCORE: -1.0, "epoch": self.progress.epoch + (step + 1) / self.sampler.steps})
        elif self._every(self.config.check_every_steps):
            self._flush()
            if within:
                self._heed_preemption(step)

    def _every(self, steps: int) -> bool:
        return bool(steps) and self.progress.taken % steps == 0

    def _heed_preemption(self, step: int) -> None:
        """Leave a checkpoint, once, when a node of this run is about to be taken away."""
        if self.world > 1 and ray.train.get_preemption_info() is not None and not self._warned:
            self._warned = True
            self._report({SCORE: -1.0, "epoch": self.progress.epoch + (step + 1) / self.sampler.steps})

    def _parts(self, rows: Int64[np.ndarray, "batch"]) -> list[Part]:
        """What this worker reads of a step: its share, in as many parts as gradients are accumulated over.

        A part must not be empty, since every worker takes part in every step: an empty one borrows a study of the
        batch, which then counts for nothing. In ZeRO's third stage all parts of a step are filled up to the same
        number of studies, since workers gather parameters together, chunk by chunk of the backbone.
        """
        parts = np.array_split(share(rows, self.rank, self.world), self.config.accumulation)
        size = part_rows(len(rows), self.world, self.config.accumulation) if self.engine.plan.stage == 3 else 1
        missing = [max(0, size - len(part)) for part in parts]
        return [
            Part(rows=np.concatenate([part, rows[:1].repeat(more)]), counts=len(part))
            for part, more in zip(parts, missing, strict=True)
        ]

    def _flush(self) -> None:
        """Gather the losses of the steps since the last time, and tell them where it is time.

        Raises:
            Hopeless: a loss is not a number.
        """
        if not self._recent:
            return
        recent = torch.stack(self._recent).float()
        self._recent = []
        if self.world > 1:
            torch.distributed.all_reduce(recent)
        losses = recent.cpu().numpy().astype(np.float32)
        if not np.isfinite(losses).all():
            first = len(self.losses) + int(np.argmin(np.isfinite(losses))) + 1
            raise Hopeless(
                f"the loss was not a number at step {first:,} of {self.total:,}: the checkpoint before it is kept; "
                "lower --learning-rate, or look for damaged voxels with python -m molre.store STORE"
            )
        self.losses = np.concatenate([self.losses, losses])
        if self._pace.due:
            self._tell(float(losses.mean()))

    def _tell(self, loss: float) -> None:
        pace, taken = self._pace, self.progress.taken
        told = Step(
            epoch=self.progress.epoch,
            epochs=self.config.epochs,
            taken=taken,
            total=self.total,
            loss=loss,
            learning_rate=self._rate(),
            studies_per_second=pace.studies_per_second,
            seconds_left=(self.total - taken) / max(1e-9, pace.steps_per_second),
        )
        for watcher in self.watchers:
            watcher.step(told)
        pace.restart()

    def _validate(self) -> None:
        rows = self.examples.store.indices("val")
        rate = self._pace.studies_per_second
        part = self._predict(share(rows, self.rank, self.world), -(-len(rows) // self.world))
        gathered: list[Any] = [None] * self.world
        if self.world > 1:
            torch.distributed.all_gather_object(gathered, part)
        else:
            gathered = [part]
        logits = np.zeros((len(rows), self.examples.labels.shape[1]), np.float32)
        for rank, scored in enumerate(gathered):
            logits[rank :: self.world] = scored
        area, findings = mean_area(self.examples.labels[rows], logits, self.config.min_positives)
        self._advance(area)
        loss = float(self.losses[-self.sampler.steps :].mean())
        told = Validation(
            epoch=self.progress.epoch,
            taken=self.progress.taken,
            mean_auc=area,
            findings=findings,
            loss=loss,
            best=self.progress.waited == 0,
            studies_per_second=rate,
            gates={},
        )
        self.validations.append(dataclasses.asdict(told))
        for watcher in self.watchers:
            watcher.validation(told)
        metrics = {
            SCORE: self.progress.score,
            "mean_auc": area,
            "loss": loss,
            "epoch": float(self.progress.epoch),
            "studies_per_second": rate,
        }
        self._report(metrics, logits)

    def _advance(self, area: float | None) -> None:
        """Take note of a score: whether it is the best, and whether there were enough without one."""
        score = 0.0 if area is None else area
        better = score > self.progress.best or self.progress.best == 0.0
        waited = 0 if better else self.progress.waited + 1
        self.progress = replace(
            self.progress,
            score=score,
            best=max(score, self.progress.best),
            waited=waited,
            stopped=0 < self.config.patience <= waited,
        )

    @torch.no_grad()
    def _predict(self, rows: Int64[np.ndarray, "part"], most: int) -> Float32[np.ndarray, "part findings"]:
        """Logits of this worker's rows; ``most`` is what any worker has, since all do the same number of passes."""
        self.trainee.eval()
        size = max(1, self.config.batch_size // self.world)
        padded = np.concatenate([rows, self.rows[:1].repeat(most - len(rows))])
        parts = [Part(rows=padded[at : at + size], counts=size) for at in range(0, most, size)]
        with contextlib.closing(self.examples.batches(parts)) as batches:
            outputs = [self.engine.logits(batch).cpu().numpy() for batch in batches]
        findings = self.examples.labels.shape[1]
        return np.concatenate([np.zeros((0, findings), np.float32), *outputs])[: len(rows)]

    def _report(self, metrics: dict[str, Any], logits: Float32[np.ndarray, "rows findings"] | None = None) -> None:
        """Tell Ray Train, with a checkpoint that is uploaded while training goes on."""
        parameters, moments = self.engine.state()
        if self.rank != 0:
            ray.train.report(metrics, checkpoint=None)
            return
        folder = Path(tempfile.mkdtemp(prefix="molre-checkpoint-"))
        state = Checkpoint(
            progress=self.progress,
            parameters=parameters,
            moments=moments,
            losses=self.losses,
            validations=self.validations,
            logits=logits,
        )
        checkpoints.write(folder, state)
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=checkpoints.folder_name(self.progress.taken),
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            checkpoint_upload_fn=self._upload,
        )

    def _restore(self) -> None:
        """Take up the furthest whole checkpoint, the same on every worker."""
        chosen: list[str | None] = [None]
        run = Location.of(self.config.out) / CHECKPOINTS
        if self.rank == 0:
            found, damaged = checkpoints.newest(run)
            for sentence in damaged:
                print(f"note: {sentence}; going on from the one before it", flush=True)
            chosen = [found.place.uri if found else None]
        if self.world > 1:
            torch.distributed.broadcast_object_list(chosen, src=0)
        if chosen[0] is None:
            return
        saved = checkpoints.read(Location.of(chosen[0]))
        self.engine.load(saved.parameters, saved.moments, saved.progress.taken)
        self.progress, self.losses, self.validations = saved.progress, saved.losses, saved.validations


def _seed(*parts: int) -> int:
    """A seed of its own for each epoch, step and worker."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")

"""What each Ray Train worker does."""

from __future__ import annotations

import contextlib
import itertools
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from jaxtyping import Float32, Int64
from ray.train.torch import get_device
from ray.train.v2._internal.execution import context

from molre.embedding import Features
from molre.evaluation.auc import auc
from molre.store import Store
from molre.training import checkpoint as checkpoints
from molre.training.checkpoint import Progress
from molre.training.config import TrainConfig
from molre.training.engine import Engine, split_parts
from molre.training.examples import Batch, Examples
from molre.training.loss import class_weights
from molre.training.sampler import Sampler, share
from molre.training.schedule import learning_rate
from molre.training.trainee import Trainee, make

SCORE = "score"
"""Metric by which checkpoints are kept: mean validation AUC, 0 where no finding has one."""

VALIDATION = "validation.npy"
"""Logits of the validation split, in a checkpoint that was validated: thresholds are chosen on them."""


def train_worker(settings: dict[str, Any]) -> None:
    """Run a worker from its last checkpoint to the end.

    Args:
        settings: fields of ``TrainConfig``, with ``store`` and ``features`` resolved.
    """
    context.logger.setLevel(logging.WARNING)  # it would tell every report at length
    config = TrainConfig(**settings)
    store = Store.open(config.store or "")
    features = Features.open(config.features) if config.cached else None
    Worker(config, Examples(store, features, get_device())).run()


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
        self.engine = Engine(self.trainee, config, self.world, self.device)
        self.progress = self._restore()

    def run(self) -> None:
        """Train to the last epoch, validating and reporting on the way."""
        while self.progress.epoch < self.config.epochs:
            begun, first = time.monotonic(), self.progress
            loss = self._epoch()
            done = self.progress.epoch
            if done % self.config.checkpoint_every_epochs == 0 or done == self.config.epochs:
                steps = self.progress.taken - first.taken
                self._validate(loss, steps * self.config.batch_size / max(1e-9, time.monotonic() - begun))

    def _epoch(self) -> float:
        total, at = 0.0, self.progress
        self.trainee.train()
        steps = [self.rows[batch] for batch in self.sampler.epoch(at.epoch, at.step)]
        parts = (part for rows in steps for part in self._parts(rows))
        with contextlib.closing(self.examples.batches(parts)) as batches:
            for step, rows in enumerate(steps, start=at.step):
                total += self._step(rows, batches, at.epoch, step)
                taken = self.progress.taken + 1
                self.progress = Progress(epoch=at.epoch, step=step + 1, taken=taken, score=self.progress.score)
                every = self.config.checkpoint_every_steps
                if every and taken % every == 0 and step + 1 < self.sampler.steps:
                    self._report({SCORE: self.progress.score, "epoch": at.epoch + (step + 1) / self.sampler.steps})
        self.progress = Progress(epoch=at.epoch + 1, step=0, taken=self.progress.taken, score=self.progress.score)
        return total / max(1, self.sampler.steps - at.step)

    def _parts(self, rows: Int64[np.ndarray, "batch"]) -> list[Int64[np.ndarray, "part"]]:
        """What this worker reads of a step: its share, in as many parts as gradients are accumulated over."""
        return split_parts(share(rows, self.rank, self.world), self.config.accumulation)

    def _step(self, rows: Int64[np.ndarray, "batch"], batches: Iterator[Batch], epoch: int, step: int) -> float:
        # dropout is drawn afresh each step from a seed, so that a resumed run draws what an uninterrupted one would
        torch.manual_seed(hash((self.config.seed, epoch, step, self.rank)) % 2**31)
        known = int((self.examples.labels[rows] >= 0).sum())
        rate = learning_rate(
            self.progress.taken,
            self.config.epochs * self.sampler.steps,
            peak=self.config.peak_rate,
            warmup=self.config.warmup,
        )
        mine = itertools.islice(batches, self.config.accumulation)
        return self.engine.step(mine, known, rate, self.weights)

    def _validate(self, loss: float, rate: float) -> None:
        rows = self.examples.store.indices("val")
        logits = self._predict(share(rows, self.rank, self.world))
        gathered: list[Any] = [None] * self.world
        if self.world > 1:
            torch.distributed.all_gather_object(gathered, (logits, loss))
        else:
            gathered = [(logits, loss)]
        scores = np.zeros((len(rows), self.examples.labels.shape[1]), np.float32)
        for rank, (part, _) in enumerate(gathered):
            scores[rank :: self.world] = part
        areas = mean_auc(self.examples.labels[rows], scores)
        self.progress = Progress(
            epoch=self.progress.epoch, step=0, taken=self.progress.taken, score=0.0 if areas is None else areas
        )
        train_loss = sum(part for _, part in gathered)
        if self.rank == 0:
            told = "no finding with both classes" if areas is None else f"validation mean AUC {areas:.3f}"
            epoch = f"epoch {self.progress.epoch}/{self.config.epochs}"
            print(f"{epoch}: loss {train_loss:.4f}, {told}, {rate:.0f} studies/s", flush=True)
        metrics = {
            SCORE: self.progress.score,
            "mean_auc": areas,
            "loss": train_loss,
            "epoch": float(self.progress.epoch),
            "studies_per_second": rate,
        }
        self._report(metrics, scores)

    @torch.no_grad()
    def _predict(self, rows: Int64[np.ndarray, "part"]) -> Float32[np.ndarray, "part findings"]:
        self.trainee.eval()
        size = max(1, self.config.batch_size // self.world)
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        with contextlib.closing(self.examples.batches(parts)) as batches:
            outputs = [self.engine.logits(batch).cpu().numpy() for batch in batches]
        return np.concatenate(outputs) if outputs else np.zeros((0, self.examples.labels.shape[1]), np.float32)

    def _report(self, metrics: dict[str, Any], validation: Float32[np.ndarray, "rows findings"] | None = None) -> None:
        state = self.engine.state(self.progress)
        if self.rank != 0:
            ray.train.report(metrics, checkpoint=None)
            return
        with tempfile.TemporaryDirectory() as folder:
            checkpoints.write(Path(folder), state)
            if validation is not None:
                np.save(Path(folder) / VALIDATION, validation)
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))

    def _restore(self) -> Progress:
        saved = ray.train.get_checkpoint()
        if saved is None:
            return Progress()
        with saved.as_directory() as folder:
            checkpoint = checkpoints.read(Path(folder))
        self.engine.load(checkpoint)
        return checkpoint.progress


def mean_auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean AUC over the findings that have one."""
    areas = [auc(labels[:, at], scores[:, at]) for at in range(labels.shape[1])]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else None

"""What each Ray Train worker does."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from ray.train.torch import get_device
from ray.train.v2._internal.constants import VALIDATE_STORAGE_MARKER_FILENAME
from ray.train.v2._internal.execution import context

from molre.adapters import GateMeter
from molre.embedding import Features
from molre.errors import ConfigError, TrainingError
from molre.location import Location
from molre.store import Store
from molre.training.augmentation import augmented
from molre.training.checkpoint import Checkpoint, Progress
from molre.training.config import TrainConfig
from molre.training.engine import Engine
from molre.training.examples import Batch, Examples, Part
from molre.training.loss import class_weights
from molre.training.planning import agreed, part_rows, write_plan
from molre.training.preemption import Preemption
from molre.training.resumption import furthest
from molre.training.sampler import Sampler, rarity, share
from molre.training.schedule import learning_rate
from molre.training.scoring import Scoring
from molre.training.seat import Seat, TrainSeat
from molre.training.storage import Uploader, patiently
from molre.training.trainee import Trainee, make
from molre.training.validation import BEST, CHECKPOINTS, SCORE, mean_area
from molre.training.watch import Pace, Step, Validation, Watcher


def train_worker(settings: dict[str, Any]) -> str | None:
    """Run a worker from its last checkpoint to the end.

    Args:
        settings: fields of ``TrainConfig``, with ``store`` and ``features`` resolved.

    Returns:
        Why the run cannot go on, where trying again would meet the same; raised by the driver.
    """
    context.logger.setLevel(logging.WARNING)  # it would tell every report at length
    config = TrainConfig(**settings)
    _find_run(config)
    store = Store.open(config.store or "")
    features = Features.open(config.features) if config.cached else None
    try:
        Worker(config, Examples(store, features, get_device()), TrainSeat()).run()
    except (Hopeless, ConfigError) as fault:
        return str(fault)
    return None


def _find_run(config: TrainConfig) -> None:
    """See to it that this machine writes where the driver reads.

    Raises:
        TrainingError: it does not.
    """
    marker = Location.of(config.out) / CHECKPOINTS / VALIDATE_STORAGE_MARKER_FILENAME
    if not patiently(marker.exists, "look for the run", config.storage_patience_s):
        raise TrainingError(
            f"{config.out} is another folder on {socket.gethostname()}: choose an --out that all machines share"
        )


DIVERGED = (
    "the checkpoint before it is kept; lower --learning-rate with another --out, or look for damaged voxels with "
    "python -m molre.store STORE"
)
"""What is told of a loss or weight that is not a number."""


class Hopeless(TrainingError):
    """Every worker met what it would meet again from the same checkpoint."""


class Worker:
    """One worker of a run.

    Args:
        config: of the run.
        examples: what steps read.
        seat: where it stands among the workers, and whom it tells.
    """

    def __init__(self, config: TrainConfig, examples: Examples, seat: Seat) -> None:
        self.config, self.examples, self.seat = config, examples, seat
        self.rank, self.world = seat.rank, seat.world
        self.device = examples.device
        self.rows = examples.store.indices("train")
        labels = examples.labels[self.rows]
        draws = rarity(labels) if config.balanced else None
        self.sampler = Sampler(count=len(labels), batch_size=config.batch_size, seed=config.seed, weights=draws)
        self.weights = class_weights(labels, draws).to(self.device)
        cached = examples.features is not None
        adapted = make(config, examples.store.grid, cached=cached)
        self.shown = adapted.classifier.shown
        self.trainee = Trainee(adapted, cached)
        plan, load = agreed(config, self.trainee, examples.store.grid, self.device, self.world, seat.here)
        self.engine = Engine(self.trainee, config, self.world, self.device, plan, load)
        self.scoring = Scoring(self.engine, examples, GateMeter(adapted.classifier), self.rank, config.batch_size)
        if self.rank == 0:
            seat.say(plan.told)
            write_plan(config.out, plan, self.engine.settings)
        self.progress, self.losses, self.validations = Progress(), np.zeros(0, np.float32), list[dict[str, Any]]()
        self._recent: list[torch.Tensor] = []
        self.folder = Location.of(config.out) / CHECKPOINTS
        self._uploader = Uploader(self.folder, config.storage_patience_s)
        self._preemption = Preemption(seat.ends_s)
        self._step_s, self._flushed, self._check_at = 1.0, time.monotonic(), 0
        self._pace = Pace(config.tell_every_s)
        self._training = Pace(config.tell_every_s)  # since the last validation
        self._restore()
        self.watchers: list[Watcher] = seat.watchers(config, self.progress.seen)

    @property
    def total(self) -> int:
        """Optimiser steps of the whole run."""
        return self.config.epochs * self.sampler.steps

    def run(self) -> None:
        """Train to the last epoch or the early stop, validating and reporting on the way."""
        self._restart_paces()
        try:
            if self._validates and self.progress.taken and not self._validated:  # the settings were others before
                self._validate()
            elif self._validated:  # before a worker died, perhaps unheard
                self._report()
            while self.progress.epoch < self.config.epochs and not self.progress.stopped:
                self._epoch()
                if self._validates:
                    self._validate()
        finally:
            self._uploader.finish()
            for watcher in self.watchers:
                watcher.close()
        if self._uploader.trouble:
            raise Hopeless(self._uploader.trouble)

    def _epoch(self) -> None:
        self.trainee.train()
        at = self.progress
        steps = [self.rows[batch] for batch in self.sampler.epoch(at.epoch, at.step)]
        parts = (part for rows in steps for part in self._parts(rows))
        with contextlib.closing(self.examples.batches(parts)) as batches:
            for step, rows in enumerate(steps, start=at.step):
                self._step(rows, batches, at.epoch, step)
                self._after_step(rows, step)
        self._flush()

    @property
    def _validates(self) -> bool:
        """Whether the run is at the end of an epoch that is validated."""
        done = self.progress.epoch
        due = done % self.config.checkpoint_every_epochs == 0 or done == self.config.epochs
        return self.progress.step == 0 and due

    @property
    def _validated(self) -> bool:
        return bool(self.validations) and self.validations[-1]["taken"] == self.progress.taken

    def _step(self, rows: Int64[np.ndarray, "batch"], batches: Iterator[Batch], epoch: int, step: int) -> None:
        # Dropout is drawn afresh each step from a seed, so that a resumed run draws what an uninterrupted one would.
        self._draw_from(_seed(self.config.seed, epoch, step, self.rank))
        known = int((self.examples.labels[rows] >= 0).sum())
        mine: Iterator[Batch] = itertools.islice(batches, self.config.accumulation)
        if self.config.augment:
            mine = (self._augmented(batch, epoch, step, part) for part, batch in enumerate(mine))
        self._recent.append(self.engine.step(mine, known, self._rate(), self.weights))

    def _draw_from(self, seed: int) -> None:
        """Seed what this worker draws from; ``torch.manual_seed`` asks every other device too."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _augmented(self, batch: Batch, epoch: int, step: int, part: int) -> Batch:
        """The batch's volumes changed a little, as drawn for this place in the run; pooling sees the same slices."""
        assert batch.hu is not None
        seed = _seed(self.config.seed, epoch, step, self.rank, part)
        hu = augmented(batch.hu, seed, self.examples.store.grid.spacing_mm[1:])
        return replace(batch, hu=hu, mask=self.shown(batch.hu))

    def _rate(self) -> float:
        config = self.config
        return learning_rate(self.progress.taken, self.total, peak=config.peak_rate, warmup=config.warmup)

    def _after_step(self, rows: Int64[np.ndarray, "batch"], step: int) -> None:
        order = hashlib.sha256(self.progress.order.encode() + rows.astype("<i8").tobytes()).hexdigest()
        last = step + 1 == self.sampler.steps
        self.progress = replace(
            self.progress,
            epoch=self.progress.epoch + last,
            step=0 if last else step + 1,
            taken=self.progress.taken + 1,
            seen=self.progress.seen + len(rows),
            order=order,
        )
        for pace in (self._pace, self._training):
            pace.add(len(rows))
        if self._validates:  # which leaves a checkpoint of its own
            return
        if self._every(self.config.checkpoint_every_steps):
            self._save()
        if self.progress.taken >= self._check_at:
            self._flush()
            self._heed_preemption()
            self._check_at = self.progress.taken + max(1, int(self.config.check_every_s / self._step_s))

    def _every(self, steps: int) -> bool:
        return bool(steps) and self.progress.taken % steps == 0

    def _heed_preemption(self) -> None:
        """Leave a checkpoint and stand still, once, when a node of this run is about to be taken away."""
        if not self._preemption.told():
            return
        if self.rank == 0:
            self.seat.say("note: a node of this run is about to be taken away; leaving a checkpoint")
        self._save()
        self._uploader.finish()
        self._preemption.stand_still()
        self._restart_paces()

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
            Hopeless: a loss is not a number, or checkpoints cannot be kept.
        """
        if not self._recent:
            return
        # Beside the losses, what all workers have to agree on: whether rank 0 can still keep checkpoints, so that all
        # end at the same step, and how long a step takes, so that all check at the same step.
        now = time.monotonic()
        passed_s = (now - self._flushed) / len(self._recent)
        agreed = torch.tensor([float(bool(self._uploader.trouble)), passed_s / self.world], device=self.device)
        recent = torch.cat([torch.stack(self._recent).float(), agreed])
        self._recent, self._flushed = [], now
        if self.world > 1:
            torch.distributed.all_reduce(recent)
        losses, (trouble, step_s) = recent[:-2].cpu().numpy(), recent[-2:].tolist()
        self._step_s = max(1e-6, step_s)
        if not np.isfinite(losses).all():
            first = len(self.losses) + int(np.argmin(np.isfinite(losses))) + 1
            raise Hopeless(f"the loss was not a number at step {first:,} of {self.total:,}: {DIVERGED}")
        if trouble:
            raise Hopeless(self._uploader.trouble)
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
            seen=self.progress.seen,
            loss=loss,
            learning_rate=self._rate(),
            studies_per_second=pace.studies_per_second,
            seconds_left=(self.total - taken) / max(1e-9, pace.steps_per_second),
            mean_auc=self.validations[-1]["mean_auc"] if self.validations else None,
        )
        for watcher in self.watchers:
            watcher.step(told)
        pace.restart()

    def _restart_paces(self) -> None:
        """Count from now, so that start-up and validation do not look like slow training."""
        self._pace.restart()
        self._training.restart()
        self._flushed = time.monotonic()

    def _validate(self) -> None:
        rows = self.examples.store.indices("val")
        rate = self._training.studies_per_second
        logits, gates = self.scoring.score(rows)
        area, findings = mean_area(self.examples.labels[rows], logits, self.config.min_positives)
        self._advance(area)
        loss = float(self.losses[-self.sampler.steps :].mean())
        told = Validation(
            epoch=self.progress.epoch,
            taken=self.progress.taken,
            seen=self.progress.seen,
            mean_auc=area,
            findings=findings,
            loss=loss,
            best=self.progress.waited == 0,
            studies_per_second=rate,
            gates=gates,
        )
        self.validations.append(dataclasses.asdict(told))
        for watcher in self.watchers:
            watcher.validation(told)
        self._save(logits)
        self._report()
        self._restart_paces()

    def _report(self) -> None:
        """Tell the figures of the last validation."""
        last = self.validations[-1]
        told = {key: last[key] for key in ("mean_auc", "loss", "studies_per_second")}
        self.seat.report(
            {SCORE: self.progress.score, BEST: self.progress.best, "epoch": float(self.progress.epoch), **told}
        )

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

    def _save(self, logits: Float32[np.ndarray, "rows findings"] | None = None) -> None:
        """Leave a checkpoint, which is uploaded while training goes on.

        Raises:
            Hopeless: what is trained is not finite; such a checkpoint would be taken up again and again.
        """
        self._flush()
        try:
            parameters, moments = self.engine.state(keep=self.rank == 0)
        except FloatingPointError as fault:
            raise Hopeless(
                f"a weight was not a number after step {self.progress.taken:,} of {self.total:,}: {DIVERGED}"
            ) from fault
        if self.rank == 0:
            self._uploader.put(
                Checkpoint(
                    progress=self.progress,
                    parameters=parameters,
                    moments=moments,
                    losses=self.losses,
                    validations=list(self.validations),
                    logits=logits,
                )
            )

    def _restore(self) -> None:
        """Take up the furthest whole checkpoint."""
        saved = furthest(self.folder, self.rank, self.world, self.config.storage_patience_s)
        if saved is None:
            return
        self.engine.load(saved.parameters, saved.moments, saved.progress.taken)
        self.progress, self.losses, self.validations = saved.progress, saved.losses, saved.validations
        if self.rank == 0 and 0 < self.progress.taken < self.total:
            self.seat.say(f"going on from step {self.progress.taken:,} of {self.total:,}")


def _seed(*parts: int) -> int:
    """A seed of its own for each epoch, step and worker."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")

"""One trial: a training of its own, in this process where it reads features, else by Ray Train."""

from __future__ import annotations

import functools
from typing import Any

import torch
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback

from molre.embedding import Features
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.examples import Examples
from molre.training.loop import Worker
from molre.training.run import fit
from molre.training.seat import Seat, alone
from molre.tuning.config import TuneConfig
from molre.tuning.ledger import folder_of


def run_trial(suggested: dict[str, Any], config: TuneConfig, features: str) -> None:
    """Train a suggestion, going on from its checkpoint where there is one, and tell Tune every validation.

    Args:
        suggested: as ``Space`` gives it.
        config: of the search.
        features: where cached features lie.
    """
    training = config.training(suggested["chosen"], folder_of(config.out, suggested["number"]), features)
    if not training.cached:
        fit(training, callbacks=[TuneReportCallback()])
        return
    train_here(training, Seat(listener=tune.report))


def train_here(config: TrainConfig, seat: Seat) -> None:
    """Train on cached features in this process, by the loop and the engine of every training.

    Args:
        config: with store and features resolved.
        seat: whom to tell.
    """
    Worker(config, _examples(config.store or "", config.features, alone()), seat).run()


@functools.lru_cache(maxsize=1)
def _examples(store: str, features: str, device: torch.device) -> Examples:
    """Labels and features, kept from trial to trial: mapped where local, else fetched once a process."""
    return Examples(Store.open(store), Features.open(features), device)

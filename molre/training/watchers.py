"""Who is told of a run: a person at a terminal or a log, Ray's metrics, and MLflow where a server is named."""

from __future__ import annotations

from molre.training.config import TrainConfig
from molre.training.lines import Lines
from molre.training.metrics import RayMetrics
from molre.training.tracking import Tracker
from molre.training.watch import Watcher


def watchers_of(config: TrainConfig, seen: int) -> list[Watcher]:
    """Everybody that a run's rank 0 tells.

    Args:
        config: of the run.
        seen: studies that the run had seen when this worker took it up.
    """
    watchers: list[Watcher] = [Lines(config), RayMetrics(config.name, seen)]
    if config.mlflow is not None:
        watchers.append(Tracker.of(config))
    return watchers

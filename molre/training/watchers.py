"""Who is told of a run: a person at a terminal or a log, Ray's metrics, and MLflow where one is named."""

from __future__ import annotations

from molre.training.config import TrainConfig
from molre.training.watch import Step, Validation, Watcher


def watchers_of(config: TrainConfig) -> list[Watcher]:
    """Everybody that a run's rank 0 tells."""
    return [Lines(config)]


class Lines(Watcher):
    """A line of progress every few seconds, and one a validation.

    Args:
        config: of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def step(self, step: Step) -> None:
        """Loss, pace and what is left."""
        left = f"{step.seconds_left / 60:.0f} min" if step.seconds_left > 90 else f"{step.seconds_left:.0f} s"
        print(
            f"epoch {step.epoch + 1}/{step.epochs}, step {step.taken:,}/{step.total:,}: loss {step.loss:.4f}, "
            f"{step.studies_per_second:.3g} studies/s, {left} left",
            flush=True,
        )

    def validation(self, validation: Validation) -> None:
        """The score, and whether it is the best."""
        auc = validation.mean_auc
        told = "no finding with both classes" if auc is None else f"validation mean AUC {auc:.3f}"
        best = ", the best so far" if validation.best and auc is not None else ""
        epoch = f"epoch {validation.epoch}/{self.config.epochs}"
        print(f"{epoch}: loss {validation.loss:.4f}, {told} ({validation.findings} findings){best}", flush=True)

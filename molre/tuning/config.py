"""What a search is told."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from molre.errors import ConfigError
from molre.location import home, place
from molre.training.config import TrainConfig

CHOICES = ("site", "experts", "rank", "router_width")
"""Settings that are chosen from the values given."""

RANGES = ("alpha", "temperature", "dropout", "learning_rate", "weight_decay", "gamma")
"""Settings that are drawn between two ends, or fixed by a single value."""

FROM_ZERO = ("dropout", "gamma")
"""Ranges that may begin at 0, and are drawn evenly; the others are drawn on a logarithmic scale."""

VALIDATIONS = 8
"""Validations a trial, at each of which it may be stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneConfig:
    """Search an adapter's hyper-parameters on the validation split of a store.

    Of experts, rank, router width and site give the values to choose from; of the others two ends, or one value that
    is not searched. Settings that the adapter does not have are left alone. The same command again goes on with a
    search that was stopped, with more --trials too.
    """

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    out: str = field(default_factory=lambda: str(home() / "tune"))
    """Folder or URI of the result; the same folder goes on with a search that was stopped."""
    resume: bool = False
    """Go on with the search in OUT, and refuse to begin another where there is none."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones."""
    weights: str | None = None
    """Checkpoint, as jobs/train.py takes it."""
    adapter: str = "molre"
    """Kind of adapter: none, lora, mlp, molre or full."""
    site: tuple[str, ...] = ("feature",)
    """Sites to choose from, as jobs/train.py takes them; trials at feature share features that are computed once."""
    trials: int = 64
    """Trainings in all."""
    concurrent: int = 0
    """Trainings at once; 0 for as many as the cluster has CPUs or GPUs."""
    workers: int | str = 1
    """Ray Train workers of a trial within the backbone; LEAST-MOST is elastic. A trial on features needs one."""
    epochs: int = 40
    """Passes over the training split a trial; poor trials are stopped earlier."""
    experts: tuple[int, ...] = (2, 4, 6, 8)
    """Numbers of experts to choose from."""
    rank: tuple[int, ...] = (1, 2, 4, 8)
    """Ranks to choose from; combinations above the adapter's budget are never tried."""
    router_width: tuple[int, ...] = (8, 16, 32, 64)
    """Hidden units of the router to choose from."""
    alpha: tuple[float, ...] = (4.0, 64.0)
    """Scale of the update, times rank; logarithmic."""
    temperature: tuple[float, ...] = (0.5, 2.0)
    """Temperature of the gate; logarithmic."""
    dropout: tuple[float, ...] = (0.0, 0.5)
    """Dropout before the experts."""
    learning_rate: tuple[float, ...] = (5e-4, 3e-2)
    """Peak learning rate; logarithmic."""
    weight_decay: tuple[float, ...] = (1e-4, 0.3)
    """Decoupled weight decay; logarithmic."""
    gamma: tuple[float, ...] = (0.0, 4.0)
    """Exponent of the focal loss."""
    max_failures: int = 2
    """How often a trial is taken up again from its last checkpoint after its process died."""
    evaluate: bool = True
    """In the end train the best and the default settings in full, and evaluate both on the test split."""
    bootstrap: int = 1000
    """Bootstrap resamples of that evaluation's intervals."""
    seed: int = 0
    """Seed of the search and of every trial."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", place(self.out))
        if self.store is not None:
            object.__setattr__(self, "store", place(self.store))
        if self.trials < 1:
            raise ConfigError(f"trials is {self.trials}: it must be at least 1")
        if self.concurrent < 0:
            raise ConfigError(f"concurrent is {self.concurrent}: it must be 0 or more")
        for name in CHOICES:
            values = getattr(self, name)
            if not values or (name != "site" and min(values) < 1):
                raise ConfigError(f"{name} is {values}: give at least one value, of at least 1")
            ordered = tuple(dict.fromkeys(values if name == "site" else sorted(values)))
            object.__setattr__(self, name, ordered)
        for name in RANGES:
            self._check_range(name)

    def _check_range(self, name: str) -> None:
        ends = getattr(self, name)
        least = "at least 0" if name in FROM_ZERO else "above 0"
        low = ends[0] if ends else math.nan
        fits = math.isfinite(low) and (low >= 0 if name in FROM_ZERO else low > 0 or (len(ends) == 1 and low >= 0))
        if len(ends) not in (1, 2) or not fits or not math.isfinite(ends[-1]) or (len(ends) == 2 and ends[1] <= low):
            raise ConfigError(f"{name} is {ends}: give one value, or a lower and a higher end, {least}")
        if name == "dropout" and ends[-1] >= 1:
            raise ConfigError(f"dropout is {ends}: it must be below 1")

    @property
    def searched(self) -> tuple[str, ...]:
        """The settings that this kind of adapter has."""
        own = {
            "molre": ("site", "experts", "rank", "router_width", "alpha", "temperature", "dropout"),
            "lora": ("site", "rank", "alpha", "dropout"),
            "mlp": ("site", "rank", "dropout"),
        }
        return (*own.get(self.adapter, ()), "learning_rate", "weight_decay", "gamma")

    def training(self, chosen: dict[str, Any], out: str, features: str = "auto") -> TrainConfig:
        """The configuration of one trial, with default settings for what is not chosen."""
        config = TrainConfig(
            store=self.store,
            out=out,
            backbone=self.backbone,
            weights=self.weights,
            adapter=self.adapter,  # type: ignore[arg-type]
            epochs=self.epochs,
            checkpoint_every_epochs=max(1, self.epochs // VALIDATIONS),
            seed=self.seed,
            bootstrap=self.bootstrap,
            **{"site": self.site[0], "workers": self.workers, **chosen},
        )
        if not config.cacheable:
            return config
        return dataclasses.replace(config, workers=1, features=features)

"""What a benchmark can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from molre.errors import ConfigError
from molre.location import home, place


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig:
    """Train and evaluate every backbone with every adapter over seeds, and make one table of it."""

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    out: str = field(default_factory=lambda: str(home() / "benchmark"))
    """Folder or URI of the result; cells that are complete there are not trained again."""
    backbones: tuple[str, ...] = ("dinov3-tiny",)
    """Names in the registry of backbones."""
    adapters: tuple[str, ...] = ("none", "lora", "mlp", "molre")
    """Kinds of adapter; lora and mlp get as many parameters as molre has. full trains the whole backbone."""
    site: str = "feature"
    """Where the adapters sit, as jobs/train.py takes it."""
    seeds: int = 5
    """Trainings of each pair, with seeds 0, 1, 2 and so on."""
    epochs: int = 40
    """Passes over the training split a training."""
    learning_rate: float | None = None
    """Peak learning rate of every training; without it what jobs/train.py takes."""
    experts: int = 6
    """Experts of MoLRE (paper: 6)."""
    rank: int | None = None
    """Rank of its experts; without it the largest within the budget, at most the paper's 8."""
    alpha: float = 16.0
    """Scale of every adapter's update is alpha / rank."""
    full_below: float = 50e6
    """Backbones above this many parameters are left out for the adapter full, with a note."""
    workers: int = 2
    """Ray Train workers a training."""
    price: float | None = None
    """Price of a worker's hour, in your currency, for the column cost; without it the column is in worker hours."""
    bootstrap: int = 1000
    """Resamples of patients and seeds behind each interval."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", place(self.out))
        if self.store is not None:
            object.__setattr__(self, "store", place(self.store))
        for name in ("seeds", "epochs", "bootstrap"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("backbones", "adapters"):
            given = getattr(self, name)
            if not given or len(set(given)) != len(given):
                raise ConfigError(f"{name} are {', '.join(given) or 'none'}: name at least one, and each once")

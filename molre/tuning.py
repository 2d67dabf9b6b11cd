"""Search of an adapter's hyper-parameters: Ray Tune drives trainings, each a real Ray Train run."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import yaml
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

from molre.cluster import offer
from molre.embedding import EmbedConfig, embed
from molre.errors import ConfigError
from molre.location import Location, home, place
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.loop import SCORE
from molre.training.run import fit
from molre.training.trainee import make
from molre.volume import Grid

RUN = "search"
TRIALS = "trials.csv"
BEST = "best.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneConfig:
    """Search MoLRE's hyper-parameters on the validation split of a store."""

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    out: str = field(default_factory=lambda: str(home() / "tune"))
    """Folder or URI of the result; the same folder goes on with a search that was stopped."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones."""
    weights: str | None = None
    """Checkpoint, as jobs/train.py takes it."""
    adapter: str = "molre"
    """Kind of adapter: none, lora, mlp, molre or full."""
    site: str = "feature"
    """Where the adapter sits, as jobs/train.py takes it."""
    trials: int = 8
    """Trainings in all."""
    concurrent: int = 0
    """Trainings at once; 0 for as many as the cluster has CPUs or GPUs."""
    workers: int = 1
    """Ray Train workers a trial."""
    epochs: int = 20
    """Passes over the training split a trial; poor trials are stopped earlier."""
    experts: tuple[int, ...] = (2, 4, 6, 8)
    """Numbers of experts to choose from."""
    rank: tuple[int, ...] = (1, 2, 4, 8)
    """Ranks to choose from; combinations above the budget are not tried."""
    learning_rate: tuple[float, ...] = (3e-4, 1e-2)
    """Lower and upper end of the learning rate, drawn on a logarithmic scale."""
    temperature: tuple[float, ...] = (0.5, 2.0)
    """Lower and upper end of the gate's temperature, drawn on a logarithmic scale."""
    seed: int = 0
    """Seed of the search and of every trial."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", place(self.out))
        if self.store is not None:
            object.__setattr__(self, "store", place(self.store))
        if self.trials < 1:
            raise ConfigError(f"trials is {self.trials}: it must be at least 1")
        for name in ("learning_rate", "temperature"):
            ends = getattr(self, name)
            if len(ends) != 2 or not 0 < ends[0] < ends[1]:
                raise ConfigError(f"{name} is {ends}: give a lower and an upper end above 0")

    def training(self, chosen: dict[str, Any], out: str, features: str = "auto") -> TrainConfig:
        """The configuration of one trial."""
        return TrainConfig(
            store=self.store,
            features=features,
            out=out,
            backbone=self.backbone,
            weights=self.weights,
            adapter=self.adapter,  # type: ignore[arg-type]
            site=self.site,
            workers=self.workers,
            epochs=self.epochs,
            checkpoint_every_epochs=max(1, self.epochs // 4),
            seed=self.seed,
            **chosen,
        )


def search(config: TuneConfig) -> dict[str, Any]:
    """Run the search and write ``trials.csv`` and ``best.yaml``.

    Returns:
        What the summary says: trials by end, and the best one.

    Raises:
        MolreError: the store, backbone or adapter does not fit; no trial finished.
    """
    store = Store.open(config.store or "")
    pairs = affordable(config, store.grid)
    first = config.training({"experts": pairs[0][0], "rank": pairs[0][1]}, config.out)
    features = "auto"
    if first.cached:
        embedded = EmbedConfig(
            store=first.store or "", backbone=config.backbone, weights=config.weights, out=first.features_root
        )
        features = embed(embedded).uri
    results = _tuner(config, pairs, features).fit()
    table = _table(results, pairs)
    out = Location.of(config.out)
    (out / TRIALS).write_bytes(table.to_csv(index=False).encode())
    finished = table[table["score"].notna()]
    if finished.empty:
        raise ConfigError(f"no trial finished: {_first_error(results)}")
    best = finished.iloc[int(finished["score"].to_numpy().argmax())]
    chosen = {key: best[key].item() for key in ("experts", "rank", "learning_rate", "temperature")}
    (out / BEST).write_bytes(_best_yaml(config, chosen))
    return {
        "trials": len(table),
        "finished": int((table["status"] == "TERMINATED").sum()),
        "best": {**chosen, "score": float(best["score"])},
        "best_config": (out / BEST).uri,
    }


def affordable(config: TuneConfig, grid: Grid) -> list[tuple[int, int]]:
    """The pairs of experts and rank that stay within the budget.

    Raises:
        ConfigError: none does.
    """
    found = []
    for experts in config.experts:
        for rank in config.rank:
            try:
                make(config.training({"experts": experts, "rank": rank}, config.out), grid, cached=_cheap(config))
            except ConfigError as error:
                refusal = error
            else:
                found.append((experts, rank))
    if not found:
        raise refusal
    return found


def _cheap(config: TuneConfig) -> bool:
    """Whether the budget can be computed without building the backbone."""
    return config.site == "feature" and config.adapter != "full"


def _tuner(config: TuneConfig, pairs: list[tuple[int, int]], features: str) -> tune.Tuner:
    concurrent = config.concurrent or max(1, offer().workers // config.workers)
    # A driver only waits for its workers: a whole CPU for it would starve them on a small machine.
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, config=config, pairs=pairs, features=features), {"CPU": 0.01}
    )
    where = f"{config.out}/{RUN}"
    if tune.Tuner.can_restore(where):
        return tune.Tuner.restore(where, trainable=trainable, resume_unfinished=True, restart_errored=True)
    space = {
        "pair": tune.choice(list(range(len(pairs)))),
        "learning_rate": tune.loguniform(*config.learning_rate),
        "temperature": tune.loguniform(*config.temperature),
    }
    algorithm = ConcurrencyLimiter(OptunaSearch(metric=SCORE, mode="max", seed=config.seed), max_concurrent=concurrent)
    scheduler = ASHAScheduler(
        time_attr="epoch", metric=SCORE, mode="max", max_t=config.epochs, grace_period=max(1, config.epochs // 2)
    )
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=config.trials, search_alg=algorithm, scheduler=scheduler, max_concurrent_trials=concurrent
        ),
        run_config=tune.RunConfig(name=RUN, storage_path=config.out, verbose=1),
    )


def run_trial(chosen: dict[str, Any], config: TuneConfig, pairs: list[tuple[int, int]], features: str) -> None:
    """One trial: a training of its own, whose scores reach Tune as they are reported."""
    experts, rank = pairs[chosen["pair"]]
    settings = {
        "experts": experts,
        "rank": rank,
        "learning_rate": chosen["learning_rate"],
        "temperature": chosen["temperature"],
    }
    out = f"{config.out}/trials/{tune.get_context().get_trial_id()}"
    fit(config.training(settings, out, features), callbacks=[TuneReportCallback()])


def _table(results: tune.ResultGrid, pairs: list[tuple[int, int]]) -> pd.DataFrame:
    rows = []
    for result in [results[at] for at in range(len(results))]:
        config, metrics = result.config or {}, result.metrics or {}
        experts, rank = pairs[config["pair"]]
        score = metrics.get(SCORE)
        rows.append(
            {
                "trial": metrics.get("trial_id", ""),
                "experts": experts,
                "rank": rank,
                "learning_rate": config["learning_rate"],
                "temperature": config["temperature"],
                "score": math.nan if score is None else score,
                "loss": metrics.get("loss"),
                "epochs": metrics.get("epoch"),
                "seconds": metrics.get("time_total_s"),
                "status": "ERROR" if result.error else "TERMINATED",
            }
        )
    return pd.DataFrame(rows)


def _first_error(results: tune.ResultGrid) -> str:
    return next((" ".join(str(error).split())[-300:] for error in results.errors), "see the trials' logs")


def _best_yaml(config: TuneConfig, chosen: dict[str, Any]) -> bytes:
    """A configuration for jobs/train.py that trains the best trial's settings in full."""
    saved = dataclasses.asdict(config.training(chosen, f"{config.out}/best"))
    kept = ("store", "out", "backbone", "weights", "adapter", "site", "epochs", "seed", *chosen)
    return yaml.safe_dump({key: saved[key] for key in kept}, sort_keys=False).encode()

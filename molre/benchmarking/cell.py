"""One cell of the benchmark: a backbone with an adapter, trained with a seed and scored on the test split."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import Any

from molre.adapters import AdapterConfig
from molre.adapters.attachment import planned_for
from molre.backbones import outline, spec_named
from molre.benchmarking.config import BenchmarkConfig
from molre.errors import ConfigError
from molre.evaluation.run import PREDICTIONS, REPORT, evaluate
from molre.evaluation.scores import Scores, from_parquet
from molre.location import Location
from molre.training.config import TrainConfig
from molre.training.run import train

DONE = "done.json"
"""File of a cell that is complete: its settings, and what its training told."""

KEPT = ("store", "backbone", "adapter", "site", "seed", "epochs", "experts", "rank", "alpha", "learning_rate")
"""Settings that a complete cell must share with the benchmark that takes it up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A backbone with an adapter and a seed.

    Attributes:
        backbone: its name.
        adapter: kind of adapter.
        seed: of the training.
        training: the configuration of its training.
    """

    backbone: str
    adapter: str
    seed: int
    training: TrainConfig

    @property
    def name(self) -> str:
        """As it is told."""
        return f"{self.backbone}, {self.adapter}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a complete cell left.

    Attributes:
        cell: whose it is.
        facts: what its training told: ``added_parameters``, ``added_fraction``, ``train_s``, ``evaluate_s``.
        scores: its predictions on the test split.
        experts: use of the experts on the test split, by site, as ``report.json`` holds it.
    """

    cell: Cell
    facts: dict[str, Any]
    scores: Scores
    experts: list[dict[str, Any]]


def cells(config: BenchmarkConfig) -> list[Cell]:
    """Every cell of a benchmark, seeds innermost.

    Raises:
        ConfigError: a backbone or adapter is unknown, or does not fit its budget.
    """
    found = []
    for backbone in config.backbones:
        for adapter in config.adapters:
            if adapter == "full" and _large(backbone, config.full_below):
                print(f"note: {backbone} is left out for full: it is above --full-below", flush=True)
                continue
            rank = _rank(config, backbone, adapter)
            for seed in range(config.seeds):
                training = _training(config, backbone, adapter, seed, rank)
                found.append(Cell(backbone=backbone, adapter=adapter, seed=seed, training=training))
    return found


def result(cell: Cell) -> Result | None:
    """What the cell left, or None where it is not complete.

    Raises:
        ConfigError: it was made with other settings.
    """
    out = Location.of(cell.training.out)
    try:
        done = json.loads((out / DONE).read_bytes())
    except FileNotFoundError:
        return None
    for name, value in _settings(cell).items():
        if done["settings"][name] != value:
            raise ConfigError(
                f"{out} was made with {name.replace('_', ' ')} {done['settings'][name]}, now {value}: "
                "choose another --out"
            )
    report = json.loads((out / REPORT).read_bytes())
    scores = from_parquet((out / PREDICTIONS).read_bytes())
    return Result(cell=cell, facts=done["facts"], scores=scores, experts=report["experts"])


def complete(cell: Cell) -> None:
    """Train and evaluate the cell; a training that was stopped goes on.

    Raises:
        MolreError: the store does not fit, or the training cannot go on.
    """
    out, begun = Location.of(cell.training.out), time.monotonic()
    told = train(cell.training)
    trained = time.monotonic()
    evaluate(told["bundle"], cell.training.store or "", "test", out.uri, bootstrap=0, seed=cell.seed)
    facts = {name: told["adapter"][name] for name in ("added_parameters", "added_fraction")}
    facts |= {"train_s": round(trained - begun, 2), "evaluate_s": round(time.monotonic() - trained, 2)}
    (out / DONE).write_bytes(json.dumps({"settings": _settings(cell), "facts": facts}, indent=2).encode())


def _settings(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell.training, name) for name in KEPT}


def _training(config: BenchmarkConfig, backbone: str, adapter: str, seed: int, rank: int | None) -> TrainConfig:
    training = TrainConfig(
        store=config.store,
        out=f"{config.out}/{backbone}/{adapter}/seed-{seed}",
        backbone=backbone,
        adapter=adapter,  # type: ignore[arg-type]
        site=config.site,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        experts=config.experts,
        rank=rank,
        alpha=config.alpha,
        workers=config.workers,
        seed=seed,
    )
    # All cells that need nothing else of a backbone share its features.
    return dataclasses.replace(training, features=f"{config.out}/features") if training.cacheable else training


def _rank(config: BenchmarkConfig, backbone: str, adapter: str) -> int | None:
    """The rank that gives lora and mlp as many parameters as molre has, as near below as whole ranks allow.

    LoRA's own default is MoLRE's rank times its experts, which leaves out what the router adds.
    """
    if adapter == "molre":
        return config.rank
    if adapter not in ("lora", "mlp"):
        return None
    ours = AdapterConfig(kind="molre", site=config.site, experts=config.experts, rank=config.rank, alpha=config.alpha)
    planned = planned_for(outline(backbone), ours)
    return max(1, planned.added // sum(form.each for form in planned.forms.values()))


def _large(backbone: str, limit: float) -> bool:
    return (spec_named(backbone).parameters or 0) > limit

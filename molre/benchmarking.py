"""The paper's table for the user's data: every backbone with every adapter, over seeds, on the test split."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from molre.errors import ConfigError
from molre.evaluation.run import REPORT, evaluate
from molre.location import Location, home, place
from molre.training.config import TrainConfig
from molre.training.run import train

RESULTS = "results.csv"
TABLE = "table.md"
EXCELLENT = 0.90
"""AUC from which the paper counts a finding as excellent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig:
    """Train and evaluate every backbone with every adapter and make one table of it."""

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    out: str = field(default_factory=lambda: str(home() / "benchmark"))
    """Folder or URI of the result; runs that are complete there are not repeated."""
    backbones: tuple[str, ...] = ("dinov3-tiny",)
    """Names in the registry of backbones."""
    adapters: tuple[str, ...] = ("none", "lora", "mlp", "molre")
    """Kinds of adapter."""
    site: str = "feature"
    """Where the adapters sit, as jobs/train.py takes it."""
    seeds: int = 3
    """Runs of each pair, with seeds 0, 1, 2 and so on."""
    epochs: int = 40
    """Passes over the training split a run."""
    workers: int = 2
    """Ray Train workers a run."""
    bootstrap: int = 1000
    """Bootstrap resamples of each run's intervals."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", place(self.out))
        if self.store is not None:
            object.__setattr__(self, "store", place(self.store))
        if self.seeds < 1:
            raise ConfigError(f"seeds is {self.seeds}: it must be at least 1")

    def training(self, backbone: str, adapter: str, seed: int) -> TrainConfig:
        """The configuration of one run."""
        config = TrainConfig(
            store=self.store,
            out=f"{self.out}/{backbone}/{adapter}/seed-{seed}",
            backbone=backbone,
            adapter=adapter,  # type: ignore[arg-type]
            site=self.site,
            epochs=self.epochs,
            workers=self.workers,
            seed=seed,
        )
        # All runs that need nothing else of a backbone share its features.
        return replace(config, features=f"{self.out}/features") if config.cacheable else config


def benchmark(config: BenchmarkConfig) -> dict[str, Any]:
    """Run what is missing, then write ``results.csv`` (a row a run) and ``table.md`` (a row a pair).

    Raises:
        MolreError: the store, a backbone or an adapter does not fit.
    """
    runs = [_run(config, *pair) for pair in _pairs(config)]
    out, results = Location.of(config.out), pd.DataFrame(runs)
    (out / RESULTS).write_bytes(results.to_csv(index=False).encode())
    rows = summarise(results)
    (out / TABLE).write_bytes(markdown(rows).encode())
    return {"runs": len(runs), "rows": rows, "table": (out / TABLE).uri}


def _pairs(config: BenchmarkConfig) -> list[tuple[str, str, int]]:
    for adapter in config.adapters:  # a wrong name is found before the first hour is spent
        for backbone in config.backbones:
            config.training(backbone, adapter, 0)
    return [(b, a, seed) for b in config.backbones for a in config.adapters for seed in range(config.seeds)]


def _run(config: BenchmarkConfig, backbone: str, adapter: str, seed: int) -> dict[str, Any]:
    training = config.training(backbone, adapter, seed)
    out = Location.of(training.out)
    print(f"{backbone}, {adapter}, seed {seed}", flush=True)
    if not (out / "done.json").exists():
        told = train(training)
        evaluate(told["bundle"], config.store or "", "test", out.uri, bootstrap=config.bootstrap, seed=seed)
        (out / "done.json").write_bytes(json.dumps(told["adapter"]).encode())
    facts, report = json.loads((out / "done.json").read_bytes()), json.loads((out / REPORT).read_bytes())
    areas = [row["auc"]["value"] for row in report["findings"] if row["auc"]["value"] is not None]
    return {
        "backbone": backbone,
        "adapter": adapter,
        "seed": seed,
        **{f"auc_{end}" if end != "value" else "auc": report["macro"]["auc"][end] for end in ("value", "low", "high")},
        "findings": len(areas),
        "excellent": sum(area >= EXCELLENT for area in areas),
        "added_parameters": facts["added_parameters"],
        "added_fraction": facts["added_fraction"],
    }


def summarise(results: pd.DataFrame) -> list[dict[str, Any]]:
    """A row a backbone and adapter: mean over seeds, spread between seeds, mean interval, gain over ``none``."""
    rows: list[dict[str, Any]] = []
    for (backbone, adapter), runs in results.groupby(["backbone", "adapter"], sort=False):
        base = results[(results["backbone"] == backbone) & (results["adapter"] == "none")]["auc"]
        mean = float(runs["auc"].mean())
        rows.append(
            {
                "backbone": backbone,
                "adapter": adapter,
                "auc": mean,
                "low": float(runs["auc_low"].mean()),
                "high": float(runs["auc_high"].mean()),
                "seed_sd": float(runs["auc"].std(ddof=1)) if len(runs) > 1 else None,
                "gain_over_none": mean - float(base.mean()) if len(base) else None,
                "excellent": float(runs["excellent"].mean()),
                "added_fraction": float(runs["added_fraction"].iloc[0]),
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table as a paper would print it."""
    head = "| backbone | adapter | added | mean AUC (95 % interval) | SD over seeds | gain over none | AUC >= 0.90 |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for row in rows:
        sd = "" if row["seed_sd"] is None else f"{row['seed_sd']:.3f}"
        gain = "" if row["gain_over_none"] is None else f"{row['gain_over_none']:+.3f}"
        area = f"{row['auc']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        cells = (
            row["backbone"],
            row["adapter"],
            f"{row['added_fraction']:.2%}",
            area,
            sd,
            gain,
            f"{row['excellent']:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"

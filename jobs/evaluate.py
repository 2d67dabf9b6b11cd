"""Evaluate a bundle on a split of a store: python jobs/evaluate.py --bundle DIR --store DIR --split test --out DIR."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from molre.embedded import default_bundle, default_store
from molre.errors import ConfigError
from molre.evaluation.report import print_table
from molre.evaluation.run import PAGE, PREDICTIONS, REPORT, evaluate
from molre.job import run
from molre.location import home, place


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Score every series of a split once; write report.json, report.html and predictions.parquet."""

    bundle: str | None = None
    """Path or URI of the bundle; without it, one trained on the embedded phantom cohort."""
    store: str | None = None
    """Path or URI of the store, on the bundle's grid; without it, the embedded phantom cohort."""
    split: Literal["train", "val", "test"] = "test"
    """Split to score."""
    out: str = field(default_factory=lambda: str(home() / "evaluation"))
    """Folder to write into, a path or URI."""
    bootstrap: int = 1000
    """Resamples of patients behind each 95 % interval; 1,000 make its ends stable to about a tenth of its width."""
    seed: int = 0
    """Seed of the resampling."""
    workers: int | None = None
    """Scorers at work; by default as many as the cluster has GPUs, or else CPUs."""
    remote_code: bool = False
    """Run code that comes with the backbone's weights, for the backbones that need it."""

    def __post_init__(self) -> None:
        if self.bootstrap < 0:
            raise ConfigError(f"bootstrap is {self.bootstrap}: it must be 0 or more resamples")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers is {self.workers}: it must be at least 1")


def main(config: Config) -> dict[str, Any]:
    """Evaluate, and say where the report is."""
    out = place(config.out)
    report = evaluate(
        place(config.bundle) if config.bundle else default_bundle(),
        place(config.store) if config.store else default_store(),
        config.split,
        out,
        bootstrap=config.bootstrap,
        seed=config.seed,
        workers=config.workers,
        remote_code=config.remote_code,
    )
    print(print_table(report))
    print(f"report: {out}/{PAGE}", flush=True)
    return {
        "metrics": {config.split: {"mean_auc": report["macro"]["auc"]["value"], "macro": report["macro"]}},
        "evaluated": report["evaluated"],
        "files": [f"{out}/{name}" for name in (REPORT, PAGE, PREDICTIONS)],
    }


if __name__ == "__main__":
    run(main, Config)

"""Fine-tune a backbone on a store; with no flags, on the embedded phantom cohort, from DICOM files to a bundle."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from molre.embedded import default_store
from molre.evaluation.report import print_table
from molre.evaluation.run import evaluate
from molre.job import run
from molre.location import Location
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.run import train
from molre.training.telling import in_short
from molre.training.tracking import added_later


def main(config: TrainConfig) -> dict[str, Any]:
    """Train, evaluate, and say where everything is."""
    begun = time.monotonic()
    store = config.store or default_store()
    config = dataclasses.replace(config, store=store)
    told = train(config)
    if config.evaluate and len(Store.open(store).indices("test")):
        out = (Location.of(config.out) / "evaluation").uri
        report = evaluate(
            told["bundle"],
            store,
            "test",
            out,
            bootstrap=config.bootstrap,
            seed=config.seed,
            remote_code=config.remote_code,
        )
        told["metrics"]["test"] = {"macro": report["macro"]}
        told["files"]["report"] = f"{out}/report.html"
        print(print_table(report))
        added_later(config, told)
    print(in_short(told, time.monotonic() - begun))
    return told


if __name__ == "__main__":
    run(main, TrainConfig)

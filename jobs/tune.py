"""Search the adapter's hyper-parameters by trainings on a store, and hold the best against the default settings."""

from __future__ import annotations

import dataclasses
from typing import Any

from molre.embedded import default_store
from molre.job import run
from molre.tuning import TuneConfig, search
from molre.tuning.heldout import sentence


def main(config: TuneConfig) -> dict[str, Any]:
    """Search, and say what was best."""
    told = search(dataclasses.replace(config, store=config.store or default_store()))
    print(f"best    {told['best']}")
    if told["test"]:
        print(sentence(told["test"]))
    for name, place in told["files"].items():
        print(f"{name:<11} {place}")
    print(f"train   python jobs/train.py --config {told['best_config']}")
    return told


if __name__ == "__main__":
    run(main, TuneConfig)

"""Pre-train a backbone without labels: with no flags the demo's small one, on phantoms of a seed of their own."""

from __future__ import annotations

import dataclasses
from typing import Any

from molre.embedded import pretraining_store
from molre.job import run
from molre.pretraining import PretrainConfig, pretrain


def main(config: PretrainConfig) -> dict[str, Any]:
    """Pre-train, and say where the weights are."""
    store = config.store or pretraining_store(config.studies)
    told = pretrain(dataclasses.replace(config, store=store))
    held = told["held_out"]
    for name, before in held["before"].items():
        print(f"{name:<8} held-out loss {before:.3f} before, {held['after'][name]:.3f} after")
    print(f"weights  {told['weights']}")
    print(f"use      python jobs/train.py --backbone {config.backbone} --weights {told['weights']}")
    return told


if __name__ == "__main__":
    run(main, PretrainConfig)

"""Pre-train the demo's small backbone on the tissues of phantoms of another seed; its weights come with molre."""

from __future__ import annotations

from typing import Any

from molre.job import run
from molre.pretraining import PretrainConfig, pretrain


def main(config: PretrainConfig) -> dict[str, Any]:
    """Pre-train, and say where the weights are."""
    told = pretrain(config)
    print(f"weights  {told['weights']}")
    print(f"use      python jobs/train.py --backbone {config.backbone} --weights {told['weights']}")
    return told


if __name__ == "__main__":
    run(main, PretrainConfig)

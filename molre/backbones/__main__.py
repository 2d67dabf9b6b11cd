"""``python -m molre.backbones``: the backbones, what they want and weigh, and how to get their weights."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from molre.backbones.listing import facts, listing
from molre.job import run


@dataclass(frozen=True, kw_only=True, slots=True)
class BackbonesConfig:
    """Print every backbone: input, size here and as published, licence, and how to get the weights."""

    json: bool = False
    """Print the facts as JSON."""


def main(config: BackbonesConfig) -> None:
    """Print the table, or the facts."""
    told = facts()
    print(json.dumps(told, indent=1) if config.json else listing(told), flush=True)


if __name__ == "__main__":
    sys.argv[0] = "python -m molre.backbones"  # what --help shows
    run(main, BackbonesConfig)

"""Make the paper's table for a store: every backbone with every adapter, over seeds."""

from __future__ import annotations

import dataclasses
from typing import Any

from molre.benchmarking import BenchmarkConfig, benchmark
from molre.embedded import default_store
from molre.job import run


def main(config: BenchmarkConfig) -> dict[str, Any]:
    """Run, and print the table."""
    told = benchmark(dataclasses.replace(config, store=config.store or default_store()))
    print(told.pop("markdown"))
    print(f"table    {told['table']}")
    print(f"account  {told['account']}")
    return told


if __name__ == "__main__":
    run(main, BenchmarkConfig)

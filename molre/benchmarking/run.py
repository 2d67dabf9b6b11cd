"""The benchmark from its cells to its files."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from molre.benchmarking.account import account
from molre.benchmarking.cell import Result, cells, complete, result
from molre.benchmarking.config import BenchmarkConfig
from molre.benchmarking.figure import png
from molre.benchmarking.table import Table, differences, frame, markdown, table
from molre.errors import ConfigError, MolreError
from molre.location import Location

RESULTS = "results.csv"
"""A row a cell."""

TABLE = "table"
"""The table, as ``.md``, ``.csv`` and ``.png``."""

ACCOUNT = "account.md"
"""The table with what it says: gains by reference, group and finding, and the experts' use."""

DIFFERENCES = "differences.csv"
"""A row a comparison and finding."""


def benchmark(config: BenchmarkConfig) -> dict[str, Any]:
    """Train and evaluate the cells that are missing, then write the table.

    Returns:
        What the summary says: cells, the table's rows, and where it is; ``markdown`` is the table as it is printed.

    Raises:
        MolreError: the store, a backbone or an adapter does not fit; what is in OUT was made with other settings.
    """
    wanted = cells(config)
    if not wanted:
        raise ConfigError("no cell is left: name another adapter than full, or a higher --full-below")
    found = {cell.name: result(cell) for cell in wanted}  # other settings are found before the first hour is spent
    kept = sum(each is not None for each in found.values())
    for number, cell in enumerate(wanted, start=1):
        if found[cell.name] is None:
            print(f"cell {number} of {len(wanted)}: {cell.name}", flush=True)
            complete(cell)
            found[cell.name] = result(cell)
    if kept:
        print(f"{kept} of {len(wanted)} cells were complete and kept", flush=True)
    results = [each for each in found.values() if each is not None]
    made = table(results, resamples=config.bootstrap)
    return {"cells": len(results), **_written(config, results, made)}


def _written(config: BenchmarkConfig, results: list[Result], made: Table) -> dict[str, Any]:
    out, told = Location.of(config.out), markdown(made, config.workers, config.price)
    rows = frame(made, config.workers, config.price)
    files = {
        RESULTS: _cells(results, made).to_csv(index=False).encode(),
        f"{TABLE}.md": told.encode(),
        f"{TABLE}.csv": rows.to_csv(index=False).encode(),
        f"{TABLE}.png": png(made),
        ACCOUNT: account(config, made, results).encode(),
        DIFFERENCES: differences(made).to_csv(index=False).encode(),
    }
    for name, content in files.items():
        try:
            (out / name).write_bytes(content)
        except OSError as error:
            raise MolreError(f"cannot write {name} to {out}: {error}; run the same command again") from None
    plain = json.loads(rows.to_json(orient="records"))
    where = {"table": (out / f"{TABLE}.md").uri, "account": (out / ACCOUNT).uri}
    return {"rows": plain, **where, "markdown": told}


def _cells(results: list[Result], made: Table) -> pd.DataFrame:
    areas = {(row.backbone, row.adapter): row.areas for row in made.rows}
    return pd.DataFrame(
        [
            {
                "backbone": each.cell.backbone,
                "adapter": each.cell.adapter,
                "seed": each.cell.seed,
                "auc": areas[each.cell.backbone, each.cell.adapter].seeds[each.cell.seed, list(made.findings)].mean(),
                "auc_common": areas[each.cell.backbone, each.cell.adapter]
                .seeds[each.cell.seed, list(made.common)]
                .mean(),
                **each.facts,
            }
            for each in results
        ]
    )

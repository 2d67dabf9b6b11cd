"""``python -m molre.phantom --out FOLDER``: a sheet of examples for each group of findings, and the table as a page."""

from __future__ import annotations

import functools
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from molre.errors import MolreError
from molre.findings import GROUPS, group_of
from molre.job import EXIT_USER_ERROR, one_line, parse
from molre.phantom.config import CohortConfig
from molre.phantom.listing import listing
from molre.phantom.sheet import draw_sheet, example
from molre.phantom.table import entries


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetConfig:
    """Draw one clear example of every finding, beside the same head without it, and list the table of findings."""

    out: str = "sheets"
    """Folder for the pictures, one a group, and the page FINDINGS.md."""
    seed: int = 0
    """Seed of the heads."""
    matrix_px: int = 288
    """Rows and columns of a slice."""
    processes: int = 2
    """Processes that draw."""


def main(config: SheetConfig) -> None:
    """Draw the sheets and write the page."""
    cohort = CohortConfig(seed=config.seed, matrix_px=config.matrix_px, tilted_fraction=0.0)
    out = Path(config.out)
    drawn = [key for key, entry in entries().items() if entry.prevalence or entry.shown_by]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(config.processes, mp_context=context) as pool:
        shown = dict(zip(drawn, pool.map(functools.partial(example, config=cohort), drawn), strict=True))
    for group in GROUPS:
        print(draw_sheet([shown[key] for key in drawn if group_of(key) == group], out / f"{group}.jpg"), flush=True)
    (out / "FINDINGS.md").write_text(listing(), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(parse(SheetConfig, sys.argv[1:]))
    except MolreError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)

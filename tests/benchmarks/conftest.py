"""What the benchmarks share: a printer of tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))  # for two_processes

Printer = Callable[[str, Sequence[str], Sequence[Sequence[str]]], None]


def aligned(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as Markdown whose columns line up: the first to the left, the others to the right."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    texts = [_line(cells, widths) for cells in (lines[0], rule, *lines[1:])]
    return "\n".join([f"\n### {title}\n", *texts, ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    others = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return f"| {' | '.join([cells[0].ljust(widths[0]), *others])} |"


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Printer:
    """Prints a table of results, whatever pytest captures, and appends it to the file named by ``MOLRE_BENCH_OUT``."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def printed(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        text = aligned(title, header, rows)
        with capture.global_and_fixture_disabled():
            print(text, flush=True)
        place = os.environ.get("MOLRE_BENCH_OUT")
        if place:
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    return printed

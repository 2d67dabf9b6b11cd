"""How figures and tables are written on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any


def text(value: object) -> str:
    """A value with what HTML would read as markup escaped."""
    return escape(str(value))


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def span(interval: Mapping[str, Any], digits: int = 3) -> str:
    """The ends of an interval, or nothing where there is none."""
    return "" if interval["low"] is None else f"{interval['low']:.{digits}f} to {interval['high']:.{digits}f}"


def table(head: Iterable[str], rows: Iterable[str], *, attributes: str = "") -> str:
    """A table that scrolls by itself where the window is narrow."""
    opening = f"<table {attributes}>" if attributes else "<table>"
    inside = f"<thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll" tabindex="0">{opening}{inside}</table></div>'


def heads(names: Iterable[str]) -> list[str]:
    """Cells of a table's head."""
    return [f'<th scope="col">{name}</th>' for name in names]


def row(cells: Iterable[str], kind: str = "") -> str:
    """A row of a table."""
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    return f"{opening}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def backbone_and_adapter(subject: Mapping[str, Any]) -> str:
    """What was evaluated, in a line."""
    return f"{subject['backbone']} backbone with {adapter(subject)}, {subject['grid']} grid, {subject['split']} split"


def adapter(subject: Mapping[str, Any]) -> str:
    """The adapter and where it sits."""
    return "no adapter" if subject["adapter"] == "none" else f"{subject['adapter']} at {subject['site']}"

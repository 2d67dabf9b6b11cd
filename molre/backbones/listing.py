"""The facts about every backbone, as plain values and as text for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TypedDict

from molre.backbones.backbone import BackboneSpec
from molre.backbones.registry import BACKBONES, outline

_COLUMNS = ("name", "dims", "width", "published", "built", "difference", "tensors", "offline", "input")
_RIGHT = frozenset({"width", "published", "built", "difference", "tensors"})
_COUNT = re.compile(r"([\d.,]+)(M?)")
_LINE = 118
"""Characters of a line of text; the table's own lines are shorter."""


class Facts(TypedDict):
    """What is told of a backbone.

    Attributes:
        name: what ``--backbone`` takes.
        title: what it is.
        dims: 2 where it reads slices, 3 where it reads volumes.
        input: what it wants to be fed.
        width: length of its feature vector.
        published: parameters that its authors state.
        built: parameters of the network as it is built here; None where remote code alone knows.
        count_source: where the published count stands, and what any difference is.
        tensors: tensors that a checkpoint has to give; None where remote code alone knows.
        forward_mib: memory of one slice or volume in a frozen forward pass.
        offline: whether it can be built with random weights and no network.
        packaged: whether weights come with molre.
        licence: of the published weights.
        access: what a user has to do to get them.
        hub_id: where they are published, if on the hub.
        revision: the commit that is pinned, if one is.
    """

    name: str
    title: str
    dims: int
    input: str
    width: int
    published: str
    built: int | None
    difference: str | None
    count_source: str
    tensors: int | None
    forward_mib: float
    offline: bool
    packaged: bool
    licence: str
    access: str
    hub_id: str | None
    revision: str | None


def facts() -> list[Facts]:
    """Every backbone of the registry; the networks are counted on outlines, without weights."""
    return [_facts(spec) for spec in BACKBONES.values()]


def _facts(spec: BackboneSpec) -> Facts:
    network = None if spec.remote_code else outline(spec.name)
    built = None if network is None else sum(parameter.numel() for parameter in network.parameters())
    return Facts(
        name=spec.name,
        title=spec.title,
        dims=spec.dims,
        input=spec.input.wish,
        width=spec.width,
        published=spec.published,
        built=built,
        difference=None if built is None else _difference(built, spec.published),
        count_source=spec.count_source,
        tensors=None if network is None else len(network.state_dict()),
        forward_mib=spec.forward_mib,
        offline=not spec.remote_code,
        packaged=spec.packaged is not None and spec.packaged.exists(),
        licence=spec.licence,
        access=spec.access,
        hub_id=spec.hub_id,
        revision=spec.revision,
    )


def _difference(built: int, published: str) -> str:
    """How much more or less is built than a count says that may be rounded to millions."""
    said = _COUNT.fullmatch(published)
    assert said is not None, f"a published count reads as 86M or 85,660,416, not as {published!r}"
    stated = float(said[1].replace(",", "")) * (1e6 if said[2] else 1)
    return "none" if built == stated else f"{built / stated - 1:+.1%}"


def listing(told: Sequence[Facts]) -> str:
    """A table of the figures, then a paragraph a backbone."""
    return "\n".join([*_table(told), *(line for row in told for line in ("", *_paragraph(row)))])


def _table(told: Sequence[Facts]) -> Iterator[str]:
    rows = [{column: _cell(row, column) for column in _COLUMNS} for row in told]
    widths = {column: max(len(column), *(len(row[column]) for row in rows)) for column in _COLUMNS}
    for row in ({column: column for column in _COLUMNS}, *rows):
        cells = (row[c].rjust(widths[c]) if c in _RIGHT else row[c].ljust(widths[c]) for c in _COLUMNS)
        yield "  ".join(cells).rstrip()


def _cell(row: Facts, column: str) -> str:
    value = dict(row)[column]
    if column == "dims":
        return f"{value}D"
    if value is None:
        return "remote code"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _paragraph(row: Facts) -> Iterator[str]:
    yield row["name"]
    yield from _wrapped("what", row["title"])
    yield from _wrapped("count", f"{row['published']} published: {row['count_source']}")
    yield from _wrapped("memory", f"{row['forward_mib']:g} MiB a {'slice' if row['dims'] == 2 else 'volume'}")
    yield from _wrapped("licence", row["licence"])
    yield from _wrapped("access", row["access"])
    if row["hub_id"]:
        yield from _wrapped("hub", f"{row['hub_id']}@{row['revision'] or '(none pinned)'}")
    if not row["offline"]:
        yield from _wrapped("offline", "not without its weights: the architecture is code that comes with them")
    elif row["packaged"]:
        yield from _wrapped("offline", "with its packaged weights, or random ones")
    else:
        yield from _wrapped("offline", "with random weights, or a local copy of its own")


def _wrapped(label: str, text: str) -> list[str]:
    start = f"  {label:<9}"
    return textwrap.wrap(
        text, _LINE, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip

"""``python -m molre.adapters --backbone NAME``: what an adapter adds, layer group by layer group, without weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from molre.adapters.attachment import planned_for
from molre.adapters.budget import Plan
from molre.adapters.config import AdapterConfig, Gate
from molre.adapters.layer import Form
from molre.adapters.sites import form_of
from molre.backbones import outline
from molre.job import run


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetConfig:
    """Count the parameters that an adapter adds to a backbone. No weights are needed."""

    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones."""
    adapter: Literal["lora", "mlp", "molre"] = "molre"
    """Kind of adapter."""
    site: str = "feature"
    """Where the adapter sits: feature, last_block, attention, or a regular expression over module names."""
    experts: int = 6
    """Number of experts K (paper: 6)."""
    rank: int | None = None
    """Rank r of each expert; without it the largest within the budget, and at most the paper's 8 without a budget."""
    router_width: int | None = None
    """Hidden units of the router; without it 8 a rank up to 64."""
    gate: Gate = "auto"
    """What the router decides on: slice, volume, token, or auto, a slice in 2D and a volume in 3D."""
    budget: float | None = None
    """Largest added fraction of the backbone's parameters; without it the paper's 0.5 %."""
    over_budget: bool = False
    """Count an adapter above the budget too."""

    @property
    def adapter_config(self) -> AdapterConfig:
        """The adapter's own configuration."""
        return AdapterConfig(
            kind=self.adapter,
            site=self.site,
            experts=self.experts,
            rank=self.rank,
            router_width=self.router_width,
            gate=self.gate,
            budget=self.budget,
            over_budget=self.over_budget,
        )


def main(config: BudgetConfig) -> None:
    """Print the count."""
    print(listing(planned_for(outline(config.backbone), config.adapter_config), config.backbone))


def listing(planned: Plan, backbone: str) -> str:
    """The plan as a table: a row a group of layers that differ in nothing but the number of their block."""
    config = planned.config
    size = f"rank {config.rank}"
    if config.kind == "molre":
        size = f"{config.experts} experts of rank {config.rank}"
        size += f", router width {config.router_width}" if config.experts > 1 else ", no router"
    rows = [("layers", "each", "in -> out", "parameters", "name"), *_groups(planned)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    total = f"{planned.added:,} of {planned.backbone_parameters:,} parameters ({planned.fraction:.4%})"
    allowed = f"budget {config.allowed:.2%}, {int(config.allowed * planned.backbone_parameters):,}"
    return "\n".join([f"{config.kind} on {backbone}: {size}", *lines, f"adds {total}; {allowed}"])


def _groups(planned: Plan) -> Iterator[Sequence[str]]:
    def key(name: str) -> tuple[str, Form, int]:
        return form_of(name), planned.forms[name], planned.parameters[name]

    first = {key(name): at for at, name in reversed(list(enumerate(planned.forms)))}
    for (pattern, form, each), names in groupby(sorted(planned.forms, key=lambda name: first[key(name)]), key):
        layers = len(list(names))
        yield f"{layers:,}", f"{each:,}", _shape(form), f"{layers * each:,}", pattern


def _shape(form: Form) -> str:
    kernel = f", kernel {'x'.join(map(str, form.kernel))}" if form.kernel else ""
    return f"{form.inputs} -> {form.outputs}{kernel}" + (f", {form.groups} groups" if form.groups > 1 else "")


if __name__ == "__main__":
    sys.argv[0] = "python -m molre.adapters"  # what --help shows
    run(main, BudgetConfig)

"""The benchmark in words: what was done, what MoLRE gained over what stands beside it, where, and by which experts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from molre.benchmarking.cell import Result
from molre.benchmarking.config import BenchmarkConfig
from molre.benchmarking.gains import Areas
from molre.benchmarking.table import Row, Table, markdown
from molre.benchmarking.words import counted_seeds, p_value, percent
from molre.evaluation.interval import Interval, figures
from molre.evaluation.measures import mean_interval
from molre.findings import FINDINGS, GROUPS
from molre.store import Store

OURS = "molre"
LEVEL = 0.05
"""Corrected p value below which a finding is named as one that an adapter changes."""

MOST = 5
"""Findings with the largest and smallest gains that are named."""


def account(config: BenchmarkConfig, made: Table, results: Sequence[Result]) -> str:
    """The whole account as Markdown."""
    rows = [row for row in made.rows if row.adapter == OURS]
    parts = [
        "# What the adapters gain\n",
        "\n".join(_subject(config, made)),
        markdown(made, config.workers, config.price),
        *("\n".join(_gains(row, made)) for row in rows),
        *("\n".join(_experts(row, results)) for row in rows),
        "\n".join(_command(config)),
    ]
    return "\n".join(parts)


def _subject(config: BenchmarkConfig, made: Table) -> Iterator[str]:
    store = Store.open(config.store or "")
    splits = ", ".join(f"{len(store.indices(name))} {name}" for name in ("train", "val", "test"))
    yield f"* Store: {store.rows} series of source {store.manifest.source} ({splits}), grid {store.grid.name}."
    yield f"* Backbones: {', '.join(config.backbones)}; adapters at the site {config.site}; {config.epochs} epochs."
    yield f"* Seeds of each cell: {made.seeds}; figures are means over them, on the test split."
    yield ""


def _gains(row: Row, made: Table) -> Iterator[str]:
    yield f"## {row.backbone}: gain of {OURS}\n"
    for name, found in row.gains.items():
        told = figures(found.macro, "+")
        verdict = _verdict(found.macro.low, found.macro.high)
        p = "" if found.p is None else f", {p_value(found.p)}"
        yield f"* over {name}: {told}{p}; ahead with {found.seed_wins} of {counted_seeds(made.seeds)}: **{verdict}**."
    yield ""
    yield from _groups(row, made)
    yield from _findings(row, made)


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "nothing can be said"
    if low > 0:
        return "a gain"
    return "a loss" if high < 0 else "no difference that these patients and seeds can show"


def _groups(row: Row, made: Table) -> Iterator[str]:
    names = list(row.gains)
    by_name = {other.adapter: other.areas for other in made.rows if other.backbone == row.backbone}
    yield f"| group of findings | findings | mean AUC | {' | '.join(f'gain over {name}' for name in names)} |"
    yield f"| --- | {' | '.join(['---:'] * (2 + len(names)))} |"
    for group in GROUPS:
        at = [place for place in made.findings if FINDINGS[place].group == group]
        if not at:
            continue
        cells = [figures(_difference(row, by_name[name], at), "+") for name in names]
        yield f"| {group.replace('_', ' ')} | {len(at)} | {row.areas.values[at].mean():.3f} | {' | '.join(cells)} |"
    yield ""


def _difference(row: Row, other: Areas, at: Sequence[int]) -> Interval:
    places = list(at)
    return mean_interval((row.areas.values - other.values)[places], (row.areas.draws - other.draws)[places])


def _findings(row: Row, made: Table) -> Iterator[str]:
    for name, found in row.gains.items():
        claimed = [at for at in made.tested if found.p_holm[at] < LEVEL]
        yield (
            f"Over {name}, of {len(made.tested)} findings with enough patients for a test of their own, "
            f"{len(claimed)} differ after Holm's correction" + (f": {_listed(row, name, claimed)}." if claimed else ".")
        )
        order = sorted(made.common, key=lambda at: -(found.findings[at].value or 0.0))
        if len(order) > 2 * MOST:
            yield f"Largest gains: {_listed(row, name, order[:MOST])}."
            yield f"Largest losses: {_listed(row, name, order[-MOST:][::-1])}."
        yield ""


def _listed(row: Row, name: str, places: Sequence[int]) -> str:
    found = row.gains[name].findings
    return "; ".join(f"{FINDINGS[at].name} {figures(found[at], '+')}" for at in places)


def _experts(row: Row, results: Sequence[Result]) -> Iterator[str]:
    mine = [each for each in results if (each.cell.backbone, each.cell.adapter) == (row.backbone, row.adapter)]
    used = [(each.cell.seed, site) for each in mine for site in each.experts]
    if not used:
        return
    yield f"## {row.backbone}: the experts\n"
    yield "| seed | site | experts | in use | entropy of a gate | share in which each expert leads |"
    yield "| ---: | --- | ---: | ---: | ---: | --- |"
    for seed, told in used:
        shares = ", ".join(percent(share) for share in told["dominant_share"])
        in_use = f"{told['effective_experts']:.2f} | {told['entropy']:.3f}"
        yield f"| {seed} | {told['site']} | {told['experts']} | {in_use} | {shares} |"
    count = used[0][1]["experts"]
    yield ""
    yield (
        f"In use are {row.effective:.2f} experts on average: 1 would be a router that has collapsed, {count} one that "
        "spreads its work evenly. An entropy of 1 is a gate that mixes all experts alike, so that they act as one."
    )
    yield ""


def _command(config: BenchmarkConfig) -> Iterator[str]:
    flags = [f"--seeds {config.seeds}", f"--epochs {config.epochs}", f"--site {config.site}"]
    flags += [f"--adapters {' '.join(config.adapters)}", f"--backbones {' '.join(config.backbones)}"]
    yield "## Again\n"
    yield f"    python jobs/benchmark.py {' '.join(flags)}"
    yield ""
    yield "and with `--store STORE` for a store of your own."

"""The benchmark's rows: a backbone with an adapter over all seeds, beside what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from molre.benchmarking.cell import Result
from molre.benchmarking.gains import Areas, Gain, areas, gain, with_cases
from molre.benchmarking.words import p_value
from molre.evaluation.interval import FEW, Interval, figures
from molre.evaluation.measures import COMMON
from molre.findings import FINDINGS, KEYS

REFERENCES = ("none", "lora", "mlp")
"""Adapters that the others are compared with."""

EXCELLENT = 0.90
"""AUC from which the paper counts a finding as excellent."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A backbone with an adapter.

    Attributes:
        backbone: its name.
        adapter: kind of adapter.
        facts: means over seeds of what the trainings told.
        areas: over seeds.
        auc: mean over the findings that have an area on the test split, with its interval.
        auc_common: mean over those with ``COMMON`` patients on either side.
        seed_sd: standard deviation of the mean area between seeds; None for a single seed.
        excellent: findings whose mean area over seeds is at least ``EXCELLENT``.
        gains: by reference, this less the reference.
        effective: experts in use, a mean over seeds and sites; None without a router.
    """

    backbone: str
    adapter: str
    facts: dict[str, float]
    areas: Areas
    auc: Interval
    auc_common: Interval
    seed_sd: float | None
    excellent: int
    gains: dict[str, Gain]
    effective: float | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows, and what they are over.

    Attributes:
        rows: in the order in which backbones and adapters were named.
        findings: positions of the findings with an area on the test split.
        common: those with ``COMMON`` patients on either side.
        tested: those whose differences are tested.
        patients: in the test split.
        seeds: of each row.
        resamples: behind every interval.
    """

    rows: tuple[Row, ...]
    findings: tuple[int, ...]
    common: tuple[int, ...]
    tested: tuple[int, ...]
    patients: int
    seeds: int
    resamples: int


def table(results: Sequence[Result], *, resamples: int) -> Table:
    """The table of complete cells.

    Args:
        results: of every cell, all scored on the same test split.
        resamples: of patients and seeds.

    Raises:
        ConfigError: cells were scored on different series or labels.
    """
    scores = results[0].scores
    members, common, tested = with_cases(scores, 1), with_cases(scores, COMMON), with_cases(scores, FEW)
    grouped: dict[tuple[str, str], list[Result]] = {}
    for each in results:
        grouped.setdefault((each.cell.backbone, each.cell.adapter), []).append(each)
    found = {pair: areas([each.scores for each in runs], resamples=resamples) for pair, runs in grouped.items()}
    rows = [_row(runs, found, members, common, tested) for runs in grouped.values()]
    return Table(
        rows=tuple(rows),
        findings=tuple(members),
        common=tuple(common),
        tested=tuple(tested),
        patients=len(set(scores.patients)),
        seeds=len(next(iter(grouped.values()))),
        resamples=resamples,
    )


def _row(
    runs: Sequence[Result],
    found: dict[tuple[str, str], Areas],
    members: Sequence[int],
    common: Sequence[int],
    tested: Sequence[int],
) -> Row:
    backbone, adapter = runs[0].cell.backbone, runs[0].cell.adapter
    mine = found[backbone, adapter]
    means = pd.Series(mine.seeds[:, list(members)].mean(axis=1))
    facts = pd.DataFrame([each.facts for each in runs]).mean()
    gains = {
        name: gain(mine, found[backbone, name], members, tested)
        for name in REFERENCES
        if adapter not in ("none", name) and (backbone, name) in found
    }
    experts = [site["effective_experts"] for each in runs for site in each.experts]
    return Row(
        backbone=backbone,
        adapter=adapter,
        facts={str(name): float(value) for name, value in facts.items()},
        areas=mine,
        auc=mine.mean(members),
        auc_common=mine.mean(common),
        seed_sd=float(means.std(ddof=1)) if len(runs) > 1 else None,
        excellent=int((mine.values[list(members)] >= EXCELLENT).sum()),
        gains=gains,
        effective=float(pd.Series(experts).mean()) if experts else None,
    )


def frame(made: Table, workers: int, price: float | None) -> pd.DataFrame:
    """The table as plain columns, as ``table.csv`` holds it."""
    return pd.DataFrame([_plain(row, workers, price) for row in made.rows])


def _plain(row: Row, workers: int, price: float | None) -> dict[str, Any]:
    hours = workers * row.facts["train_s"] / 3600
    plain = {
        "backbone": row.backbone,
        "adapter": row.adapter,
        "added_parameters": int(row.facts["added_parameters"]),
        "added_fraction": row.facts["added_fraction"],
        **_ends("auc", row.auc),
        "auc_seed_sd": row.seed_sd,
        **_ends("auc_common", row.auc_common),
        f"findings_auc_{EXCELLENT:.2f}": row.excellent,
        "effective_experts": row.effective,
        "train_s": row.facts["train_s"],
        "evaluate_s": row.facts["evaluate_s"],
        "worker_hours": hours,
        "cost": None if price is None else hours * price,
    }
    for name in REFERENCES:
        found = row.gains.get(name)
        plain |= _ends(f"gain_over_{name}", found.macro if found else Interval(value=None))
        plain |= {
            f"gain_over_{name}_p": found.p if found else None,
            f"seeds_ahead_of_{name}": found.seed_wins if found else None,
        }
    return plain


def _ends(name: str, interval: Interval) -> dict[str, float | None]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def differences(made: Table) -> pd.DataFrame:
    """A row a backbone, adapter, reference and finding, as ``differences.csv`` holds it."""
    rows = []
    for row in made.rows:
        by_name = {other.adapter: other for other in made.rows if other.backbone == row.backbone}
        for name, found in row.gains.items():
            for at in made.findings:
                rows.append(
                    {
                        "backbone": row.backbone,
                        "adapter": row.adapter,
                        "reference": name,
                        "finding": KEYS[at],
                        "group": FINDINGS[at].group,
                        "auc": row.areas.values[at],
                        "auc_reference": by_name[name].areas.values[at],
                        **_ends("gain", found.findings[at]),
                        "p": found.p_findings[at],
                        "p_holm": found.p_holm[at],
                        "p_fdr": found.p_fdr[at],
                    }
                )
    return pd.DataFrame(rows)


def markdown(made: Table, workers: int, price: float | None) -> str:
    """The table as a paper would print it, with what its reader must know beneath it."""
    references = [name for name in REFERENCES if any(name in row.gains for row in made.rows)]
    head = ["backbone", "adapter", "added parameters", "mean AUC (95 % interval)"]
    head += [f"gain over {name} (95 % interval), p" for name in references]
    head += [f"AUC ≥ {EXCELLENT:.2f}", "training", "worker hours" if price is None else "cost"]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for row in made.rows:
        hours = workers * row.facts["train_s"] / 3600
        cells = [row.backbone, row.adapter]
        cells += [f"{row.facts['added_parameters']:,.0f} ({row.facts['added_fraction']:.3%})", figures(row.auc)]
        cells += [_gain(row.gains.get(name)) for name in references]
        cells += [str(row.excellent), f"{row.facts['train_s']:.0f} s"]
        lines.append([*cells, f"{hours:.3f}" if price is None else f"{hours * price:.2f}"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n\n" + _legend(made)


def _gain(found: Gain | None) -> str:
    if found is None:
        return "–"
    return figures(found.macro, "+") + ("" if found.p is None else f", {p_value(found.p)}")


def _legend(made: Table) -> str:
    several = f"over {made.seeds} seeds" if made.seeds > 1 else "of one seed, so that nothing is known of its chance"
    return (
        f"Mean AUC over the {len(made.findings)} of {len(FINDINGS)} findings that have a positive and a negative in "
        f"the test split of {made.patients} patients, {several}. Intervals and p values: {made.resamples:,} draws of "
        "patients and seeds together; gains are paired by patient and seed, their p values not corrected for the "
        "number of comparisons. Added parameters: the adapter's alone; pooling and head are trained with each.\n"
    )

"""The report of one bundle on one split: every figure as plain values, and the short table for a terminal.

The page for people is drawn from these values alone (:mod:`molre.evaluation.page`), so ``report.json`` and
``report.html`` cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int16

from molre.calibration import Calibration
from molre.evaluation.curves import precision_recall, roc
from molre.evaluation.delong import delong_interval
from molre.evaluation.interval import LEVEL
from molre.evaluation.measures import METRICS, Measures, group_rows, macro_rows, measures
from molre.evaluation.misses import misses
from molre.evaluation.operating import operating_point
from molre.evaluation.reliability import Reliability, reliability
from molre.evaluation.scores import Scores
from molre.evaluation.subgroups import subgroups
from molre.evaluation.usage import by_finding, usage
from molre.findings import FINDINGS

_WORDS = {
    "infarction_ischemia": "Infarction and ischemia",
    "extracranial_sinus_orbit": "Extracranial, sinus, orbit",
    "postsurgical_devices": "Postsurgical and devices",
}
"""Groups whose keys do not read well as they stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What was evaluated, as the report states it.

    Attributes:
        bundle: where the bundle lies.
        bundle_sha: digest of its weights.
        made_with: version and commit of the molre that made it.
        store: where the store lies.
        source: the store's source, such as ``phantom`` or ``dicom``.
        split: the split that was scored.
        grid: name of the grid.
        backbone: name of the backbone.
        weights: where the backbone's weights come from, in words.
        adapter: kind of the adapter.
        site: where the adapter sits.
        added_parameters: parameters that the adapter added.
        added_fraction: the same over the backbone's parameters.
        provenance: what the bundle was trained on and how, as it holds it.
    """

    bundle: str
    bundle_sha: str
    made_with: str
    store: str
    source: str
    split: str
    grid: str
    backbone: str
    weights: str
    adapter: str
    site: str
    added_parameters: int
    added_fraction: float
    provenance: Mapping[str, Any] = field(default_factory=dict)


def build(
    scores: Scores,
    subject: Subject,
    *,
    thresholds: Mapping[str, float] | None = None,
    operating_points: Mapping[str, Mapping[str, float]] | None = None,
    calibration: Calibration | None = None,
    attributes: Mapping[str, Sequence[Any]] | None = None,
    gates: Mapping[str, Float32[np.ndarray, "series routed experts"]] | None = None,
    slices: Int16[np.ndarray, "series queries"] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every figure of the report, as values that JSON can hold.

    Args:
        scores: predictions with their labels.
        subject: what was evaluated.
        thresholds: the bundle's threshold by finding key, from which serving calls a finding present.
        operating_points: the bundle's thresholds by the name of an operating point, then by finding key.
        calibration: with which the bundle made the probabilities.
        attributes: by column of the store, a value a row, from which subgroups are made; without them there are none.
        gates: by adapter site, the gates of every series; none where the adapter has no router.
        slices: of every series the slice that pooling weighed most, by query.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.
    """
    found = measures(scores, resamples=bootstrap, seed=seed)
    return {
        "evaluated": asdict(subject) | scores.counts(),
        "bootstrap": {"resamples": bootstrap, "seed": seed, "unit": "patient", "level": LEVEL},
        "macro": macro_rows(found),
        "groups": group_rows(scores, found),
        "findings": [
            _finding(scores, found, at, thresholds or {}, operating_points or {}) for at in range(len(FINDINGS))
        ],
        "calibration": _calibration(reliability(scores.labels, scores.probabilities), calibration or Calibration()),
        "roc": roc(scores),
        "precision_recall": precision_recall(scores),
        "subgroups": [one.to_json() for one in subgroups(scores, attributes, resamples=bootstrap, seed=seed)]
        if attributes
        else [],
        "misses": [one.to_json() for one in misses(scores, slices)],
        "experts": [
            {"site": site, **usage(table).to_json(), "by_finding": by_finding(table, scores.labels)}
            for site, table in (gates or {}).items()
            if len(table)
        ],
    }


def _finding(
    scores: Scores,
    found: Measures,
    at: int,
    thresholds: Mapping[str, float],
    operating_points: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """The report's entry of one finding."""
    finding = FINDINGS[at]
    labels, probabilities = scores.labels[:, at], scores.probabilities[:, at]

    def point(chosen: Mapping[str, float]) -> dict[str, Any] | None:
        threshold = chosen.get(finding.key)
        if threshold is None:
            return None
        return {"value": threshold, **operating_point(labels, probabilities, threshold)}

    return (
        {"key": finding.key, "name": finding.name, "group": finding.group}
        | {metric: found.interval(metric, at).to_json() for metric in METRICS}
        | {
            "delong": delong_interval(labels, probabilities, scores.clusters).to_json(),
            "positives": int(found.positives[at]),
            "negatives": int(found.negatives[at]),
            "unknown": int((labels < 0).sum()),
            "threshold": point(thresholds),
            "operating_points": {name: point(chosen) for name, chosen in operating_points.items()},
        }
    )


def _calibration(curve: Reliability, applied: Calibration) -> dict[str, Any]:
    return {
        "applied": bool(applied.curves),
        "findings_by_fit": applied.counts(),
        "ece": curve.error,
        "predicted": _values(curve.predicted),
        "observed": _values(curve.observed),
        "count": [int(count) for count in curve.count],
    }


def _values(figures: Float64[np.ndarray, "n"]) -> list[float | None]:
    """Figures with None for NaN, which JSON has no word for."""
    return [float(figure) if np.isfinite(figure) else None for figure in figures]


def print_table(report: Mapping[str, Any]) -> str:
    """AUC by group of findings with its interval and counts, as lines for a terminal."""
    title = "group of findings"
    lines = [f"{title:<28}{'AUC':>6}  {'95 % interval':<15}{'findings':>9}{'positives':>11}{'series':>8}"]
    for row in report["groups"]:
        counted = f"{row['findings_with_auc']}/{row['findings']}"
        lines.append(
            f"{in_words(row['group']):<28}{_area(row['auc'])}{counted:>9}{row['positives']:>11}{row['positive_series']:>8}"
        )
    macro, evaluated = report["macro"], report["evaluated"]
    counted = f"{macro['findings']}/{len(report['findings'])}"
    positives = sum(row["positives"] for row in report["findings"])
    lines.append(f"{'mean over findings':<28}{_area(macro['auc'])}{counted:>9}{positives:>11}{evaluated['series']:>8}")
    common = macro["common"]
    title = f"  with {common['min_positives']} positives or more"
    lines.append(f"{title:<28}{_area(common['auc'])}{common['findings']:>9}")
    lines.append(
        "findings: with an AUC, of all. positives: known positive labels. series: with a positive of the group"
    )
    return "\n".join(lines)


def _area(auc: Mapping[str, Any]) -> str:
    """Value and interval of an AUC in 23 columns."""
    if auc["value"] is None:
        return f"{'–':>6}  {'undefined':<15}"
    interval = "" if auc["low"] is None else f"{auc['low']:.3f} to {auc['high']:.3f}"
    return f"{auc['value']:>6.3f}  {interval:<15}"


def in_words(group: str) -> str:
    """A group's name as people read it: ``mass_lesions`` becomes ``Mass lesions``."""
    words = group.replace("_", " ")
    return _WORDS.get(group, words[:1].upper() + words[1:])

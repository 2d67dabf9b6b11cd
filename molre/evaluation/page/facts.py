"""What was evaluated, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molre.evaluation.page.words import adapter, text
from molre.store import SPLITS


def facts(report: Mapping[str, Any]) -> str:
    """Where the figures come from, so that they can be had again."""
    subject, bootstrap = report["evaluated"], report["bootstrap"]
    facts = {
        "Bundle": subject["bundle"],
        "Bundle digest": subject["bundle_sha"],
        "Made with": f"molre {subject['made_with']}",
        "Store": f"{subject['store']} (source: {subject['source']})",
        "Split": subject["split"],
        "Patients, studies, series": f"{subject['patients']:,}, {subject['studies']:,}, {subject['series']:,}",
        "Grid": subject["grid"],
        "Backbone": subject["backbone"],
        "Backbone weights": subject["weights"],
        "Adapter": adapter(subject),
        "Added parameters": f"{subject['added_parameters']:,}, {100 * subject['added_fraction']:.3f} % of the backbone",
        "Calibration": _calibration(report["calibration"]),
        "Intervals": f"bootstrap, {bootstrap['resamples']:,} resamples of patients, seed {bootstrap['seed']}",
    }
    trained = subject["provenance"].get("training", {})
    return _table({**facts, **_training(subject["provenance"])}) + (_settings(trained) if trained else "")


def _table(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in facts.items())
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _training(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What the training was of; nothing where the bundle does not hold it."""
    told = {}
    if "store" in provenance:
        splits = provenance["store"]["counts"].get("splits", {})
        rows = ", ".join(f"{splits[split]:,} {split}" for split in SPLITS if split in splits)
        told["Trained on"] = f"a store of source {provenance['store']['source']}" + (f": {rows}" if rows else "")
    if "trained" in provenance:
        told["Trained"] = f"{provenance['trained']}, torch {provenance['torch']}"
    return told


def _settings(training: Mapping[str, Any]) -> str:
    """Every setting of the training job, folded away."""
    told = {name.replace("_", " "): "–" if value is None else value for name, value in training.items()}
    return f"<details><summary>Settings of the training</summary>{_table(told)}</details>"


def _calibration(found: Mapping[str, Any]) -> str:
    if not found["applied"]:
        return "none"
    by = found["findings_by_fit"]
    return f"own curve: {by['own']}, shared curve: {by['shared']}, none: {by['none']} findings"

"""The best settings and the default ones, trained in full and evaluated on studies that no trial has seen."""

from __future__ import annotations

from typing import Any

from molre.evaluation.run import evaluate
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.run import train
from molre.tuning.config import TuneConfig


def held_out(config: TuneConfig, best: TrainConfig, store: Store) -> dict[str, Any] | None:
    """Mean AUC of both on the test split, with their intervals; None where the split is empty."""
    if not len(store.indices("test")):
        return None
    runs = {"default": config.training({}, f"{config.out}/default"), "best": best}
    told: dict[str, Any] = {}
    for name, training in runs.items():
        print(f"training the {name} settings in full", flush=True)
        bundle, out = train(training)["bundle"], f"{training.out}/evaluation"
        report = evaluate(bundle, store.uri, "test", out, bootstrap=config.bootstrap, seed=config.seed)
        told[name] = report["macro"]["auc"]
    values = [told[name]["value"] for name in ("best", "default")]
    told["gain"] = None if None in values else values[0] - values[1]
    return told


def sentence(told: dict[str, Any]) -> str:
    """Both figures in words, and which is higher."""
    said = {name: _area(told[name]) for name in ("best", "default")}
    if told["gain"] is None:
        verdict = "no finding has both classes there"
    elif told["gain"] > 0:
        verdict = f"the best settings are {told['gain']:.3f} higher"
    else:
        verdict = f"the best settings do not beat the default ({told['gain']:+.3f})"
    return f"mean AUC of the test split: best {said['best']}, default {said['default']}; {verdict}"


def _area(auc: dict[str, Any]) -> str:
    if auc["value"] is None:
        return "undefined"
    if auc["low"] is None:
        return f"{auc['value']:.3f}"
    return f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})"

"""The best settings and the default ones, trained in full and evaluated on studies that no trial has seen."""

from __future__ import annotations

from typing import Any

from molre.evaluation.comparison import compare
from molre.evaluation.interval import Interval, figures
from molre.evaluation.run import PREDICTIONS, evaluate
from molre.evaluation.scores import Scores, from_parquet
from molre.location import Location
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.run import train
from molre.tuning.config import TuneConfig


def held_out(config: TuneConfig, best: TrainConfig, store: Store) -> dict[str, Any] | None:
    """Mean AUC of both on the test split and the gain, paired by patient; None where the split is empty."""
    if not len(store.indices("test")):
        return None
    runs = {"default": config.training({}, f"{config.out}/default"), "best": best}
    told, scores = dict[str, Any](), dict[str, Scores]()
    for name, training in runs.items():
        print(f"training the {name} settings in full", flush=True)
        bundle, out = train(training)["bundle"], f"{training.out}/evaluation"
        report = evaluate(bundle, store.uri, "test", out, bootstrap=config.bootstrap, seed=config.seed)
        told[name] = report["macro"]["auc"]
        scores[name] = from_parquet((Location.of(out) / PREDICTIONS).read_bytes())
    found = compare(scores["best"], scores["default"], resamples=config.bootstrap, seed=config.seed)
    return told | {"gain": found.macro.to_json()}


def sentence(told: dict[str, Any]) -> str:
    """Both figures in words, and whether the best settings are better, on the same patients."""
    said = {name: figures(Interval(**each), "+" if name == "gain" else "") for name, each in told.items()}
    value, low, high = (told["gain"][name] for name in ("value", "low", "high"))
    if value is None:
        verdict = "no finding has both classes there"
    elif value > 0 and (low is None or low > 0):
        verdict = f"the best settings gain {said['gain']}"
    elif high is not None and high < 0:
        verdict = f"the best settings are worse than the default, so the validation split misled: {said['gain']}"
    else:
        verdict = f"the best settings do not beat the default beyond chance: {said['gain']}"
    return f"mean AUC of the test split: best {said['best']}, default {said['default']}; {verdict}"

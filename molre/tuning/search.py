"""The search: Ray Tune runs what Optuna suggests, ASHA stops poor trials, and the best is held against the default."""

from __future__ import annotations

import dataclasses
from typing import Any

import optuna
import yaml
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from molre.cluster import offer
from molre.embedding import EmbedConfig, embed
from molre.errors import ConfigError
from molre.location import Location
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.validation import BEST
from molre.tuning import ledger
from molre.tuning.config import TuneConfig
from molre.tuning.heldout import held_out
from molre.tuning.ledger import Record
from molre.tuning.pictures import importance, parallel
from molre.tuning.progress import Progress
from molre.tuning.space import Space, space_of
from molre.tuning.table import best_of, table
from molre.tuning.trial import run_trial

RUN = "search"
"""Ray Tune's own folder, which nothing depends on."""

BEST_FILE = "best.yaml"
FILES = {"trials.csv": "trials", BEST_FILE: "best", "parallel.png": "parallel", "importance.png": "importance"}

HALVING = 2
"""Of the trials that reach a rung, one in so many goes on; Tune's 4 would stop most before their rate has fallen."""

FIRST_RUNG = 4
"""No trial is stopped before this part of its epochs (one in so many)."""


def search(config: TuneConfig) -> dict[str, Any]:
    """Run the search, or what is missing of it, and write what it found.

    Returns:
        What the summary says: trials by end, the best one, and how it and the default do on the test split.

    Raises:
        MolreError: the store, backbone or adapter does not fit; no trial finished.
    """
    store = Store.open(config.store or "")
    space = space_of(config, store.grid)
    ledger.claim(config)
    known = ledger.records(config.out)
    done = [each for each in known if each.status not in ledger.UNFINISHED]
    if known:
        print(f"going on with a search of which {len(done)} trials are done", flush=True)
    if len(done) < config.trials:
        _tuner(config, space, known, _features(config, space)).fit()
        known = ledger.records(config.out)
    best = best_of(known)
    if best is None:
        raise ConfigError(f"no trial finished: {next((each.error for each in known if each.error), 'see the logs')}")
    training = config.training(best.chosen, f"{config.out}/best")
    _write(config, space, known, training)
    ends = [each.status for each in known]
    out = Location.of(config.out)
    return {
        "trials": len(known),
        "ends": {status: ends.count(status) for status in sorted(set(ends))},
        "best": {"trial": best.number, "score": best.score, **best.chosen},
        "best_config": (out / BEST_FILE).uri,
        "files": {told: (out / name).uri for name, told in FILES.items()},
        "test": held_out(config, training, store) if config.evaluate else None,
    }


def _features(config: TuneConfig, space: Space) -> str:
    """Where the features are that the trials share, computed where they are missing."""
    for site in space.affordable:
        first = config.training({"site": site}, config.out)
        if first.cached:
            told = EmbedConfig(
                store=first.store or "", backbone=config.backbone, weights=config.weights, out=first.features_root
            )
            return embed(told).uri
    return "auto"


def _tuner(config: TuneConfig, space: Space, known: list[Record], features: str) -> tune.Tuner:
    there = offer()
    at_once = config.concurrent or max(1, there.workers // _least(config, space))
    asked = {number: optuna.trial.FixedTrial(each.params, number) for number, each in _numbered(known).items()}
    for trial in asked.values():
        space(trial)
    storage = ledger.study_of(known, {number: dict(trial.distributions) for number, trial in asked.items()})
    done = [each for each in known if each.status not in ledger.UNFINISHED]
    scheduler = ASHAScheduler(
        time_attr="epoch",
        metric=BEST,
        mode="max",
        max_t=config.epochs,
        grace_period=max(1, config.epochs // FIRST_RUNG),
        reduction_factor=HALVING,
    )
    _remind(scheduler, done)
    algorithm = OptunaSearch(
        space=space,
        metric=BEST,
        mode="max",
        storage=storage,
        study_name=ledger.STUDY,
        # Another draw than that of the trials that are there already.
        sampler=optuna.samplers.TPESampler(seed=config.seed + 1000 * len(known), n_startup_trials=10),
    )
    (Location.of(config.out) / RUN).delete()
    return tune.Tuner(
        tune.with_resources(
            tune.with_parameters(run_trial, config=config, features=features),
            lambda suggested: _resources(config, suggested, gpus=there.gpus > 0),
        ),
        tune_config=tune.TuneConfig(
            num_samples=config.trials - len(done),
            search_alg=algorithm,
            scheduler=scheduler,
            max_concurrent_trials=at_once,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=RUN,
            storage_path=config.out,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            callbacks=[Progress(config, storage, done)],
        ),
    )


def _numbered(known: list[Record]) -> dict[int, Record]:
    return {each.number: each for each in known}


def _least(config: TuneConfig, space: Space) -> int:
    """Least workers of any trial."""
    return min(config.training({"site": site}, config.out).span[0] for site in space.affordable)


def _resources(config: TuneConfig, suggested: dict[str, Any], *, gpus: bool) -> tune.PlacementGroupFactory:
    """A trial on features works itself; a driver of Ray Train only waits, and would starve its workers of a CPU."""
    cached = config.training(suggested["chosen"], config.out).cached
    bundle: dict[str, float] = {"CPU": 0.01} if not cached else {"CPU": 1, "GPU": 1} if gpus else {"CPU": 1}
    return tune.PlacementGroupFactory([bundle])


@dataclasses.dataclass(frozen=True)
class _Past:
    """What the scheduler asks of a trial that was."""

    trial_id: str


def _remind(scheduler: ASHAScheduler, done: list[Record]) -> None:
    """Fill the scheduler's rungs with what earlier trials reached."""
    for each in done:
        past: Any = _Past(f"past-{each.number}")
        scheduler.on_trial_add(None, past)  # type: ignore[arg-type]  # it asks nothing of the controller
        for epoch, score in each.history:
            scheduler.on_trial_result(None, past, {"epoch": epoch, BEST: score})  # type: ignore[arg-type]


def _write(config: TuneConfig, space: Space, known: list[Record], training: TrainConfig) -> None:
    out, rows = Location.of(config.out), table(known, space)
    (out / "trials.csv").write_bytes(rows.to_csv(index=False).encode())
    (out / "parallel.png").write_bytes(parallel(rows, space))
    (out / "importance.png").write_bytes(importance(rows, space, config.seed))
    (out / BEST_FILE).write_bytes(_yaml(training))


def _yaml(training: TrainConfig) -> bytes:
    """A configuration for jobs/train.py: what was chosen, and what is not as by default."""
    plain = dataclasses.asdict(TrainConfig())
    saved = dataclasses.asdict(training)
    kept = {key: value for key, value in saved.items() if value != plain[key] or key in ("out", "epochs", "seed")}
    return yaml.safe_dump(kept, sort_keys=False).encode()

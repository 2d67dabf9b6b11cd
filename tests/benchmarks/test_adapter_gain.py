"""Why adapters at the feature site gain what they gain on phantoms: studies to learn from, settings, and the head.

Trains on cached features in this process, by the loop of every training, and scores the test split with the weights of
the best validation. ``MOLRE_GAIN_STORE`` and ``MOLRE_GAIN_FEATURES`` name a store and its features that are there;
otherwise 1,200 phantoms are drawn first, which takes a quarter of an hour on two cores.
"""

import os
from dataclasses import dataclass

import numpy as np
import pytest

from molre.benchmarking.cell import cells
from molre.benchmarking.config import BenchmarkConfig
from molre.benchmarking.gains import areas, gain, with_cases
from molre.calibration import Calibration
from molre.embedding import EmbedConfig, Features, embed
from molre.evaluation.interval import figures
from molre.evaluation.measures import COMMON
from molre.evaluation.scores import scores_of
from molre.sources.ingest import IngestConfig, ingest
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.examples import Examples
from molre.training.loop import Worker
from molre.training.seat import Seat, alone

pytestmark = [pytest.mark.bench, pytest.mark.ray, pytest.mark.timeout(7200)]

STUDIES = 1200
SEEDS = 5
RESAMPLES = 1000
WHOLE = 1_000_000
SIZES = (60, 120, 240, 480, WHOLE)
KINDS = ("none", "lora", "mlp", "molre")
SETTINGS = {
    "rate 5e-4": {"learning_rate": 5e-4},
    "rate 2e-3": {"learning_rate": 2e-3},
    "rate 1.5e-2": {"learning_rate": 1.5e-2},
    "temperature 0.25": {"temperature": 0.25},
    "temperature 4": {"temperature": 4.0},
    "alpha 4": {"alpha": 4.0},
    "alpha 64": {"alpha": 64.0},
    "dropout 0.3": {"dropout": 0.3},
    "2 experts": {"experts": 2},
    "6 of rank 8 (over the budget)": {"rank": 8, "over_budget": True},
    "gate of a volume": {"gate": "volume"},
    "120 epochs": {"epochs": 120, "checkpoint_every_epochs": 15},
    "gamma 0": {"gamma": 0.0},
}


@dataclass
class Fewer:
    """A store whose train split has its first studies only."""

    whole: Store
    most: int

    def indices(self, split):
        rows = self.whole.indices(split)
        return rows[: self.most] if split == "train" else rows

    def __getattr__(self, name):
        return getattr(self.whole, name)


@dataclass(frozen=True)
class Cohort:
    """Phantoms with the features of the demo's backbone."""

    store: Store
    features: Features
    ranks: dict[str, int]

    def runs(self, out, most, **settings):
        """Predictions on the test split, a seed each, and the experts in use."""
        return tuple(zip(*(self._run(f"{out}/{at}", most, seed=at, **settings) for at in range(SEEDS)), strict=True))

    def _run(self, out, most, **settings):
        kind = settings.get("adapter", "molre")
        plain = {"epochs": 40, "checkpoint_every_epochs": 5, "rank": self.ranks.get(kind), "workers": 1}
        config = TrainConfig(
            store=self.store.uri, features=str(self.features.uri), out=out, evaluate=False, **plain | settings
        )
        examples = Examples(Fewer(self.store, most), self.features, alone())
        rows, kept = self.store.indices("test"), {}

        def listen(told):
            if worker.progress.waited == 0:
                logits, gates = worker.scoring.score(rows)
                kept.update(logits=logits, gates=gates)

        worker = Worker(config, examples, Seat(listener=listen))
        worker.run()
        used = [site["effective"] for site in kept["gates"].values()]
        scores = scores_of(self.store, rows, Calibration().probabilities(kept["logits"]))
        return scores, np.mean(used) if used else float("nan")


@pytest.fixture(scope="module")
def phantoms(request, tmp_path_factory):
    store, features = (os.environ.get(f"MOLRE_GAIN_{name}") for name in ("STORE", "FEATURES"))
    if not (store and features):
        request.getfixturevalue("ray_cluster")
        folder = tmp_path_factory.mktemp("phantoms")
        store, features = str(folder / "store"), str(folder / "features")
        ingest(
            IngestConfig(
                source="phantom", studies=STUDIES, seed=11, root=str(folder / "dicom"), grid="demo", store=store
            )
        )
        features = embed(EmbedConfig(store=store, backbone="dinov3-tiny", out=features)).uri
    ranks = {cell.adapter: cell.training.rank for cell in cells(BenchmarkConfig(adapters=KINDS, seeds=1))}
    opened = Store.open(store)
    return Cohort(opened, Features.open(features), ranks)


def test_gain_by_the_number_of_studies(phantoms, table, tmp_path):
    rows = []
    for size in SIZES:
        found = {}
        for kind in KINDS:
            runs, _ = phantoms.runs(tmp_path / f"{kind}-{size}", size, adapter=kind)
            found[kind] = areas(runs, resamples=RESAMPLES)
            common = with_cases(runs[0], COMMON)
        count = min(size, len(phantoms.store.indices("train")))
        gains = (gain(found["molre"], found[kind], common, ()).macro for kind in KINDS[:-1])
        rows.append((f"{count}", *(f"{found[kind].mean(common).value:.3f}" for kind in KINDS), *map(signed, gains)))
    header = ("studies", *KINDS, *(f"molre over {kind}" for kind in KINDS[:-1]))
    table(f"Mean AUC over {len(common)} findings by studies to learn from, {SEEDS} seeds", header, rows)
    assert float(rows[-1][1]) > float(rows[0][1])


def test_gain_by_setting(phantoms, table, tmp_path):
    runs, used = phantoms.runs(tmp_path / "default", WHOLE)
    default, common = areas(runs, resamples=RESAMPLES), with_cases(runs[0], COMMON)
    assert np.mean(used) > 2, "the gate has collapsed"
    rows = [("as it is", f"{default.mean(common).value:.3f}", "–", f"{np.mean(used):.2f}")]
    for name, settings in SETTINGS.items():
        runs, used = phantoms.runs(tmp_path / name, WHOLE, **settings)
        found = areas(runs, resamples=RESAMPLES)
        mean, more = found.mean(common).value, signed(gain(found, default, common, ()).macro)
        rows.append((name, f"{mean:.3f}", more, f"{np.mean(used):.2f}"))
    plain, wide = (
        areas(
            phantoms.runs(tmp_path / f"head-{each}", WHOLE, adapter="none", query_per_finding=each)[0],
            resamples=RESAMPLES,
        )
        for each in (False, True)
    )
    told = signed(gain(wide, plain, common, ()).macro)
    rows.append(("none, a query a finding", f"{wide.mean(common).value:.3f}", f"{told} over none", "–"))
    header = ("molre, whole train split", "mean AUC", "over as it is", "experts in use")
    table(f"Mean AUC over {len(common)} findings by setting, {SEEDS} seeds", header, rows)


def signed(interval):
    return figures(interval, "+")

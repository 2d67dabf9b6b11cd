"""What it gains to compute frozen features once: epochs a minute of the real training job, cached against live."""

from __future__ import annotations

import time

import pytest

from molre.sources.ingest import IngestConfig, ingest
from molre.training.config import TrainConfig
from molre.training.run import train

STUDIES = 12
pytestmark = [pytest.mark.bench, pytest.mark.ray]


@pytest.fixture(scope="module")
def store(ray_cluster, tmp_path_factory):
    place = tmp_path_factory.mktemp("store")
    return ingest(IngestConfig(studies=STUDIES, seed=3, split=(0.8, 0.1, 0.1), store=str(place / "store"))).uri


def rate(store: str, out, **how) -> float:
    """Studies a second of training itself, without start-up and without making the features."""
    config = TrainConfig(
        store=store, out=str(out), backbone="dinov3-vitb16", weights="random", workers=2, batch_size=8, **how
    )
    return float(train(config)["studies_per_second"])


def test_epochs_a_minute_cached_against_live(store, tmp_path, table):
    """Interleaved: live, cached, live, cached; the best of each."""
    features = str(tmp_path / "features")
    begun = time.monotonic()
    rate(store, tmp_path / "first", features=features, epochs=1, checkpoint_every_epochs=1)
    first_s = time.monotonic() - begun
    rates: dict[str, list[float]] = {"live": [], "cached": []}
    for turn in range(2):
        rates["live"].append(
            rate(store, tmp_path / f"live{turn}", features="live", epochs=1, checkpoint_every_epochs=1)
        )
        many = {"epochs": 60, "checkpoint_every_epochs": 60}
        rates["cached"].append(rate(store, tmp_path / f"cached{turn}", features=features, **many))
    trained = STUDIES * 0.8
    live, cached = (max(rates[mode]) for mode in ("live", "cached"))
    table(
        "Training at the feature site, DINOv3 ViT-B/16 at 224 px, 24 slices a study, two workers on CPU",
        ["features", "studies/s", "epochs/min of this store", "× live"],
        [
            ["live", f"{live:.2f}", f"{60 * live / trained:.2f}", "1.0"],
            ["cached", f"{cached:.1f}", f"{60 * cached / trained:.1f}", f"{cached / live:.0f}"],
            ["making them and one epoch, with start-up", f"{STUDIES / first_s:.2f}", "", ""],
        ],
    )
    assert cached >= 20 * live

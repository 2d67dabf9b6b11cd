"""A trial on features in its own process, without Ray: what it reports, and that it goes on where it was killed."""

import json

import pytest

from molre.embedding import EmbedConfig, EmbedPart, feature_shape, identity_of, part_name
from molre.location import Location
from molre.store import Store
from molre.training.seat import Seat
from molre.training.validation import BEST, SCORE
from molre.tuning.config import TuneConfig
from molre.tuning.trial import train_here

CHOSEN = {"experts": 2, "rank": 2, "router_width": 8, "learning_rate": 5e-3, "dropout": 0.3}


@pytest.fixture(scope="module")
def features(small_store, tmp_path_factory):
    """The small store's features, computed in this process."""
    out, store = tmp_path_factory.mktemp("features"), Store.open(small_store)
    config = EmbedConfig(store=small_store, backbone="dinov3-tiny", weights="random", out=str(out))
    embedder = EmbedPart(config, store, str(out))
    for part in range(len(store.manifest.parts)):
        embedder({"part": part})
    backbone = embedder.classifier.backbone
    manifest = {
        **identity_of(backbone, store),
        "shape": list(feature_shape(backbone, store)),
        "parts": [{"name": part_name(at), "rows": part.rows} for at, part in enumerate(store.manifest.parts)],
    }
    (Location.of(out) / "features.json").write_bytes(json.dumps(manifest).encode())
    return str(out)


class Killed(BaseException):
    """What stands for the end of the process."""


def scores(config, stop_after=None):
    """Every report of a trial, until it is killed."""
    told = []

    def listen(metrics):
        told.append(metrics)
        if len(told) == stop_after:
            raise Killed

    try:
        train_here(config, Seat(listener=listen))
    except Killed:
        assert stop_after
    return told


def test_a_trial_learns_and_goes_on_where_it_was_killed(small_store, features, tmp_path):
    config = TuneConfig(store=small_store, out=str(tmp_path), weights="random", epochs=8)
    whole = scores(config.training(CHOSEN, f"{tmp_path}/whole", features))
    assert [each["epoch"] for each in whole] == list(range(1, 9))
    assert whole[-1][BEST] == max(each[SCORE] for each in whole) > 0.6
    first = scores(config.training(CHOSEN, f"{tmp_path}/cut", features), stop_after=3)
    rest = scores(config.training(CHOSEN, f"{tmp_path}/cut", features))
    assert [each["epoch"] for each in rest] == list(range(3, 9))  # what may not have been heard is told again
    assert [each[SCORE] for each in [*first, *rest[1:]]] == pytest.approx([each[SCORE] for each in whole], abs=1e-6)

"""Training on the test run's cluster: two workers, faults, resumption, ZeRO, and what comes out."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from molre.adapters import AdapterConfig, attach
from molre.backbones import build
from molre.bundle import load_bundle
from molre.classifier import Classifier
from molre.embedding import EmbedConfig, Features, embed
from molre.errors import ConfigError
from molre.store import Store
from molre.training.config import TrainConfig
from molre.training.loss import focal_sum
from molre.training.run import train

pytestmark = pytest.mark.ray


def settings(store, features, out, **more):
    base = {"epochs": 6, "batch_size": 8, "checkpoint_every_epochs": 2, "weights": "random"}
    return TrainConfig(**{"store": store, "features": features, "out": str(out), **base, **more})


def trained(out):
    """Trained values of the last checkpoint."""
    last = sorted(Path(out, "checkpoints").glob("step-*"))[-1]
    return load_file(last / "trained.safetensors")


def difference(a, b):
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.fixture(scope="module")
def two_workers(small_store, features, tmp_path_factory):
    out = tmp_path_factory.mktemp("two")
    return out, train(settings(small_store, features, out))


def test_two_workers_learn_and_leave_a_bundle(small_store, two_workers):
    _, told = two_workers
    assert told["metrics"]["val"]["mean_auc"] > 0.8
    assert 0 < told["adapter"]["added_fraction"] < 0.005
    bundle, store = load_bundle(told["bundle"]), Store.open(small_store)
    rows = store.indices("val")
    said = bundle.predict(store.volumes(rows))
    assert said.shape == (len(rows), 75)
    assert set(bundle.manifest["thresholds"]) <= {"intraparenchymal_hemorrhage", "intraventricular_hemorrhage"}


def test_one_worker_gives_what_two_give(small_store, features, two_workers, tmp_path):
    train(settings(small_store, features, tmp_path, workers=1))
    assert difference(trained(tmp_path), trained(two_workers[0])) < 1e-4


def test_zero_gives_what_plain_data_parallelism_gives_and_takes_up_its_checkpoint(
    small_store, features, two_workers, tmp_path
):
    first = settings(small_store, features, tmp_path, deepspeed="2")
    train(first)
    assert difference(trained(tmp_path), trained(two_workers[0])) < 1e-4


def test_a_finished_run_is_not_repeated_and_another_is_refused(small_store, features, two_workers):
    out, told = two_workers
    before = trained(out)
    again = train(settings(small_store, features, out))
    assert again["metrics"]["val"] == told["metrics"]["val"]
    assert difference(before, trained(out)) == 0
    with pytest.raises(ConfigError, match="holds a run with learning_rate"):
        train(settings(small_store, features, out, learning_rate=0.5))


def live_classifier(store, **adapter):
    classifier = Classifier(build("dinov3-tiny", weights="random"), grid=store.grid)
    adapted = attach(classifier, AdapterConfig(**adapter))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapted.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return adapted


def test_features_are_what_the_backbone_gives(small_store, features):
    store, rows = Store.open(small_store), np.array([40, 3])
    stored, mask = Features.open(features).read(rows)
    live = live_classifier(store).classifier.eval().embed(torch.from_numpy(store.volumes(rows)))
    assert mask.all()
    assert np.abs(stored - live.detach().numpy()).max() < 1e-5 * np.abs(stored).max()


@pytest.mark.parametrize("adapter", [{"kind": "none"}, {"kind": "molre"}, {"kind": "molre", "gate": "volume"}])
def test_cached_features_give_the_gradients_of_live_training(small_store, features, adapter):
    store, rows = Store.open(small_store), np.array([7, 21, 40])
    labels = torch.from_numpy(store.labels()[rows])
    adapted = live_classifier(store, **adapter)
    opened = {name: value for name, value in adapted.model.named_parameters() if value.requires_grad}
    weights = torch.ones(2, labels.shape[1])
    values, mask = map(torch.from_numpy, Features.open(features).read(rows))
    live, cached = (
        torch.autograd.grad(focal_sum(logits, labels, weights, 2.0), list(opened.values()))
        for logits in (
            adapted.model(hu=torch.from_numpy(store.volumes(rows))),
            adapted.model(features=values, mask=mask),
        )
    )
    for name, one, other in zip(opened, live, cached, strict=True):
        assert one.abs().max() > 0, name
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6 * float(one.abs().max()) + 1e-9)


def test_live_training_ends_where_cached_training_does(small_store, two_workers, tmp_path):
    train(settings(small_store, "live", tmp_path))
    assert difference(trained(tmp_path), trained(two_workers[0])) < 1e-4


def test_features_lie_by_what_they_depend_on_and_are_made_once(ray_cluster, small_store, tmp_path):
    config = EmbedConfig(store=small_store, backbone="dinov3-tiny", weights="random", out=str(tmp_path))
    first = embed(config)
    files = {path: path.stat().st_mtime_ns for path in Path(first.uri).iterdir()}
    assert embed(config).uri == first.uri
    assert {path: path.stat().st_mtime_ns for path in Path(first.uri).iterdir()} == files
    other = embed(replace(config, weights=None))
    assert other.uri != first.uri
    assert {Path(uri).parent for uri in (first.uri, other.uri)} == {tmp_path}
    assert {"store", "backbone", "weights_sha256", "windows", "input", "grid"} <= first.manifest.keys()
    with pytest.raises(ConfigError, match="are of another weights sha256"):
        embed(replace(config, weights=None, out=first.uri))


def test_features_cut_short_are_finished_and_only_what_is_missing(ray_cluster, small_store, features, tmp_path):
    config = EmbedConfig(store=small_store, backbone="dinov3-tiny", weights="random", out=str(tmp_path))
    folder = Path(tmp_path, Path(features).name)
    shutil.copytree(features, folder)
    (folder / "features.json").unlink()
    (folder / "features-00001.arrow").unlink()
    kept = (folder / "features-00000.arrow").stat().st_mtime_ns
    assert embed(config).uri == str(folder)
    assert (folder / "features-00000.arrow").stat().st_mtime_ns == kept
    for one, other in zip(
        Features.open(features).read(np.arange(48)), Features.open(str(folder)).read(np.arange(48)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)

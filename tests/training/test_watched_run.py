"""A run with everything that can be switched on, and what a person gets to see of it and of one that fails."""

import json
import os
import signal

import numpy as np
import pytest
import ray
from matplotlib.image import imread
from mlflow_server import Server
from ray.train import TrainingFailedError

from molre.errors import StoreError, TrainingError
from molre.location import Location
from molre.training import checkpoint as checkpoints
from molre.training import run as training_run
from molre.training import tracking
from molre.training.config import TrainConfig
from molre.training.run import train
from molre.training.telling import in_short
from molre.training.unforeseen import unforeseen

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def run(ray_cluster, small_store, server, tmp_path_factory):
    """Configuration, and what train told."""
    config = TrainConfig(
        store=small_store, out=str(tmp_path_factory.mktemp("run")), augment=True, balanced=True, mlflow=server.uri,
        epochs=4, batch_size=8, checkpoint_every_epochs=2, weights="random", tell_every_s=0.0,
    )  # fmt: skip
    return config, train(config)


def test_an_augmented_and_balanced_run_leaves_its_gates_and_its_picture(run):
    config, told = run
    found, _ = checkpoints.newest(Location.of(config.out) / "checkpoints")
    saved = checkpoints.read(found.place)
    assert [each["epoch"] for each in saved.validations] == [2, 4]
    for each in saved.validations:
        assert each["gates"]["site"]["experts"] == 6
        assert 1 <= each["gates"]["site"]["effective"] <= 6
        assert 0 < each["gates"]["site"]["entropy"] <= 1
        assert each["studies_per_second"] > 0
    assert imread(told["files"]["curves.png"]).shape[1] == 1080
    assert told["studies_seen"] == 4 * 30
    assert told["epochs"] == 4
    assert json.loads(json.dumps(told)) == told


def test_the_end_is_told_in_a_few_lines(run):
    config, told = run
    lines = dict(line.split(maxsplit=1) for line in in_short(told, 75.0).splitlines())
    assert lines["trained"].startswith("120 studies in 4 epochs")
    assert lines["trained"].endswith("75 s in all")
    assert f"AUC {told['metrics']['val']['mean_auc']:.3f} (2 of 75 findings) after epoch" in lines["best"]
    assert lines["curves"] == f"{config.out}/curves.png"
    assert lines["bundle"] == f"{config.out}/bundle"
    assert lines["serve"] == f"python jobs/serve.py --bundle {config.out}/bundle"


def test_mlflow_has_steps_validations_curves_and_summary(run, server):
    import mlflow

    config, told = run
    client = mlflow.MlflowClient(tracking_uri=server.uri)
    kept = client.get_run(tracking.run_id(config))
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == config.name
    assert kept.data.params["augment"] == "True"
    steps = client.get_metric_history(kept.info.run_id, "train/loss")
    assert steps[-1].step == 16
    areas = client.get_metric_history(kept.info.run_id, "validation/mean_auc")
    assert [point.step for point in areas] == [8, 16]
    assert kept.data.metrics["gates/effective/site"] >= 1
    assert {file.path for file in client.list_artifacts(kept.info.run_id)} == {"curves.png", "summary.json"}
    tracking.added_later(config, {**told, "metrics": {"test": {"macro": {"auc": 0.7}}}})
    assert client.get_run(kept.info.run_id).data.metrics["final/test/macro/auc"] == 0.7


def test_augmentation_and_balancing_are_settings_of_a_run(run):
    config, _ = run
    fields = {name: getattr(config, name) for name in TrainConfig.__dataclass_fields__}
    with pytest.raises(ValueError, match="holds a run with balanced True, not False"):
        train(TrainConfig(**{**fields, "balanced": False}))


def test_a_fault_in_the_code_is_one_line_and_its_traceback_lies_in_a_file(
    ray_cluster, small_store, tmp_path, monkeypatch
):
    def broken(settings):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(training_run, "train_worker", broken)
    config = TrainConfig(store=small_store, out=str(tmp_path), features="live", weights="random", max_failures=0)
    with pytest.raises(TrainingError, match=r"^worker 0 failed, last with ZeroDivisionError: boom; tracebacks lie in "):
        train(config)
    assert "in broken" in (tmp_path / "failure.txt").read_text()


@pytest.fixture(scope="module")
def killed(ray_cluster):
    """What Ray raises for a process that was killed."""

    @ray.remote(num_cpus=0)
    class Worker:
        def end(self):
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ray.exceptions.RayActorError) as death:
        ray.get(Worker.remote().end.remote())
    return death.value


def failed(**by_rank):
    """As Ray Train raises it."""
    failure = TrainingFailedError("Training failed due to worker errors:\n…")
    failure.worker_failures = {int(rank.removeprefix("rank")): error for rank, error in by_rank.items()}
    return failure


def test_the_worker_that_failed_first_is_named(killed, tmp_path):
    config = TrainConfig(out=str(tmp_path))
    collateral = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1")
    said = str(unforeseen(failed(rank0=collateral, rank1=killed), config))
    assert said.startswith("worker 1 ")
    assert "more often than --max-failures 2" in said
    assert said.count("\n") == 0
    assert "ValueError: wrong" in str(unforeseen(failed(rank0=collateral, rank1=ValueError("wrong")), config))
    ours = StoreError("a part is not there")
    assert unforeseen(failed(rank0=killed, rank1=ours), config) is ours
    assert "gloo" in str(unforeseen(failed(rank0=collateral), config))
    assert np.all([(tmp_path / "failure.txt").exists()])

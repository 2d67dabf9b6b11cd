"""MLflow, against a real server: what it is told, resumption, and a server that is not there."""

import json
import time

import pytest
from mlflow_server import Server

from molre.errors import ConfigError, MolreError
from molre.training import tracking
from molre.training.config import TrainConfig
from molre.training.tracking import Record, Tracker, flattened, tracked
from molre.training.watch import Step, Validation


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.stop()


@pytest.fixture
def config(server, tmp_path):
    (tmp_path / "out").mkdir()
    return TrainConfig(out=str(tmp_path / "out"), mlflow=server.uri, experiment="heads", run_name="first")


def step(taken, loss=0.5):
    return Step(
        epoch=0, epochs=4, taken=taken, total=40, seen=8 * taken, loss=loss, learning_rate=1e-3,
        studies_per_second=20.0, seconds_left=9.0, mean_auc=None,
    )  # fmt: skip


VALIDATION = Validation(
    epoch=1, taken=10, seen=80, mean_auc=0.75, findings=3, loss=0.4, best=True, studies_per_second=20.0,
    gates={"backbone.layer.11.q(proj)": {"entropy": 0.5, "effective": 3.0, "experts": 6.0}},
)  # fmt: skip


def client_of(server):
    import mlflow

    return mlflow.MlflowClient(tracking_uri=server.uri)


def values(server, run, key):
    return [(point.step, point.value) for point in client_of(server).get_metric_history(run, key)]


def told(config):
    """A run of two tellings and a validation, to its end."""
    with tracked(config) as record:
        tracker = Tracker.of(config)
        for watched in (step(5), step(8, loss=0.25)):
            tracker.step(watched)
        tracker.validation(VALIDATION)
        tracker.close()
        record.add({"metrics": {"val": {"mean_auc": 0.75}, "test": {"macro": None}}}, {})
    return tracking.run_id(config)


def test_a_run_is_told_from_configuration_to_summary(server, config):
    run = told(config)
    kept = client_of(server).get_run(run)
    assert kept.info.run_name == "first"
    assert kept.info.status == "FINISHED"
    assert kept.data.params["learning_rate"] == "None"
    assert kept.data.params["experts"] == "6"
    assert set(kept.data.params) == set(flattened(dict.fromkeys(TrainConfig.__dataclass_fields__, 0)))
    assert kept.data.tags["molre"] == "0.1.0"
    assert len(kept.data.tags.get("mlflow.source.git.commit", "0" * 40)) == 40
    assert values(server, run, "train/loss") == [(5, 0.5), (8, 0.25)]
    assert values(server, run, "train/learning_rate")[0] == (5, 1e-3)
    assert values(server, run, "validation/mean_auc") == [(10, 0.75)]
    assert values(server, run, "gates/effective/backbone.layer.11.q_proj_") == [(10, 3.0)]
    assert kept.data.metrics["final/val/mean_auc"] == 0.75
    assert [file.path for file in client_of(server).list_artifacts(run)] == ["summary.json"]
    assert client_of(server).get_experiment_by_name("heads").experiment_id == kept.info.experiment_id


def test_a_resumed_run_goes_on_in_the_same(server, config, tmp_path):
    first = told(config)
    longer = TrainConfig(**{**config_fields(config), "epochs": 80})
    assert told(longer) == first
    kept = client_of(server).get_run(first)
    assert kept.data.params["epochs"] == "40"
    assert kept.data.tags["resumed.epochs"] == "80"
    assert len(values(server, first, "train/loss")) == 4


def config_fields(config):
    return {name: getattr(config, name) for name in TrainConfig.__dataclass_fields__}


def test_a_failed_run_says_so_and_an_unknown_one_is_begun_anew(server, config, capsys):
    (tracking.Location.of(config.out) / tracking.RUN_ID).write_bytes(json.dumps({"run_id": "f" * 32}).encode())
    with pytest.raises(MolreError, match="boom"), tracked(config):
        raise MolreError("boom")
    assert "does not know the run" in capsys.readouterr().out
    assert client_of(server).get_run(tracking.run_id(config)).info.status == "FAILED"


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path, server):
    nowhere = Server(tmp_path)
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=f"cannot use the MLflow server at {nowhere.uri}: connection refused"):
        Record(TrainConfig(out=str(tmp_path), mlflow=nowhere.uri))
    assert time.monotonic() - begun < 30
    assert not (tmp_path / tracking.RUN_ID).exists()


def test_a_server_that_goes_away_misses_nothing_once_it_is_back(server, config, capsys, monkeypatch):
    monkeypatch.setattr(tracking, "RETRY_S", 0.2)
    record = Record(config)
    tracker = Tracker.of(config)
    try:
        server.stop()
        begun = time.monotonic()
        for taken in range(1, 1001):
            tracker.step(step(taken))
        assert time.monotonic() - begun < 1, "a step waited for the server"
        wait_until(lambda: tracker._away)
    finally:
        server.start()
    wait_until(lambda: not tracker._waiting and not tracker._away)
    tracker.close()
    record.end("FINISHED")
    assert sorted(values(server, tracking.run_id(config), "train/loss")) == [(at, 0.5) for at in range(1, 1001)]
    said = capsys.readouterr().out
    assert said.count("MLflow is away (connection refused); training goes on") == 1
    assert said.count("MLflow is back") == 1


def test_a_server_that_stays_away_costs_seconds_and_a_note(server, config, capsys, monkeypatch):
    record = Record(config)
    tracker = Tracker.of(TrainConfig(**{**config_fields(config), "mlflow": "http://127.0.0.1:9"}))
    tracker.step(step(1))
    begun = time.monotonic()
    tracker.close()
    assert time.monotonic() - begun < tracking.CLOSE_S + 1
    record.end("FINISHED")
    assert "MLflow missed 4 figures" in capsys.readouterr().out


def wait_until(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

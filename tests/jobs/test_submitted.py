"""The jobs as a user submits them: ``ray job submit --working-dir . -- python jobs/NAME.py`` on the run's cluster."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from molre.findings import KEYS
from molre.job import parse
from molre.training.config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def submit(ray_cluster):
    """Submit a job, wait for its end, and return its exit status and what it printed."""

    def submitted(name, *flags):
        command = [RAY, "job", "submit", "--address", ray_cluster, "--working-dir", REPOSITORY]
        command += ["--", "python", f"jobs/{name}.py", *flags]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=500)
        return done.returncode, done.stdout + done.stderr

    return submitted


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def store(submit, place):
    status, told = submit("ingest", "--studies", 30, "--seed", 5, "--split", 0.5, 0.3, 0.2, "--store", place / "store")
    assert status == 0, told
    assert "30 studies found = 30 rows + 0 rejected" in told
    return place / "store"


@pytest.fixture(scope="module")
def features(submit, place, store):
    status, told = submit("embed", "--store", store, "--out", place / "features")
    assert status == 0, told
    return place / "features"


@pytest.fixture(scope="module")
def trained(submit, place, store, features):
    flags = ["--store", store, "--features", features, "--epochs", 4, "--checkpoint-every-epochs", 2, "--bootstrap", 50]
    status, told = submit("train", *flags, "--out", place / "train")
    assert status == 0, told
    return place / "train", told


def summary(out):
    return json.loads((out / "summary.json").read_text())


def test_ingest_leaves_store_montage_and_summary(store, place):
    counts = summary(store)["counts"]
    assert counts["rows"] == 30
    assert (place / "phantom.png").stat().st_size > 50_000
    assert list(csv.reader((store / "rejected.csv").open())) == [["path", "code", "sentence"]]


def test_train_prints_the_table_and_leaves_what_the_contract_says(trained):
    out, told = trained
    said = summary(out)
    assert 0 < said["adapter"]["added_fraction"] < 0.005
    assert said["adapter"]["added_parameters"] > 0
    assert 0 <= said["metrics"]["val"]["mean_auc"] <= 1
    assert said["seconds"] > 0
    assert said["config"]["epochs"] == 4
    assert {path.name for path in (out / "bundle").iterdir()} >= {
        "bundle.json", "adapter_model.safetensors", "adapter_config.json", "head.safetensors", "MODEL_CARD.md",
    }  # fmt: skip
    assert "Hemorrhage" in told
    assert not (out / "features").exists()
    assert f"python jobs/serve.py --bundle {out}/bundle" in told


def test_evaluate_scores_each_test_series_once(submit, trained, store, place):
    out, _ = trained
    status, told = submit(
        "evaluate", "--bundle", out / "bundle", "--store", store, "--out", place / "evaluation", "--bootstrap", 50
    )
    assert status == 0, told
    table = pq.read_table(place / "evaluation" / "predictions.parquet")
    expected = summary(store)["counts"]["splits"]["test"]
    assert table.num_rows == expected == len(set(table["series"].to_pylist()))
    report = json.loads((place / "evaluation" / "report.json").read_text())
    assert [row["key"] for row in report["findings"]] == list(KEYS)
    assert set(report["macro"]["auc"]) >= {"value", "low", "high"}
    assert "<html" in (place / "evaluation" / "report.html").read_text()


def test_tune_runs_trials_and_its_best_is_a_configuration_of_train(submit, store, place):
    flags = ["--store", store, "--trials", 4, "--epochs", 4, "--bootstrap", 50, "--out", place / "tune"]
    status, told = submit("tune", *flags)
    assert status == 0, told
    trials = list(csv.DictReader((place / "tune" / "trials.csv").open()))
    assert len(trials) == 4
    assert all(float(trial["score"]) > 0 for trial in trials)
    assert set(summary(place / "tune")["test"]) == {"best", "default", "gain"}
    assert "mean AUC of the test split: best" in told
    assert len({trial["learning_rate"] for trial in trials}) == 4
    best = max(trials, key=lambda trial: float(trial["score"]))
    chosen = yaml.safe_load((place / "tune" / "best.yaml").read_text())
    assert chosen["learning_rate"] == pytest.approx(float(best["learning_rate"]))
    assert parse(TrainConfig, ["--config", str(place / "tune" / "best.yaml")]).experts == int(best["experts"])


def test_benchmark_makes_the_table(submit, store, place):
    flags = ["--store", store, "--adapters", "none", "--seeds", 1, "--epochs", 2, "--bootstrap", 20]
    status, told = submit("benchmark", *flags, "--out", place / "benchmark")
    assert status == 0, told
    assert (place / "benchmark" / "table.md").read_text() in told
    rows = list(csv.DictReader((place / "benchmark" / "results.csv").open()))
    assert [row["adapter"] for row in rows] == ["none"]


def test_a_relative_path_is_refused_in_a_submitted_job(submit):
    status, told = submit("train", "--store", "store")
    assert status != 0
    assert "error: the path 'store' is relative" in told
    assert "Traceback" not in told.split("error: the path")[0]

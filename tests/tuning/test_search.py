"""A search on the test run's cluster: what it leaves, and that it survives the death of a trial and of its driver."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from molre.job import parse
from molre.training.config import TrainConfig
from molre.training.run import train
from molre.tuning import TuneConfig, search
from molre.tuning.ledger import records

pytestmark = [pytest.mark.ray, pytest.mark.slow]
REPOSITORY = Path(__file__).resolve().parents[2]


def settings(store, out, **more):
    base = {"weights": "random", "epochs": 8, "trials": 4, "evaluate": False}
    return TuneConfig(**{"store": store, "out": str(out), **base, **more})


def trial_pids():
    """Processes that run trials, of this test run's cluster: children of the raylet that this process started."""
    own = {child.pid for child in psutil.Process().children(recursive=True)}
    return [pid for pid in own if "ImplicitFunc" in " ".join(psutil.Process(pid).cmdline())]


@pytest.fixture(scope="module")
def searched(ray_cluster, small_store, tmp_path_factory):
    """A search during which a process with a trial is killed."""
    out, killed = tmp_path_factory.mktemp("search"), []

    def kill():
        end = time.monotonic() + 120
        while not killed and time.monotonic() < end:
            if any(each.status == "FINISHED" for each in records(str(out))) and trial_pids():
                killed.extend(trial_pids()[:1])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.2)

    threading.Thread(target=kill, daemon=True).start()
    told = search(settings(small_store, out, trials=8))
    return out, told, killed


def test_a_search_whose_trial_was_killed_ends_with_all_its_files(searched):
    out, told, killed = searched
    assert killed
    rows = list(csv.DictReader((out / "trials.csv").open()))
    assert [row["trial"] for row in rows] == [str(at) for at in range(8)]
    assert {row["status"] for row in rows} <= {"FINISHED", "STOPPED"}
    assert told["best"]["score"] == max(float(row["score"]) for row in rows)
    assert {path.name for path in out.iterdir()} >= {"trials.csv", "best.yaml", "parallel.png", "importance.png"}


def test_train_with_the_best_settings_scores_what_the_trial_scored(searched, tmp_path):
    out, told, _ = searched
    config = parse(TrainConfig, ["--config", str(out / "best.yaml")])
    again = train(dataclasses.replace(config, out=str(tmp_path), features="auto"))
    assert again["metrics"]["val"]["mean_auc"] >= told["best"]["score"] - 1e-6
    assert again["adapter"]["router_width"] == told["best"]["router_width"]
    if told["best"]["trial"] in [each.number for each in records(str(out)) if each.status == "FINISHED"]:
        assert again["metrics"]["val"]["mean_auc"] == pytest.approx(told["best"]["score"], abs=1e-6)


def test_a_killed_driver_goes_on_without_repeating_a_finished_trial(ray_cluster, small_store, tmp_path):
    import ray

    flags = ["--store", small_store, "--out", tmp_path, "--weights", "random", "--epochs", 8, "--trials", 5]
    command = [sys.executable, REPOSITORY / "jobs" / "tune.py", *flags, "--no-evaluate"]
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    driver = subprocess.Popen([str(word) for word in command], env=environment)
    finished = []
    while not finished:
        assert driver.poll() is None
        time.sleep(0.1)
        finished = [each for each in records(str(tmp_path)) if each.status in ("FINISHED", "STOPPED")]
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/checkpoints/step-*/checkpoint.json")}
    kept = {each.number: each for each in records(str(tmp_path)) if each.status in ("FINISHED", "STOPPED")}
    assert len(kept) < 5
    told = search(settings(small_store, tmp_path, trials=5, resume=True))
    after = {each.number: each for each in records(str(tmp_path))}
    assert told["trials"] == 5
    assert {number: after[number] for number in kept} == kept
    for path, written in before.items():
        if int(path.parts[-4]) in kept:
            assert path.stat().st_mtime_ns == written

"""Ray's metrics, as Prometheus finds and scrapes them."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from molre.training.metrics import GAUGES, SITE_GAUGES, STUDIES, RayMetrics
from molre.training.watch import Step, Validation

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = [*GAUGES, *SITE_GAUGES, STUDIES]


def scraped(run):
    """Value by name and site of one run, from every target in the session's service discovery file.

    The counters of runs that ended are told as long as the cluster lives, a gauge only for a while after it was set.
    """
    import ray

    folder = Path(ray._private.worker._global_node.get_temp_dir_path())
    found = {}
    for group in json.loads((folder / "prom_metrics_service_discovery.json").read_text()):
        for target in group["targets"]:
            text = urllib.request.urlopen(f"http://{target}/metrics", timeout=10).read().decode()
            for name, tags, value in re.findall(r"^ray_(molre_train_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
                told = dict(re.findall(r'(\w+)="([^"]*)"', tags))
                if told["run"] == run:
                    found[name, told.get("site")] = float(value)
    return found


def step(taken, loss):
    return Step(
        epoch=1, epochs=4, taken=taken, total=40, seen=100 + 8 * taken, loss=loss, learning_rate=1e-3,
        studies_per_second=20.0, seconds_left=9.0, mean_auc=None,
    )  # fmt: skip


def test_prometheus_scrapes_every_documented_metric(ray_cluster):
    metrics = RayMetrics("run-a", seen=100)
    metrics.step(step(5, 0.5))
    metrics.step(step(8, 0.25))
    gates = {"site": {"entropy": 0.5, "effective": 3.0, "experts": 6.0}}
    told = Validation(
        epoch=2, taken=10, seen=180, mean_auc=0.75, findings=3, loss=0.4, best=True, studies_per_second=30.0,
        gates=gates,
    )  # fmt: skip
    metrics.validation(told)
    expected = {
        ("molre_train_loss", None): 0.25,
        ("molre_train_learning_rate", None): 1e-3,
        ("molre_train_studies_total", None): 80.0,  # of this process: those before it are not counted again
        ("molre_train_studies_per_second", None): 30.0,
        ("molre_train_epoch", None): 2.0,
        ("molre_train_validation_mean_auc", None): 0.75,
        ("molre_train_gate_entropy", "site"): 0.5,
        ("molre_train_effective_experts", "site"): 3.0,
    }
    deadline = time.monotonic() + 60
    found = scraped("run-a")
    while found != expected and time.monotonic() < deadline:
        time.sleep(0.3)
        found |= scraped("run-a")
    assert found == expected
    assert {name for name, _ in found} == set(NAMES)


def test_the_readme_of_the_dashboards_has_every_name():
    written = (REPOSITORY / "dashboards" / "README.md").read_text()
    assert set(re.findall(r"`ray_(molre_train_\w+)`", written)) == set(NAMES)

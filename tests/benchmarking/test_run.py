"""The benchmark on the test run's cluster: its files, and what a second start keeps."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest

from molre.benchmarking import BenchmarkConfig, benchmark
from molre.errors import ConfigError


def test_cells_that_are_complete_are_kept_and_other_settings_refused(ray_cluster, small_store, tmp_path, capsys):
    config = BenchmarkConfig(
        store=small_store, out=str(tmp_path), adapters=("none",), seeds=1, epochs=2, bootstrap=50, learning_rate=1e-3
    )
    first = benchmark(config)
    assert "cell 1 of 1: dinov3-tiny, none, seed 0" in capsys.readouterr().out
    done = Path(tmp_path, "dinov3-tiny", "none", "seed-0", "done.json")
    assert json.loads(done.read_text())["facts"]["train_s"] > 0
    report = json.loads(done.with_name("report.json").read_text())
    (row,) = csv.DictReader(Path(tmp_path, "results.csv").read_text().splitlines())
    assert float(row["auc"]) == pytest.approx(report["macro"]["auc"]["value"])
    assert {path.name for path in tmp_path.iterdir()} >= {
        "table.md", "table.csv", "table.png", "account.md", "differences.csv",
    }  # fmt: skip
    before = done.stat().st_mtime_ns
    assert benchmark(config) == first
    told = capsys.readouterr().out
    assert "cell 1" not in told
    assert "1 of 1 cells were complete and kept" in told
    assert done.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="was made with epochs 2, now 3: choose another --out"):
        benchmark(dataclasses.replace(config, epochs=3))

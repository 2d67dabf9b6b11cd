"""A bundle evaluated on a store: every series scored once, and a report that says what it is."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from molre.errors import ConfigError
from molre.evaluation.page import page
from molre.evaluation.report import Subject, build, print_table
from molre.evaluation.scores import Scores
from molre.findings import FINDINGS, GROUPS, KEYS
from molre.volume import Grid

GRID = Grid(name="test", shape=(4, 32, 32), spacing_mm=(10.0, 6.0, 6.0))
TEST_ROWS = 13


@pytest.fixture(scope="module")
def bundle_place(tmp_path_factory):
    from molre.adapters import AdapterConfig, attach
    from molre.backbones import build as build_backbone
    from molre.bundle import save_bundle
    from molre.classifier import Classifier

    adapted = attach(
        Classifier(build_backbone("dinov3-tiny", weights="random")), AdapterConfig(kind="molre", over_budget=True)
    )
    folder = tmp_path_factory.mktemp("evaluated") / "bundle"
    save_bundle(folder, adapted, grid=GRID, provenance={}, thresholds=dict.fromkeys(KEYS, 0.5))
    return str(folder)


@pytest.fixture(scope="module")
def store_place(tmp_path_factory):
    """13 test series of 11 patients between 5 training series, in two parts; the last slice of each is air."""
    from molre.location import Location
    from molre.store.manifest import Manifest
    from molre.store.schema import Row
    from molre.store.writer import write_index, write_part

    generator = np.random.default_rng(0)
    folder = Location.of(tmp_path_factory.mktemp("evaluated") / "store").make_folder()
    rows = []
    for at in range(TEST_ROWS + 5):
        hu = generator.integers(-1000, 200, GRID.shape).astype(np.int16)
        hu[-1] = -1024
        rows.append(
            Row(
                hu=hu,
                spacing_mm=GRID.spacing_mm,
                affine=np.eye(4),
                labels=generator.integers(-1, 2, len(KEYS)).astype(np.int8),
                split="train" if at % 4 == 3 else "test",
                patient=f"p{min(at, 15)}",
                study=f"st{at}",
                series=f"se{at}",
            )
        )
    rows = [row for row in rows if row.split == "train"][:5] + [row for row in rows if row.split == "test"][:TEST_ROWS]
    parts = [write_part(folder, 0, GRID, rows[:7]), write_part(folder, 1, GRID, rows[7:])]
    index = write_index(folder, GRID, parts)
    Manifest(grid=GRID, parts=tuple(parts), index=index, counts={}, source="phantom").write(folder)
    return folder.uri


@pytest.mark.ray
def test_every_series_of_a_split_is_scored_exactly_once(ray_cluster, bundle_place, store_place, tmp_path):
    from molre.bundle import load_bundle
    from molre.evaluation.kept import Kept
    from molre.evaluation.prediction import predict, rows_of
    from molre.location import Location
    from molre.store import Store

    store = Store.open(store_place)
    kept = Kept(Location.of(tmp_path), "sha", store.manifest, "test", rows_of(store, "test"))
    prediction = predict(bundle_place, store, "test", kept=kept, workers=2)
    expected = store.table(["series", "split"]).to_pandas()
    expected = expected[expected["split"] == "test"]["series"].tolist()
    assert len(expected) == TEST_ROWS
    assert prediction.scores.series == expected
    alone = [load_bundle(bundle_place).predict(store.volumes([int(row)]))[0] for row in store.indices("test")]
    np.testing.assert_allclose(prediction.scores.probabilities, np.stack(alone), atol=1e-5)
    np.testing.assert_array_equal(prediction.scores.labels, store.labels()[store.indices("test")])
    # One gate a slice that is not all air: the last of the four slices of each series is.
    (gates,) = prediction.gates.values()
    assert gates.shape == (TEST_ROWS, 4, 6)
    assert np.isnan(gates[:, 3]).all()
    np.testing.assert_allclose(gates[:, :3].sum(axis=2), 1, atol=1e-5)


@pytest.mark.ray
def test_the_report_its_page_and_its_table_of_predictions_agree(ray_cluster, bundle_place, store_place, tmp_path):
    from molre.evaluation.auc import auc
    from molre.evaluation.run import evaluate

    told = evaluate(bundle_place, store_place, "test", str(tmp_path / "out"), bootstrap=50, workers=2)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report == json.loads(json.dumps(told))
    table = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pandas()
    names = ["patient", "study", "series", *(f"label_{key}" for key in KEYS), *(f"probability_{key}" for key in KEYS)]
    assert list(table.columns) == names
    assert len(table) == TEST_ROWS
    for entry in report["findings"]:
        labels = table[f"label_{entry['key']}"].to_numpy(np.int8)
        assert entry["positives"] == int((labels == 1).sum())
        assert entry["negatives"] == int((labels == 0).sum())
        assert entry["auc"]["value"] == auc(labels, table[f"probability_{entry['key']}"].to_numpy(np.float32))
        if entry["auc"]["value"] is not None:
            assert entry["auc"]["low"] <= entry["auc"]["value"] <= entry["auc"]["high"]
    values = [entry["auc"]["value"] for entry in report["findings"] if entry["auc"]["value"] is not None]
    assert report["macro"]["findings"] == len(values)
    assert report["macro"]["auc"]["value"] == pytest.approx(np.mean(values))
    html = (tmp_path / "out" / "report.html").read_text()
    assert f"{report['macro']['auc']['value']:.3f}" in html
    assert "synthetic scans" in html


KILLED = """
import sys
from molre.evaluation import kept, run
kept.PIECE = 2
write = kept.Kept.write
def dies(self, name, data):
    write(self, name, data)
    if len(self.read()) == 3:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
kept.Kept.write = dies
run.evaluate(*sys.argv[1:3], "test", sys.argv[3], bootstrap=20, workers=1)
"""


@pytest.mark.ray
def test_any_number_of_workers_and_a_killed_run_give_the_same_bytes(
    ray_cluster, bundle_place, store_place, tmp_path, monkeypatch, capfd
):
    import ray

    from molre.evaluation import kept
    from molre.evaluation.run import evaluate

    monkeypatch.setattr(kept, "PIECE", 2)  # thirteen series make seven pieces
    outs = [tmp_path / "one", tmp_path / "two", tmp_path / "killed"]
    for out, workers in zip(outs, (1, 2), strict=False):
        evaluate(bundle_place, store_place, "test", str(out), bootstrap=20, workers=workers)
    command = [sys.executable, "-c", KILLED, bundle_place, store_place, str(outs[2])]
    address = ray.get_runtime_context().gcs_address
    dead = subprocess.run(command, env={**os.environ, "RAY_ADDRESS": address}, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert not (outs[2] / "report.json").exists()
    capfd.readouterr()
    evaluate(bundle_place, store_place, "test", str(outs[2]), bootstrap=20, workers=2)
    told = capfd.readouterr().out
    assert re.search(r"[56] of 13 series are scored already", told)
    assert "13 of 13 series scored" in told
    for name in ("report.json", "report.html", "predictions.parquet"):
        first, second, third = ((out / name).read_bytes() for out in outs)
        assert first == second == third
        assert sorted(file.name for file in outs[2].iterdir()) == ["predictions.parquet", "report.html", "report.json"]


@pytest.mark.ray
def test_an_empty_split_and_another_grid_are_told(ray_cluster, bundle_place, store_place, tmp_path):
    from molre.evaluation.run import evaluate

    with pytest.raises(ConfigError, match=r"the val split of .* is empty"):
        evaluate(bundle_place, store_place, "val", str(tmp_path))
    with pytest.raises(ConfigError, match="unknown split"):
        evaluate(bundle_place, store_place, "tset", str(tmp_path))


def report_of(source="dicom", positives=True):
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, (40, len(KEYS))).astype(np.int8) * positives
    labels[:, 0] = -1
    names = [str(at) for at in range(40)]
    scores = Scores(
        patients=names,
        studies=names,
        series=names,
        labels=labels,
        probabilities=generator.random((40, len(KEYS))).astype(np.float32),
    )
    subject = Subject(
        bundle="/b",
        bundle_sha="0" * 64,
        made_with="0.0.1",
        store="/<script>",
        source=source,
        split="test",
        grid="demo",
        backbone="dinov3-tiny",
        weights="random",
        adapter="molre",
        site="feature",
        added_parameters=10,
        added_fraction=0.001,
    )
    return build(scores, subject, bootstrap=20, gates={"site": gates_like(labels)})


def gates_like(labels):
    """Four experts of which the second knows finding 1, over three slices of which the last is air."""
    gates = np.full((len(labels), 3, 4), 0.25, np.float32)
    gates[labels[:, 1] == 1, :2] = (0.2, 0.4, 0.2, 0.2)
    gates[:, 2] = np.nan
    return gates


def test_the_report_shows_which_expert_knows_which_finding():
    report = report_of()
    (site,) = report["experts"]
    rows = {row["key"]: row for row in site["by_finding"]}
    assert KEYS[0] not in rows  # nobody knows its labels
    known = rows[KEYS[1]]
    np.testing.assert_allclose(known["difference"], (-0.05, 0.15, -0.05, -0.05), atol=1e-6)
    assert known["positives"] + known["negatives"] == 40
    assert max(rows, key=lambda key: rows[key]["difference"][1]) == KEYS[1]
    assert "Experts and findings" in page(report)


def test_the_page_needs_nothing_else_and_escapes_what_it_is_told():
    html = page(report_of())
    assert re.findall(r"<(?:link|iframe)|src=(?!\"data:)|@import|url\(|https?://|fetch\(|import\(", html) == []
    assert "/&lt;script&gt;" in html
    assert "synthetic scans" not in html
    assert all(finding.name in html for finding in FINDINGS)


def test_a_report_without_any_positive_is_still_a_report():
    report = report_of(positives=False)
    json.dumps(report, allow_nan=False)
    assert report["macro"]["auc"]["value"] is None
    assert report["roc"] == []
    assert "no positives" in page(report)
    assert "undefined" in print_table(report)


def test_the_terminal_table_has_a_line_a_group_with_its_positives():
    report = report_of()
    lines = print_table(report).splitlines()
    assert len(lines) == len(GROUPS) + 4
    assert all(len(line) <= 110 for line in lines)
    hemorrhage = next(line for line in lines if line.startswith("Hemorrhage"))
    assert str(report["groups"][0]["positives"]) in hemorrhage.split()


def test_the_same_seed_gives_the_same_report():
    assert report_of() == report_of()

"""Filling a store: what is kept, what is refused, and what a killed run or worker leaves."""

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from molre.errors import ConfigError, StoreError
from molre.findings import KEYS
from molre.store import SPLITS, Store
from molre.store.fill import FillConfig, fill

SCRIPT = Path(__file__).with_name("invented_cohort.py")


def contents(folder):
    return {file.name: file.read_bytes() for file in Path(folder).glob("part-*.arrow")}


def test_refused_studies_are_counted_and_said_without_their_text(filled, invented, capsys):
    store = filled(invented.Invented(9, fates={1: "refuse", 4: "raise", 8: "refuse"}))
    counts = store.manifest.counts
    assert (counts["studies"], counts["rows"], counts["rejected_studies"], counts["rejected_files"]) == (9, 6, 3, 1)
    assert counts["ignored_files"] == 3
    with (Path(store.uri) / "rejected.csv").open() as file:
        refused = {row["path"]: (row["code"], row["sentence"]) for row in csv.DictReader(file)}
    assert set(refused) == {"broken.dcm", "folder/1", "folder/4", "folder/8"}
    assert refused["folder/1"] == ("GEO_TOO_FEW_SLICES", "there are too few")
    assert refused["folder/4"][0] == "ENC_FAILED"
    assert refused["folder/4"][1].startswith("reading it failed with ValueError at invented_cohort.py:")
    assert "DOE" not in (Path(store.uri) / "rejected.csv").read_text()
    assert "folder/" not in capsys.readouterr().out
    assert sorted(store.table(["study"])["study"].to_pylist()) == [f"s000{n}" for n in (0, 2, 3, 5, 6, 7)]


def test_a_second_run_changes_nothing(filled, invented):
    store = filled(invented.Invented(9, fates={1: "refuse"}))
    before = {file.name: file.stat().st_mtime_ns for file in Path(store.uri).glob("[pm]a*")}
    assert len(before) == 7
    filled(invented.Invented(9, fates={1: "raise", 2: "raise"}))  # would be refused, if any were read again
    assert {file.name: file.stat().st_mtime_ns for file in Path(store.uri).glob("[pm]a*")} == before


def test_a_grown_archive_is_added_to(filled, invented):
    before = contents(filled(invented.Invented(8)).uri)
    store = filled(invented.Invented(19))
    after = contents(store.uri)
    assert {name: after[name] for name in before} == before
    assert sorted(store.table(["study"])["study"].to_pylist()) == [f"s{n:04d}" for n in range(19)]


def test_changed_labels_are_written_again(filled, invented):
    filled(invented.Invented(8))
    store = filled(invented.Invented(8, positive=KEYS[5]))
    positive = store.manifest.counts["findings"][KEYS[5]]
    assert (positive["positives"], positive["known"]) == (4, 8)
    assert sum(positive[split] for split in SPLITS) == 4
    assert store.manifest.counts["findings"][KEYS[0]] == dict.fromkeys(("known", "positives", *SPLITS), 0)
    assert len(contents(store.uri)) == 2


def test_an_earlier_store_stays_readable_until_the_new_one_is_whole(filled, invented, monkeypatch, tmp_path):
    before = filled(invented.Invented(8))
    rows = before.volumes([3])
    read = invented.Invented.read

    def failing(self, case, grid):
        if case.study == "s0006":
            raise OSError(errno.ENOSPC, "No space left on device")
        return read(self, case, grid)

    monkeypatch.setattr(invented.Invented, "read", failing)
    monkeypatch.setattr("molre.store.fill._read", lambda source, case, grid: source.read(case, grid))
    with pytest.raises(StoreError, match=r"no space is left on its disk; run it again"):
        filled(invented.Invented(8, positive=KEYS[5]))
    again = Store.open(tmp_path / "store")
    again.verify()
    assert again.manifest == before.manifest
    assert np.array_equal(again.volumes([3]), rows)
    monkeypatch.undo()


def test_what_a_new_store_does_not_name_is_removed(filled, invented):
    filled(invented.Invented(12))
    store = filled(invented.Invented(12, positive=KEYS[5]))
    names = {part.name for part in store.manifest.parts}
    assert names == {f"part-{number:05d}.arrow" for number in (3, 4, 5)}
    left = {file.name for file in Path(store.uri).iterdir() if not file.name.startswith(".")}
    receipts = {name.replace(".arrow", ".json") for name in names}
    assert left == names | receipts | {store.manifest.index.name, "manifest.json", "rejected.csv"}


def test_a_cohort_out_of_reach_ends_the_run_and_refuses_nobody(filled, invented, monkeypatch, tmp_path):
    read = invented.Invented.read

    def unreachable(self, case, grid):
        if case.study >= "s0005":
            raise StoreError("the archive is out of reach: run it again")
        return read(self, case, grid)

    monkeypatch.setattr(invented.Invented, "read", unreachable)
    with pytest.raises(StoreError, match="out of reach"):
        filled(invented.Invented(9))
    monkeypatch.setattr(invented.Invented, "read", read)
    assert filled(invented.Invented(9)).rows == 9


def test_nothing_readable_is_an_error_that_says_where_to_look(filled, invented, tmp_path):
    with pytest.raises(StoreError, match=r"no study could be read: 3 studies and 1 files were rejected"):
        filled(invented.Invented(3, fates=dict.fromkeys(range(3), "refuse")))
    assert (tmp_path / "store" / "rejected.csv").exists()
    with pytest.raises(StoreError, match="no store"):
        Store.open(tmp_path / "store")


def test_a_store_that_cannot_be_written_is_one_line(filled, invented, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot fill the store at .*file"):
        filled(invented.Invented(2), tmp_path / "file")


def test_rows_per_part_must_be_positive(invented):
    with pytest.raises(ConfigError, match="rows per part is 0"):
        FillConfig(grid=invented.GRID, rows_per_part=0)


@pytest.mark.ray
def test_a_study_that_kills_its_worker_is_refused_and_its_neighbours_are_kept(ray_cluster, invented, tmp_path):
    config = FillConfig(grid=invented.GRID, rows_per_part=4)
    store = fill(invented.Invented(8, fates={2: "crash"}), tmp_path, config)
    assert (store.rows, store.manifest.counts["rejected_studies"]) == (7, 1)
    assert "folder/2,ENC_CRASHED,reading it killed its process 3 times" in (tmp_path / "rejected.csv").read_text()
    store.verify()
    assert not [file for file in tmp_path.iterdir() if file.name.endswith(".tmp") or file.name.startswith(".attempt")]


@pytest.mark.ray
def test_a_killed_run_run_again_gives_the_same_bytes(ray_cluster, invented, tmp_path):
    import ray

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    first = subprocess.Popen([sys.executable, SCRIPT, killed, "30", "4", "0.1", "7:refuse"], env=environment)
    deadline = time.monotonic() + 60
    while len(list(killed.glob("part-*.json"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in killed.glob("part-*.json")}
    assert len(kept) < 8
    with pytest.raises(StoreError, match="incomplete"):
        Store.open(killed)
    cohort, config = invented.Invented(30, fates={7: "refuse"}), FillConfig(grid=invented.GRID, rows_per_part=4)
    store, undisturbed = fill(cohort, killed, config), fill(cohort, whole, config)
    assert contents(killed) == contents(whole)
    assert store.manifest.parts == undisturbed.manifest.parts
    assert kept.items() <= {file.name: file.stat().st_mtime_ns for file in killed.glob("part-*.json")}.items()
    store.verify()
    assert store.table(["study"])["study"].to_pylist() == [f"s{n:04d}" for n in range(30) if n != 7]
    assert np.array_equal(store.volumes([7])[0], invented.voxels(8))
    assert (killed / "rejected.csv").read_bytes() == (whole / "rejected.csv").read_bytes()

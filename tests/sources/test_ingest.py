"""From files to a store, through the sources and the job."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from molre.errors import ConfigError, StoreError
from molre.findings import KEYS
from molre.phantom.protocol import scanners
from molre.sources.ingest import IngestConfig, ingest
from molre.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(monkeypatch):
    """Fills stores in this process, without a cluster."""
    from molre.store import fill

    monkeypatch.setattr(fill, "spread", lambda function, items: ((item, function(item)) for item in items))


def dicom(archive, tmp_path, **flags):
    flags.setdefault("root", str(archive.root if archive else tmp_path))
    return IngestConfig(source="dicom", store=str(tmp_path / "store"), key_file=str(tmp_path / "key"), **flags)


def test_an_archive_becomes_rows_and_refusals_that_add_up(here, archive, tmp_path, capsys):
    uids = [study.study_uid for study in archive.studies]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"study,{KEYS[0]},split\n{uids[0]},1,\n{uids[2]},0,val\n9.9.9,1,\n")
    store = ingest(dicom(archive, tmp_path, labels=str(labels)))
    counts = store.manifest.counts
    assert (counts["studies"], counts["rows"], counts["rejected_studies"], counts["patients"]) == (5, 4, 1, 3)
    assert counts["label_rows_unmatched"] == 1
    assert counts["ignored_files"] >= 1
    with (tmp_path / "store" / "rejected.csv").open() as file:
        refused = {row["path"]: row["code"] for row in csv.DictReader(file)}
    assert {"text.dcm", "cut.dcm"} <= set(refused)
    assert [code for path, code in refused.items() if path.startswith("clinic/")] == ["VAL_NO_RESCALE"]
    known = store.labels()[:, 0]
    assert sorted(known) == [-1, -1, 0, 1]
    rows = store.table(["split", "patient", "manufacturer", "slice_count", "choice"]).to_pylist()
    assert rows[int(np.flatnonzero(known == 0)[0])]["split"] == "val"
    assert {row["manufacturer"] for row in rows} <= {scanner.manufacturer for scanner in scanners().values()}
    assert all(row["slice_count"] >= 24 and row["choice"] for row in rows)
    told = capsys.readouterr().out
    assert "DOE" not in told
    assert all(uid not in told for uid in uids)


def test_nothing_in_a_part_names_a_patient(here, archive, tmp_path):
    store = ingest(dicom(archive, tmp_path))
    data = b"".join(file.read_bytes() for file in Path(store.uri).glob("*") if file.name != "rejected.csv")
    for study in archive.studies:
        for text in (study.patient, study.study_uid, study.series_uid, "DOE^JANE"):
            assert text.encode() not in data


def test_the_real_head_ct_is_one_row_with_its_repairs_beside_it(here, head_ct_ge, tmp_path):
    store = ingest(dicom(None, tmp_path, root=str(head_ct_ge), grid="head-5mm"))
    (row,) = store.table().to_pylist()
    assert {repair.split(":")[0] for repair in row["repairs"]} >= {"GEO_TILT", "GEO_IRREGULAR_STEP"}
    assert abs(row["tilt_deg"]) == pytest.approx(18.5, abs=0.2)
    assert row["slice_count"] == 28
    hu = store.volumes([0])[0]
    assert hu.shape == (32, 224, 224)
    assert 20 < np.median(hu[14:18, 90:130, 90:130]) < 60


def test_every_attribute_of_the_reader_has_its_column(archive):
    from molre.dicom import read_study, scan
    from molre.store import ATTRIBUTES

    study = scan(archive.path_of(2)).studies[0]
    assert set(read_study(study).attributes) == set(ATTRIBUTES)


def test_the_key_decides_the_pseudonyms_and_is_private(here, archive, tmp_path):
    names = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        store = ingest(dicom(archive, tmp_path / run))
        names.append(set(store.table(["study"])["study"].to_pylist()))
    assert not names[0] & names[1]
    assert (tmp_path / "a" / "key").stat().st_mode & 0o777 == 0o600


def test_what_travels_to_workers_holds_no_key(archive, tmp_path):
    import pickle

    from molre.sources.registry import source_of
    from molre.store.spread import spread

    source = source_of(dicom(archive, tmp_path))
    cases = source.find(spread).cases
    key = (tmp_path / "key").read_bytes()
    assert key not in pickle.dumps((source, cases))


def test_an_empty_folder_is_said_so(here, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "notes.txt").write_text("hello")
    config = IngestConfig(
        source="dicom", root=str(tmp_path / "root"), store=str(tmp_path / "store"), key_file=str(tmp_path / "k")
    )
    with pytest.raises(ConfigError, match=r"no DICOM files under .*root \(1 other files\)"):
        ingest(config)


def test_an_archive_of_which_nothing_is_readable_makes_no_store(here, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.dcm").write_text("this is no DICOM")
    config = IngestConfig(
        source="dicom", root=str(tmp_path / "root"), store=str(tmp_path / "store"), key_file=str(tmp_path / "k")
    )
    with pytest.raises(StoreError, match=r"0 studies and 1 files were rejected, see .*rejected\.csv"):
        ingest(config)
    assert "a.dcm,ENC_NOT_DICOM" in (tmp_path / "store" / "rejected.csv").read_text()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"source": "bhsd"}, r"unknown source 'bhsd': choose from phantom, dicom, nifti, rsna, cq500, physionet"),
        ({"source": "dicom"}, r"needs --root"),
        ({"source": "dicom", "root": "/nowhere/at/all"}, r"no such folder: /nowhere/at/all"),
        ({"source": "phantom", "root": "gs://anonymous@bucket/x"}, r"local or mounted folder"),
    ],
)
def test_what_cannot_be_ingested_is_said_in_one_line(here, tmp_path, flags, told):
    with pytest.raises(ConfigError, match=told):
        ingest(IngestConfig(store=str(tmp_path / "store"), key_file=str(tmp_path / "k"), **flags))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"grid": "head"}, "unknown grid 'head': choose from demo"),
        ({"split": (0.5, 0.1, 0.1)}, "together 1"),
        ({"labels": "x.csv"}, "phantom brings its own labels"),
    ],
)
def test_flags_that_contradict_are_refused_before_anything_is_read(flags, told):
    with pytest.raises(ConfigError, match=told):
        IngestConfig(**flags)


def test_the_phantom_is_written_once_and_read_as_any_archive(here, tmp_path):
    config = IngestConfig(studies=5, seed=1, store=str(tmp_path / "store"))
    store = ingest(config)
    root = tmp_path / "phantom"
    written = {file: file.stat().st_mtime_ns for file in (root / "dicom").rglob("*") if file.is_file()}
    assert (tmp_path / "phantom.png").read_bytes().startswith(b"\x89PNG")
    assert store.rows == 5
    assert (store.labels() >= 0).all()
    parts = store.manifest.parts
    (root / "dicom" / ".half-1234").mkdir()
    assert ingest(config).manifest.parts == parts
    assert {file: file.stat().st_mtime_ns for file in (root / "dicom").rglob("*") if file.is_file()} == written
    assert not (root / "dicom" / ".half-1234").exists()
    other = IngestConfig(
        source="dicom", root=str(root), labels=str(root / "labels.csv"), store=str(tmp_path / "other"),
        key_file=str(tmp_path / "key"),
    )  # fmt: skip
    as_dicom = ingest(other)
    assert sorted(map(tuple, as_dicom.labels())) == sorted(map(tuple, store.labels()))
    with pytest.raises(ConfigError, match="holds another phantom cohort"):
        ingest(IngestConfig(studies=5, seed=2, store=str(tmp_path / "store")))


def job(*flags, home):
    environment = os.environ | {"MOLRE_HOME": str(home), "HOME": str(home)}
    command = [sys.executable, REPOSITORY / "jobs" / "ingest.py", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=300)


def test_the_job_ends_with_one_line_on_a_users_error(tmp_path):
    (tmp_path / "empty").mkdir()
    ended = job("--source", "dicom", "--root", tmp_path / "empty", "--store", tmp_path / "store", home=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        2,
        f"error: no DICOM files under {tmp_path / 'empty'} (0 other files)\n",
    )


@pytest.mark.ray
def test_the_job_fills_a_store_on_the_cluster(ray_cluster, tmp_path, monkeypatch):
    import ray

    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    ended = job("--studies", 6, "--rows-per-part", 4, "--store", tmp_path / "store", home=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "6 studies found = 6 rows + 0 rejected (4 patients)" in ended.stdout
    summary = json.loads((tmp_path / "store" / "summary.json").read_text())
    assert summary["counts"]["rows"] == 6
    assert summary["config"]["studies"] == 6
    store = Store.open(tmp_path / "store")
    store.verify()
    assert store.grid.name == "demo"
    assert store.manifest.source == "phantom"

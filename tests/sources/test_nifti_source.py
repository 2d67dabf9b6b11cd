"""A tree of NIfTI files becomes a store: a file a study, each a row or a refusal."""

import os
import pickle

import numpy as np
import pytest
from public_trees import head, in_this_process, ingested, known, one_by_one, read_csv, write_nifti

from molre.errors import ConfigError
from molre.findings import KEYS
from molre.location import Location
from molre.sources.ingest import IngestConfig
from molre.sources.registry import source_of

A, B = KEYS[0], KEYS[19]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    in_this_process(monkeypatch)


@pytest.fixture
def tree(tmp_path):
    """Six heads, two of one BIDS subject, with a mask, a broken file, a text file and a copy beside."""
    root = tmp_path / "root"
    for name in (
        "sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz", "sub-01/ses-2/ct/sub-01_ses-2_ct.nii.gz", "other/one.nii",
        "other/two.NII.GZ", "a/ct.nii.gz", "b/ct.nii",
    ):  # fmt: skip
        write_nifti(root / name)
    write_nifti(root / "sub-01/ses-1/ct/sub-01_ses-1_mask.nii.gz", (head() > 0).astype(np.int16))
    write_nifti(root / "other/one.nii.gz")
    whole = (root / "a" / "ct.nii.gz").read_bytes()
    (root / "a" / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "._ct.nii.gz").write_bytes(b"\0\5\x16\7")
    (root / "text.nii").write_text("no scan at all")
    (root / "labels.tsv").write_text("x")
    (root / "linked").symlink_to(root / "other")
    return root


def labels(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    return str(tmp_path / "labels.csv")


def test_every_file_is_a_row_or_a_refusal(tree, tmp_path):
    store, rows, refused = ingested("nifti", tree, tmp_path)
    assert set(rows) == {
        "sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz", "sub-01/ses-2/ct/sub-01_ses-2_ct.nii.gz", "other/one.nii",
        "other/two.NII.GZ", "a/ct.nii.gz", "b/ct.nii",
    }  # fmt: skip
    assert refused == {
        "sub-01/ses-1/ct/sub-01_ses-1_mask.nii.gz": "NIFTI_NOT_HU",
        "other/one.nii.gz": "NIFTI_DUPLICATE",
        "a/cut.nii.gz": "NIFTI_DAMAGED",
        "text.nii": "NIFTI_NOT_NIFTI",
    }
    counts = store.manifest.counts
    assert (counts["studies"], counts["rows"], counts["rejected_studies"], counts["rejected_files"]) == (9, 6, 3, 1)
    assert (counts["ignored_files"], counts["linked_folders"], counts["patients"]) == (2, 1, 5)
    one, again = (rows[f"sub-01/ses-{n}/ct/sub-01_ses-{n}_ct.nii.gz"] for n in (1, 2))
    assert (one["patient"], one["split"]) == (again["patient"], again["split"])
    assert one["study"] != again["study"]
    assert {(row["slice_count"], row["step_mm"], row["coverage_mm"], row["tilt_deg"]) for row in rows.values()} == {
        (5, 8.0, 32.0, 0.0)
    }
    assert {row["choice"] for row in rows.values()} == {"the only volume"}
    assert all(row["manufacturer"] is None and row["repairs"] == [] for row in rows.values())
    volumes = store.volumes(range(store.rows))
    assert all(np.array_equal(volume, volumes[0]) for volume in volumes)
    assert not any(value for row in rows.values() for value in known(row))


def test_labels_name_files_by_path_or_bare_name(tree, tmp_path):
    text = (
        f"study,patient,{A},{B},split\n"
        "sub-01/ses-1/ct/sub-01_ses-1_ct,,1,,\n"  # by path
        "two,P9,0,1,val\n"  # by bare name, with a patient
        "one.nii,P9,,1,\n"  # with its ending
        "ct,,1,1,\n"  # two files are called so: none is meant
        ",sub-01,,0,\n"  # a patient's row
        ",P9,1,,\n"
        "nothing,,1,1,\n"
    )
    store, rows, _ = ingested("nifti", tree, tmp_path, labels=labels(tmp_path, text))
    assert known(rows["sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz"]) == {A: 1, B: 0}
    assert known(rows["sub-01/ses-2/ct/sub-01_ses-2_ct.nii.gz"]) == {B: 0}
    two, one = rows["other/two.NII.GZ"], rows["other/one.nii"]
    assert (known(two), known(one)) == ({A: 0, B: 1}, {A: 1, B: 1})
    assert (two["patient"], two["split"]) == (one["patient"], "val")
    assert one["split"] == "val"
    assert known(rows["a/ct.nii.gz"]) == known(rows["b/ct.nii"]) == {}
    assert store.manifest.counts["label_rows_unmatched"] == 2


def test_running_again_keeps_what_is_there_and_reads_what_changed(tree, tmp_path):
    store, rows, _ = ingested("nifti", tree, tmp_path)
    parts = store.manifest.parts
    assert ingested("nifti", tree, tmp_path)[0].manifest.parts == parts
    write_nifti(tree / "b/ct.nii", head(slices=7))
    changed = ingested("nifti", tree, tmp_path)[1]
    assert changed["b/ct.nii"]["slice_count"] == 7
    assert changed["b/ct.nii"]["study"] == rows["b/ct.nii"]["study"]


def test_another_key_gives_other_names_and_does_not_travel(tree, tmp_path):
    rows = ingested("nifti", tree, tmp_path)[1]
    (tmp_path / "b").mkdir()
    other = ingested("nifti", tree, tmp_path / "b")[1]
    for name in ("study", "patient", "series"):
        assert not {row[name] for row in rows.values()} & {row[name] for row in other.values()}
    config = IngestConfig(source="nifti", root=str(tree), store="x", key_file=str(tmp_path / "key"))
    source = source_of(config)
    cases = source.find(one_by_one).cases
    assert (tmp_path / "key").read_bytes() not in pickle.dumps((source, cases))


def test_paths_that_look_like_a_person_are_hidden_where_they_are_shown(tmp_path):
    root = tmp_path / "root"
    write_nifti(root / "plain.nii")
    (root / "DOE^JANE" / "19600402").mkdir(parents=True)
    (root / "DOE^JANE" / "19600402" / "ct.nii").write_text("no scan")
    refused = ingested("nifti", root, tmp_path)[2]
    (path,) = refused
    assert "DOE" not in path
    assert "1960" not in path
    assert path.endswith("/ct.nii")
    assert path in {line["shown"] for line in read_csv(tmp_path / "linkage.csv")}


def test_names_that_are_no_utf_8_are_read(tmp_path):
    root = tmp_path / "root"
    write_nifti(root / "plain.nii").rename(os.fsdecode(os.fsencode(root) + b"/caf\xe9.nii"))
    write_nifti(root / "café.nii")
    assert ingested("nifti", root, tmp_path)[0].rows == 2


def test_a_single_file_may_be_the_root(tmp_path):
    assert set(ingested("nifti", write_nifti(tmp_path / "in" / "ct.nii.gz"), tmp_path)[1]) == {"ct.nii.gz"}


def test_a_file_that_cannot_be_read_is_refused_and_a_lost_root_ends_the_run(tree, tmp_path):
    from molre.errors import Rejection, StoreError
    from molre.volume import GRIDS

    source = source_of(IngestConfig(source="nifti", root=str(tree), store="x", key_file=str(tmp_path / "key")))
    case = source.find(one_by_one).cases[0]
    (tree / case.file).unlink()
    with pytest.raises(Rejection, match="ENC_UNREADABLE"):
        source.read(case, GRIDS["demo"])
    tree.rename(tmp_path / "away")
    with pytest.raises(StoreError, match="out of reach"):
        source.read(case, GRIDS["demo"])


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, "--source nifti needs --root, the folder of the NIfTI files"),
        ({"root": "/nowhere/at/all"}, "no such folder: /nowhere/at/all"),
        ({"root": "EMPTY"}, r"no .nii or .nii.gz files under .*empty \(1 other files\)"),
        ({"root": "TREE", "labels": "/nowhere.csv"}, "no labels file at /nowhere.csv"),
        ({"root": "TREE", "key_file": "SHORT"}, "the pseudonym key .*short is too short"),
    ],
)
def test_what_cannot_be_ingested_is_said_in_one_line(tree, tmp_path, flags, told):
    from molre.sources.ingest import ingest

    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("hello")
    (tmp_path / "short").write_bytes(b"cut")
    places = {"EMPTY": str(tmp_path / "empty"), "TREE": str(tree), "SHORT": str(tmp_path / "short")}
    flags = {"key_file": str(tmp_path / "k")} | {name: places.get(value, value) for name, value in flags.items()}
    with pytest.raises(ConfigError, match=told):
        ingest(IngestConfig(source="nifti", store=str(tmp_path / "store"), **flags))


def test_a_tree_in_s3_gives_the_same_rows(tree, tmp_path, monkeypatch):
    server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")
    import pyarrow.fs as pafs

    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    endpoint = "http://{}:{}".format(*running.get_host_and_port())
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ENDPOINT_URL", endpoint)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    try:
        pafs.S3FileSystem(allow_bucket_creation=True, region="us-east-1", endpoint_override=endpoint).create_dir(
            "archive"
        )
        (tree / "linked").unlink()
        Location.of("s3://archive/heads").upload(tree)
        Location.of("s3://archive/labels.csv").write_bytes(f"study,{A}\ntwo,1\n".encode())
        local = ingested("nifti", tree, tmp_path, labels=labels(tmp_path, f"study,{A}\ntwo,1\n"))
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "key").write_bytes((tmp_path / "key").read_bytes())
        remote = ingested("nifti", "s3://archive/heads", tmp_path / "b", labels="s3://archive/labels.csv")
    finally:
        running.stop()
    assert remote[1] == local[1]
    assert remote[2] == local[2]
    assert np.array_equal(remote[0].volumes([0, 3]), local[0].volumes([0, 3]))

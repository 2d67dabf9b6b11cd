"""From and to object storage: an archive in S3 gives the store that its copy on disk gives, on a real server."""

import csv
import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from molre.errors import StoreError
from molre.findings import KEYS
from molre.location import Location
from molre.sources.ingest import IngestConfig, ingest
from molre.store import Store

server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")

REPOSITORY = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")
BUCKET = "archive"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


READER = """
import sys
from molre.location import Location
from molre.tree import Tree
with Tree(Location.of(sys.argv[1])).brought(sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Storage:
    """An S3 server on this machine with one bucket; what it holds outlives its being stopped."""

    def __init__(self, port: int = 0) -> None:
        self.start(port)

    def start(self, port: int = 0) -> None:
        self.running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        self.running.start()
        self.host, self.port = self.running.get_host_and_port()

    def stop(self) -> None:
        self.running.stop()

    @property
    def environment(self) -> dict:
        return ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}"}

    def client(self):
        import boto3

        return boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"])

    def put(self, folder: Path, name: str) -> None:
        """All files below a folder."""
        client = self.client()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            client.put_object(Bucket=BUCKET, Key=f"{name}/{file.relative_to(folder)}", Body=file.read_bytes())

    def names(self, folder: str) -> list[str]:
        selector = pafs.FileSelector(f"{BUCKET}/{folder}", recursive=True, allow_not_found=True)
        infos = Location.of(f"s3://{BUCKET}").filesystem.get_file_info(selector)
        return [info.path.removeprefix(f"{BUCKET}/{folder}/") for info in infos if info.is_file]


@pytest.fixture
def storage(monkeypatch):
    """The server, and this process told of it."""
    found = Storage()
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    reset = urllib.request.Request(f"{found.environment['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=30).close()  # servers of one process share what they hold
    found.client().create_bucket(Bucket=BUCKET)
    yield found
    found.stop()


@pytest.fixture
def here(monkeypatch):
    """Fills stores in this process, without a cluster."""
    from molre.store import fill

    monkeypatch.setattr(fill, "spread", lambda function, items: ((item, function(item)) for item in items))


@pytest.fixture
def labels(archive, tmp_path) -> Path:
    """A table that knows two studies of the archive, and one that it has not."""
    uids = [study.study_uid for study in archive.studies]
    file = tmp_path / "labels.csv"
    file.write_text(f"study,{KEYS[0]},split\n{uids[0]},1,\n{uids[2]},0,val\n9.9.9,1,\n")
    return file


def config(tmp_path: Path, **flags) -> IngestConfig:
    flags = {"root": f"s3://{BUCKET}/in", "labels": f"s3://{BUCKET}/labels.csv", "store": f"s3://{BUCKET}/out"} | flags
    return IngestConfig(source="dicom", rows_per_part=2, key_file=str(tmp_path / "key"), **flags)


def uploaded(storage: Storage, archive, labels: Path) -> None:
    storage.put(archive.root, "in")
    storage.client().put_object(Bucket=BUCKET, Key="labels.csv", Body=labels.read_bytes())


def contents(place: str) -> dict:
    """What two stores of the same archive share: receipts name the times of files, which differ."""
    folder = Location.of(place)
    names = [name for name in folder.names() if name.endswith((".arrow", ".csv"))]
    manifest = json.loads((folder / "manifest.json").read_bytes()) | {"created": ""}
    return {"manifest": manifest} | {name: (folder / name).read_bytes() for name in names}


def refused(place: str) -> dict:
    text = (Location.of(place) / "rejected.csv").read_bytes().decode()
    return {row["path"]: row["code"] for row in csv.DictReader(io.StringIO(text))}


class Watch:
    """What lies in a folder while something runs: the most copies, and the most bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.copies, self.bytes, self._ended = folder, 0, 0, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.002):
            found = [[file for file in one.glob("*") if file.suffix != ".tmp"] for one in self.folder.iterdir()]
            copies = [files for files in found if files]
            sizes = [_size(file) for files in copies for file in files]
            self.copies, self.bytes = max(self.copies, len(copies)), max(self.bytes, sum(sizes))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def test_an_archive_in_s3_gives_the_store_of_its_copy_on_disk(here, storage, archive, labels, tmp_path, monkeypatch):
    uploaded(storage, archive, labels)
    (tmp_path / "aside").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "aside"))
    with Watch(tmp_path / "aside") as watch:
        remote = ingest(config(tmp_path))
    remote.verify()
    local = ingest(config(tmp_path, root=str(archive.root), labels=str(labels), store=str(tmp_path / "out")))
    assert contents(remote.uri) == contents(local.uri)
    counts = remote.manifest.counts
    assert (counts["studies"], counts["rows"], counts["rejected_studies"]) == (5, 4, 1)
    assert (counts["label_rows_unmatched"], counts["linked_folders"]) == (1, 0)
    assert {"text.dcm": "ENC_NOT_DICOM", "cut.dcm": "ENC_TRUNCATED"}.items() <= refused(remote.uri).items()
    assert not [name for name in storage.names("out") if name.startswith(".")]
    studies = [sum(map(_size, archive.path_of(number).iterdir())) for number in range(5)]
    assert watch.copies == 1
    assert 0 < watch.bytes <= max(studies)
    assert not list((tmp_path / "aside").iterdir())


def test_copies_that_a_killed_reader_left_are_removed_by_the_next(storage, archive, tmp_path):
    storage.put(archive.path_of(0), "in")
    names = storage.names("in")[:5]

    def reader() -> subprocess.Popen:
        """A process that holds copies of the files until it is told to go on."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", READER, f"s3://{BUCKET}/in", *names]
        process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path)}, cwd=REPOSITORY, **pipes)
        assert process.stdout.readline() == "held\n"
        return process

    two = [reader(), reader()]
    assert [len(list(copy.iterdir())) for copy in tmp_path.iterdir()] == [len(names)] * 2
    assert {stat.S_IMODE(copy.stat().st_mode) for copy in tmp_path.iterdir()} == {0o700}
    for process in two:
        process.kill()
        process.communicate()
    third = reader()
    assert len(list(tmp_path.iterdir())) == 1
    third.communicate("go\n")
    assert not list(tmp_path.iterdir())


def test_an_object_that_cannot_be_fetched_refuses_its_study_only(here, storage, archive, labels, tmp_path):
    uploaded(storage, archive, labels)
    victim = sorted(file for file in archive.path_of(2).iterdir() if file.suffix != ".txt")[3]
    key = f"in/{victim.relative_to(archive.root)}"
    storage.client().put_object(Bucket=BUCKET, Key=key, Body=victim.read_bytes(), StorageClass="GLACIER")
    store = ingest(config(tmp_path))
    assert (store.rows, store.manifest.counts["rejected_studies"]) == (3, 2)
    assert sorted(code for path, code in refused(store.uri).items() if "/" in path) == [
        "ENC_UNREADABLE",
        "VAL_NO_RESCALE",
    ]


def test_a_store_in_s3_is_gone_on_with(here, storage, archive, labels, tmp_path):
    uploaded(storage, archive, labels)
    whole = contents(ingest(config(tmp_path)).uri)
    for name in ("manifest.json", "part-00001.json"):
        (Location.of(f"s3://{BUCKET}/out") / name).delete()
    with pytest.raises(StoreError, match="incomplete"):
        Store.open(f"s3://{BUCKET}/out")
    assert contents(ingest(config(tmp_path)).uri) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("remote", r"cannot fill the store at s3://archive/out: AWS Error NETWORK_CONNECTION; run it again .*"),
        ("local", r"s3://archive/in is out of reach: run the same command again .*"),
    ],
    ids=["remote", "local"],
)
def test_a_server_that_goes_away_ends_the_run_and_refuses_nobody(
    storage, archive, labels, tmp_path, monkeypatch, store, told
):
    from molre.store import fill

    uploaded(storage, archive, labels)
    flags = {} if store == "remote" else {"store": str(tmp_path / "out")}
    steps = []

    def stopping(function, items):
        for item in items:
            steps.append(item)
            if len(steps) == 2:
                storage.stop()
            yield item, function(item)

    monkeypatch.setattr(fill, "spread", stopping)
    with pytest.raises(StoreError) as raised:
        ingest(config(tmp_path, **flags))
    assert re.fullmatch(told, str(raised.value))
    monkeypatch.setattr(fill, "spread", lambda function, items: ((item, function(item)) for item in items))
    storage.start(storage.port)
    (Location.of(f"s3://{BUCKET}/out") / ".writer.lock").delete()
    finished = ingest(config(tmp_path, **flags))
    assert (finished.rows, finished.manifest.counts["rejected_studies"]) == (4, 1)
    finished.verify()
    whole = ingest(config(tmp_path, root=str(archive.root), labels=str(labels), store=str(tmp_path / "whole")))
    assert contents(finished.uri) == contents(whole.uri)


def submitted(command: list) -> subprocess.CompletedProcess:
    """The job's end, by a client that knows nothing of the storage; a cluster just started has no agent at first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for _ in range(20):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=environment)
        if "No available agent" not in done.stderr:
            break
        time.sleep(1)
    return done


@pytest.mark.ray
@pytest.mark.slow
def test_the_job_on_a_cluster_whose_workers_are_told_of_the_storage(
    ray_cluster, storage, archive, labels, tmp_path, monkeypatch
):
    uploaded(storage, archive, labels)
    told = json.dumps({"env_vars": storage.environment})
    command = [RAY, "job", "submit", "--address", ray_cluster, "--working-dir", REPOSITORY, "--runtime-env-json", told]
    command += ["--", "python", "jobs/ingest.py", "--source", "dicom", "--root", f"s3://{BUCKET}/in"]
    command += ["--labels", f"s3://{BUCKET}/labels.csv", "--store", f"s3://{BUCKET}/out", "--rows-per-part", "2"]
    command += ["--key-file", tmp_path / "key"]
    done = submitted(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 studies found = 4 rows + 1 rejected (3 patients)" in done.stdout
    store = Store.open(f"s3://{BUCKET}/out")
    store.verify()
    from molre.store import fill

    monkeypatch.setattr(fill, "spread", lambda function, items: ((item, function(item)) for item in items))
    local = ingest(config(tmp_path, root=str(archive.root), labels=str(labels), store=str(tmp_path / "out")))
    assert contents(store.uri) == contents(local.uri)
    assert {"summary.json", "config.yaml"} <= set(storage.names("out"))

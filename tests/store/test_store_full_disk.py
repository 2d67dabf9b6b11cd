"""A disk that fills up, for real: one clear line, nothing left behind, and a store that still opens."""

import functools
import importlib.util
import os
import resource
import runpy
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest

from molre.dicom import Pseudonymiser, load_key
from molre.errors import ConfigError, StoreError
from molre.findings import KEYS
from molre.sources.dicom import DicomSource
from molre.store import Store
from molre.store.fill import FillConfig, fill

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = 4096


@dataclass(frozen=True)
class Disk:
    """A file system in memory, so small that it is soon full."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store"

    def leave(self, pages: int) -> None:
        """Take all space but so many pages."""
        filler, free = self.root / "filler", os.statvfs(self.root).f_bavail
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, (free - pages) * PAGE)
        assert os.statvfs(self.root).f_bavail == pages

    def free(self) -> None:
        """Give the space back."""
        (self.root / "filler").unlink()

    def clear(self) -> None:
        """Remove everything."""
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MiB."""
    root = tmp_path / "disk"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", root], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield Disk(root)
    subprocess.run(["umount", "--lazy", root], check=True)


def contents(folder) -> dict[str, bytes]:
    """What makes the store, apart from when it was made."""
    files = {file.name: file.read_bytes() for file in Path(folder).iterdir() if not file.name.startswith(".")}
    del files["manifest.json"]
    return files


def left_over(folder) -> list[str]:
    return [file.name for file in Path(folder).iterdir() if file.name.startswith(".") and file.suffix != ".lock"]


def assert_clear(error: StoreError, folder) -> None:
    said = f"cannot fill the store at {folder}: no space is left on its disk; run it again when that is mended"
    assert str(error) == said


def test_wherever_a_first_run_meets_the_end_of_the_disk_the_next_one_finishes(filled, invented, disk, tmp_path):
    cohort = invented.Invented(9, fates={4: "refuse"})
    whole = filled(cohort, tmp_path / "whole")
    pages, met = 0, set()
    while True:
        disk.clear()
        disk.leave(pages)
        try:
            filled(cohort, disk.store)
        except StoreError as error:
            assert_clear(error, disk.store)
        else:
            break
        assert not disk.store.exists() or not left_over(disk.store)
        met.add(len(list(disk.store.glob("*"))) if disk.store.exists() else -1)
        with pytest.raises(StoreError, match=r"no store|incomplete"):
            Store.open(disk.store)
        disk.free()
        store = filled(cohort, disk.store)
        store.verify()
        assert store.manifest.parts == whole.manifest.parts
        assert contents(disk.store) == contents(whole.uri)
        pages += 1
    # Among the places were a part, a receipt, rejected.csv, the index and the manifest.
    assert len(met) >= 8


def test_wherever_a_grown_store_meets_the_end_of_the_disk_the_earlier_one_opens(filled, invented, disk, tmp_path):
    small, large = invented.Invented(9, fates={4: "refuse"}), invented.Invented(15, positive=KEYS[5])
    filled(small, tmp_path / "whole")
    whole = filled(large, tmp_path / "whole")
    pages, failed = 0, 0
    while True:
        disk.clear()
        before = filled(small, disk.store)
        earlier = before.volumes(range(before.rows))
        disk.leave(pages)
        try:
            filled(large, disk.store)
        except StoreError as error:
            assert_clear(error, disk.store)
        else:
            break
        assert not left_over(disk.store)
        again = Store.open(disk.store)
        again.verify()
        assert again.manifest == before.manifest
        assert np.array_equal(again.volumes(range(again.rows)), earlier)
        disk.free()
        filled(large, disk.store).verify()
        assert contents(disk.store) == contents(whole.uri)
        pages, failed = pages + 1, failed + 1
    assert failed >= 8


def write_study(folder) -> None:
    """A small DICOM study, by the scanner of the DICOM tests."""
    place = Path(__file__).parents[1] / "dicom" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_scanner", place)
    scanner = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(scanner)
    scanner.write(scanner.Scan(shape=(128, 128), pixel_mm=(1.5, 1.5)), folder)


@pytest.fixture
def job(monkeypatch, capfd, tmp_path):
    """Run jobs/ingest.py in this process, without a cluster, on a small archive; gives exit status and stderr."""
    from molre.store import fill

    monkeypatch.setattr(fill, "spread", lambda function, items: ((item, function(item)) for item in items))
    write_study(tmp_path / "archive")

    def ran(store):
        flags = ["--source", "dicom", "--root", tmp_path / "archive", "--key-file", tmp_path / "key", "--store", store]
        monkeypatch.setattr(sys, "argv", ["ingest.py", *map(str, flags), "--rows-per-part", "1"])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(REPOSITORY / "jobs" / "ingest.py"), run_name="__main__")
        return stop.value.code, capfd.readouterr().err

    return ran


def test_the_job_says_it_in_one_line_and_finishes_when_run_again(disk, job, tmp_path):
    assert job(tmp_path / "whole") == (0, "")
    needed = sum(-(-file.stat().st_size // PAGE) for file in (tmp_path / "whole").iterdir())
    told = []
    for pages in (0, needed // 2, *range(needed - 6, needed)):
        disk.clear()
        disk.leave(pages)
        status, said = job(disk.store)
        assert status == 2, said
        assert said.startswith("error: cannot ")
        assert said.count("\n") == 1
        assert "no space is left on its disk" in said
        assert not left_over(disk.store)
        told.append(said)
        disk.free()
        assert job(disk.store) == (0, "")
        kept, whole = contents(disk.store), contents(tmp_path / "whole")
        assert kept.keys() == whole.keys()
        assert {name for name in kept if kept[name] != whole[name]} <= {"summary.json", "config.yaml"}
        Store.open(disk.store).verify()
    assert any("summary" in said for said in told)


@pytest.fixture
def remote_archive(tmp_path, monkeypatch):
    """URI of a study on a real S3 server on this machine."""
    server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in (
        ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ENDPOINT_URL", f"http://{host}:{port}"),
        ("DEFAULT_REGION", "us-east-1"), ("EC2_METADATA_DISABLED", "true"),
    ):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    there = pafs.S3FileSystem(allow_bucket_creation=True, endpoint_override=f"http://{host}:{port}")
    there.create_dir("archive")
    write_study(tmp_path / "archive")
    pafs.copy_files(str(tmp_path / "archive"), "archive/ct", destination_filesystem=there)
    yield "s3://archive/ct"
    running.stop()


def test_a_full_disk_here_refuses_no_study_of_a_remote_archive(filled, disk, remote_archive, tmp_path, monkeypatch):
    source = DicomSource(root=remote_archive, pseudonymiser=functools.partial(Pseudonymiser, bytes(32)))
    monkeypatch.setattr(tempfile, "tempdir", str(disk.root))
    disk.leave(20)
    with pytest.raises(StoreError, match=r"cannot fetch from s3://archive/ct to .*: no space is left on its disk"):
        filled(source, tmp_path / "store")
    assert [path.name for path in disk.root.iterdir()] == ["filler"]
    disk.free()
    assert filled(source, tmp_path / "store").rows == 1


def test_a_key_is_made_whole_or_not_at_all(disk):
    disk.leave(0)
    with pytest.raises(ConfigError, match="No space left"):
        load_key(disk.root / "keys" / "key")
    assert not list((disk.root / "keys").iterdir())
    disk.free()
    assert len(load_key(disk.root / "keys" / "key")) == 32


def test_a_limit_on_files_is_as_clear(filled, invented, tmp_path):
    """Where no disk can be mounted, this is what stands in for a full one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * PAGE, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot fill the store at .*: File too large; run it again"):
            filled(invented.Invented(9), tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not left_over(tmp_path / "store")
    assert filled(invented.Invented(9), tmp_path / "store").rows == 9


@pytest.mark.ray
def test_workers_that_meet_the_end_of_the_disk_leave_nothing(ray_cluster, invented, disk):
    config = FillConfig(grid=invented.GRID, rows_per_part=4)
    disk.leave(12)
    with pytest.raises(StoreError) as told:
        fill(invented.Invented(30), disk.store, config)
    assert_clear(told.value, disk.store)
    disk.free()
    fill(invented.Invented(30), disk.store, config).verify()
    assert not left_over(disk.store)

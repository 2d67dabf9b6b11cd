"""``kill -9`` at any moment, then the same command: the store has the bytes of one that nobody disturbed."""

import contextlib
import csv
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom import dcmread, dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from molre.errors import StoreError
from molre.findings import KEYS
from molre.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
STUDIES, SLICES, ROWS_PER_PART = 40, 12, 3
PARTS = math.ceil(STUDIES / ROWS_PER_PART)
REFUSED_STUDY = 17
FIRST_KILLS, AGAIN_KILLS = 14, 6
KILLS_A_STORE = 5
START_SHARE, COMMIT_SHARE = 0.25, 0.2
"""Shares of the kills that fall before the first part is whole, and after the last."""

NOT_COMPARED = {"manifest.json", "summary.json", "config.yaml"}

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def a_slice(study: int, index: int) -> Dataset:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = uid.CTImageStorage, f"1.2.{study + 1}.1.{index + 1}"
    data.ImageType, data.Modality, data.PatientID = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT", f"P{study // 2:04d}"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"1.2.{study + 1}", f"1.2.{study + 1}.1"
    data.InstanceNumber = index + 1
    data.ImagePositionPatient, data.ImageOrientationPatient = [-96, -96, 12 * index], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.Rows, data.Columns = [3, 3], 64, 64
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.RescaleSlope, data.RescaleIntercept = "1", "0"
    row, column = np.indices((64, 64)) - 32
    data.PixelData = np.where(np.hypot(row, column) < 25, 20 + study + index, -1000).astype("<i2").tobytes()
    data["PixelData"].VR = "OW"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return data


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """A tree of small studies, one without rescale; a file that is no DICOM; two tables of labels."""
    place = tmp_path_factory.mktemp("archive")
    for study in range(STUDIES):
        folder = place / "tree" / f"s{study:02d}"
        folder.mkdir(parents=True)
        for index in range(SLICES):
            dcmwrite(folder / f"{index:02d}.dcm", a_slice(study, index), enforce_file_format=True)
    for file in (place / "tree" / f"s{REFUSED_STUDY:02d}").iterdir():
        data = dcmread(file)
        del data.RescaleSlope
        data.save_as(file)
    (place / "tree" / "broken.dcm").write_text("this is no DICOM")
    for name, step in (("first", 3), ("second", 4)):
        rows = [f"1.2.{study + 1},{int(study % step == 0)}\n" for study in range(STUDIES)]
        (place / f"{name}.csv").write_text(f"study,{KEYS[0]}\n{''.join(rows)}")
    return place


@dataclass(frozen=True)
class Moment:
    """When to kill: some time after the start or after a number of parts is whole."""

    parts: int
    pause_s: float


@dataclass
class Ingestion:
    """The command on one store, as a process group that can be killed."""

    archive: Path
    store: Path
    labels: str
    environment: dict
    earlier: frozenset = frozenset()
    process: subprocess.Popen | None = None
    start_s: float = field(default_factory=time.monotonic)

    def __post_init__(self):
        command = [sys.executable, "jobs/ingest.py", "--source", "dicom", "--root", self.archive / "tree"]
        command += ["--labels", self.archive / f"{self.labels}.csv", "--key-file", self.archive / "key"]
        command += ["--rows-per-part", ROWS_PER_PART, "--store", self.store]
        self.process = subprocess.Popen(
            list(map(str, command)), cwd=REPOSITORY, env=self.environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def parts(self) -> int:
        """Parts that this run and those it goes on from have finished."""
        return len(receipt_names(self.store) - self.earlier)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, condition) -> bool:
        """Whether it came true before the end of the run."""
        while not condition():
            if not self.alive:
                return False
            time.sleep(0.002)
        return True

    def wait_for(self, moment: Moment) -> None:
        """Not past the first part where the moment is before it, since the machine may be less busy now than it was."""
        self.wait_until(lambda: self.parts >= moment.parts)
        reached_s = time.monotonic() if moment.parts else self.start_s
        due = moment.parts + 1
        self.wait_until(
            lambda: time.monotonic() > reached_s + moment.pause_s or (not moment.parts and self.parts >= due)
        )

    def kill(self) -> bool:
        """Whether there was something to kill."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        return self.process.returncode == -signal.SIGKILL

    def end(self) -> str:
        """What it printed, once it has ended well."""
        printed, told = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, told
        return printed


@dataclass(frozen=True)
class Undisturbed:
    """A store that nobody disturbed, and how long it took to the first part, to the last, and to the manifest."""

    contents: dict
    manifest: dict
    parts: int
    start_s: float
    work_s: float
    commit_s: float


def receipt_names(store: Path) -> set:
    return {file.name for file in store.glob("part-*.json")}


def contents(store: Path) -> dict:
    """The bytes of every file, the locks and what is told of the run aside."""
    names = {file.name for file in store.iterdir()} - {".writer.lock", ".parts.lock"} - NOT_COMPARED
    return {name: (store / name).read_bytes() for name in names}


def manifest(store: Path) -> dict:
    return {key: value for key, value in json.loads((store / "manifest.json").read_bytes()).items() if key != "created"}


def measured(start) -> Undisturbed:
    """A run to its end."""
    begun_s = time.time()
    run = start()
    run.end()
    new = receipt_names(run.store) - run.earlier
    written_s = sorted((run.store / name).stat().st_mtime for name in new)
    manifest_s = (run.store / "manifest.json").stat().st_mtime
    return Undisturbed(
        contents=contents(run.store), manifest=manifest(run.store), parts=len(new), start_s=written_s[0] - begun_s,
        work_s=written_s[-1] - written_s[0], commit_s=manifest_s - written_s[-1],
    )  # fmt: skip


@pytest.fixture(scope="module")
def environment(ray_cluster) -> dict:
    import ray

    return os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}


@pytest.fixture(scope="module")
def first(archive, environment, tmp_path_factory) -> tuple[Path, Undisturbed]:
    """The store of the first labels, undisturbed."""
    store = tmp_path_factory.mktemp("whole") / "store"
    return store, measured(lambda: Ingestion(archive, store, "first", environment))


@pytest.fixture(scope="module")
def second(archive, environment, first, tmp_path_factory) -> Undisturbed:
    """The same store ingested again with the second labels, undisturbed."""
    store = tmp_path_factory.mktemp("again") / "store"
    shutil.copytree(first[0], store)
    earlier = frozenset(receipt_names(store))
    return measured(lambda: Ingestion(archive, store, "second", environment, earlier))


def moments(count: int, usual: Undisturbed, seed: int) -> list[list[Moment]]:
    """Random moments, spread over several stores, each store's one later than the other."""
    generator = random.Random(seed)
    shares = [(place + generator.random()) / count for place in range(count)]
    stores = math.ceil(count / KILLS_A_STORE)
    return [[_moment(share, usual, generator) for share in shares[at::stores]] for at in range(stores)]


def _moment(share: float, usual: Undisturbed, generator: random.Random) -> Moment:
    if share < START_SHARE:
        return Moment(0, usual.start_s * share / START_SHARE)
    if share >= 1 - COMMIT_SHARE:
        return Moment(usual.parts, 1.5 * usual.commit_s * (share - 1 + COMMIT_SHARE) / COMMIT_SHARE)
    parts = 1 + int((share - START_SHARE) / (1 - START_SHARE - COMMIT_SHARE) * (usual.parts - 1))
    return Moment(parts, generator.uniform(0, usual.work_s / usual.parts))


def check_reader(store: Path, before: Undisturbed | None, after: Undisturbed) -> None:
    """A reader sees the earlier store, or the one to come, or is told that there is none."""
    told = ""
    try:
        opened = Store.open(store)
    except StoreError as error:
        told = str(error)
    if told:
        assert before is None
        assert "incomplete" in told or "there is no store" in told
        return
    opened.verify()
    assert manifest(store) == after.manifest or (before is not None and manifest(store) == before.manifest)
    assert opened.table().num_rows == STUDIES - 1


def check_finished(store: Path, usual: Undisturbed) -> None:
    assert set(contents(store)) == set(usual.contents)
    assert contents(store) == usual.contents
    assert manifest(store) == usual.manifest
    assert not [file for file in store.iterdir() if ".tmp" in file.name or file.name.startswith(".attempt")]
    opened = Store.open(store)
    opened.verify()
    assert opened.rows == STUDIES - 1


def killed_and_finished(start, when: list[Moment], before: Undisturbed | None, after: Undisturbed) -> int:
    """Runs the command again and again, killing it at the given moments; at last it ends. How many kills there were."""
    kills = 0
    for moment in when:
        run = start()
        run.wait_for(moment)
        kills += run.kill()
        check_reader(run.store, before, after)
    run = start()
    run.end()
    check_finished(run.store, after)
    return kills


def test_an_undisturbed_store_accounts_for_every_study(first):
    store, usual = first
    assert usual.manifest["counts"]["studies"] == STUDIES
    assert usual.manifest["counts"]["rejected_studies"] == 1
    with (store / "rejected.csv").open() as file:
        refused = {row["path"].split("/")[0]: row["code"] for row in csv.DictReader(file)}
    assert refused == {f"s{REFUSED_STUDY:02d}": "VAL_NO_RESCALE", "broken.dcm": "ENC_NOT_DICOM"}
    assert len([name for name in usual.contents if name.endswith(".json")]) == PARTS


def test_a_first_ingestion_killed_at_random_moments(archive, environment, first, tmp_path):
    _, usual = first
    kills = 0
    for number, when in enumerate(moments(FIRST_KILLS, usual, seed=1)):
        store = tmp_path / str(number)
        kills += killed_and_finished(
            lambda store=store: Ingestion(archive, store, "first", environment), when, None, usual
        )
    assert kills == FIRST_KILLS


def test_an_ingestion_over_a_whole_store_killed_at_random_moments(archive, environment, first, second, tmp_path):
    whole, before = first
    earlier = frozenset(receipt_names(whole))
    kills = 0
    for number, when in enumerate(moments(AGAIN_KILLS, second, seed=2)):
        store = tmp_path / str(number)
        shutil.copytree(whole, store)
        start = lambda store=store: Ingestion(archive, store, "second", environment, earlier)  # noqa: E731
        kills += killed_and_finished(start, when, before, second)
    assert kills == AGAIN_KILLS


def readers() -> list[psutil.Process]:
    """Workers that are reading studies at this moment; all are this test run's own."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        name = (process.info["cmdline"] or [""])[0]
        if name.startswith("ray::Map") and _is_ours(process):
            found.append(process)
    return found


def _is_ours(process: psutil.Process) -> bool:
    import ray

    with contextlib.suppress(psutil.Error):
        return ray._private.worker._global_node.get_session_dir_path() in " ".join(process.parent().cmdline())
    return False


def test_workers_killed_while_they_read(archive, environment, first, tmp_path):
    _, usual = first
    generator = random.Random(3)
    run = Ingestion(archive, tmp_path / "store", "first", environment)
    for parts in sorted(generator.sample(range(1, PARTS - 2), 2)):
        assert run.wait_until(lambda parts=parts: run.parts >= parts)
        assert run.wait_until(readers)
        for worker in readers()[:1]:
            worker.kill()
    run.end()
    check_finished(run.store, usual)

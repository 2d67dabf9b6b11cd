"""Good studies broken in every way at hand: each ends as one right row or one line with a reason, in bounded memory."""

import csv
import ctypes
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from breaking import ACCESSION, BIRTH, DATE, FILES, Good
from broken_ways import NOTHING, ROW, WAYS, Way

from molre.dicom.codes import REFUSALS, REPAIRS
from molre.dicom.pseudonym import Pseudonymiser, load_key
from molre.store import Store
from molre.volume import Stack, grid_named, resample

GOOD = 5
MEMORY_MIB = 256
"""What the whole archive may take beyond the imports: one study's inflated bytes (64 MiB) a few times over. The headers
of the archive promise 100,000 x 100,000 pixels, 65,535 frames, and 4 GiB of them."""

JOB = """
import json, resource, sys
from molre.sources.ingest import IngestConfig, ingest
from molre.store import fill

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

fill.spread = lambda function, items: ((item, function(item)) for item in items)
root, store, key = sys.argv[1:]
before = peak_mib()
counts = ingest(IngestConfig(source="dicom", root=root, store=store, key_file=key)).manifest.counts
print(json.dumps({"counts": counts, "mib": peak_mib() - before}))
"""


@dataclass(frozen=True)
class Ended:
    """What became of the archive."""

    root: Path
    store: Store
    told: str
    counts: dict
    mib: float
    lines: dict
    rows: dict

    def of(self, name: str) -> tuple[dict | None, list[str]]:
        """The row of a study, and the codes of the lines that lie in its folder."""
        return self.rows.get(name), [line["code"] for line in self.lines.get(name, [])]


def study_uid(number: int) -> str:
    return f"1.2.826.0.1.{70000 + number}"


@pytest.fixture(scope="module")
def scanner():
    """The small scanner of the DICOM tests."""
    place = Path(__file__).parents[1] / "dicom" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_scanner", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ended(scanner, tmp_path_factory) -> Ended:
    """One archive of all broken studies and some good ones, ingested by a process of its own."""
    kit = SimpleNamespace(scan=scanner.Scan, encoded=scanner.encoded)
    place = tmp_path_factory.mktemp("broken")
    root, key = place / "archive", place / "key"
    ways = [*WAYS, *(Way(f"good_{number}", ROW) for number in range(GOOD))]
    uids = {}
    for number, way in enumerate(ways):
        good = Good.of(kit, root / way.name, study_uid(number), **way.settings)
        way.change(good)
        good.write()
        way.after(good.folder)
        uids[way.name] = good.study_uid
    for number, name in enumerate(("mixed_a", "mixed_b")):  # two studies in one folder, file by file
        good = Good.of(kit, root / "mixed", study_uid(len(ways) + number))
        good.names = [f"{at:03d}{name}.dcm" for at in range(FILES)]
        good.write()
        uids[name] = good.study_uid
    unreadable(root / "unreadable")
    command = [sys.executable, "-c", JOB, root, place / "store", key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=_give_up_rights)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    name = Pseudonymiser(load_key(key)).of
    names = {name(uid, "study"): way for way, uid in uids.items()}
    store = Store.open(place / "store")
    rows = {names[row["study"]]: {**row, "at": at} for at, row in enumerate(store.table().to_pylist())}
    yield Ended(root, store, done.stdout + done.stderr, said["counts"], said["mib"], _lines(place / "store"), rows)
    for way in ways:
        (root / way.name).chmod(0o755)
    shutil.rmtree(root)


def unreadable(folder: Path) -> None:
    """Files that say nothing of their study, for three reasons."""
    folder.mkdir()
    for number, data in enumerate((b"", b"", bytes(3000), bytes(128) + b"DICM")):
        (folder / f"{number}.dcm").write_bytes(data)


def _give_up_rights() -> None:
    """From here on, root is denied what others are: its power over files (CAP_DAC_OVERRIDE, ..._READ_SEARCH) goes."""
    drop_from_bounding_set = 24
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


def _lines(store: Path) -> dict:
    """Lines of rejected.csv by the folder they lie in."""
    found: dict[str, list] = {}
    with (store / "rejected.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        for line in csv.DictReader(file):
            found.setdefault(line["path"].split("/")[0], []).append(line)
    return found


@pytest.fixture(scope="module")
def head(scanner) -> np.ndarray:
    """What every right row holds: the head as it was scanned, without any of our reading in between."""
    seen = scanner.Scan(count=FILES, shape=(32, 32), pixel_mm=(6, 6))
    stack = Stack(
        hu=np.stack([seen.hu(at) for at in range(FILES)]), origins_mm=seen.origins(), row_direction=np.array(seen.row),
        column_direction=np.array(seen.column), pixel_mm=(6.0, 6.0),
    )  # fmt: skip
    return resample(stack, grid_named("demo")).hu


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_broken_study_ends_as_one_right_row_or_one_line(ended, head, way):
    row, codes = ended.of(way.name)
    if way.ends not in (ROW, NOTHING):
        assert (row, codes) == (None, [way.ends])
        return
    assert codes == list(way.lines)
    assert (row is None) == (way.ends == NOTHING)
    if row is not None:
        assert np.array_equal(ended.store.volumes([row["at"]])[0], head)
        assert sorted(line.partition(":")[0] for line in row["repairs"]) == sorted(way.noted)


def test_no_good_study_beside_them_is_harmed(ended, head):
    for name in ("mixed_a", "mixed_b", *(f"good_{number}" for number in range(GOOD))):
        row, codes = ended.of(name)
        assert (codes, row["repairs"]) == ([], [])
        assert np.array_equal(ended.store.volumes([row["at"]])[0], head)


def test_the_counts_add_up(ended):
    counts, lines = ended.counts, [line for lines in ended.lines.values() for line in lines]
    assert counts["studies"] == counts["rows"] + counts["rejected_studies"]
    assert counts["rows"] == len(ended.rows)
    assert Counter(line["code"] for line in lines) == counts["rejected_codes"]
    assert counts["rows"] == sum(way.ends == ROW for way in WAYS) + GOOD + 2
    refused = sum(way.ends not in (ROW, NOTHING) for way in WAYS)
    assert len(lines) == refused + sum(len(way.lines) for way in WAYS) + 3
    assert counts["linked_folders"] == 4


def test_files_that_tell_no_study_have_a_line_for_each_reason(ended):
    lines = {line["code"]: line["path"] for line in ended.lines["unreadable"]}
    assert lines == {
        "ENC_EMPTY": "unreadable/0.dcm", "ENC_NOT_DICOM": "unreadable/2.dcm", "ENC_TRUNCATED": "unreadable/3.dcm",
    }  # fmt: skip


def test_every_reason_is_a_documented_one_in_its_own_words(ended):
    for line in (line for lines in ended.lines.values() for line in lines):
        sentence, _, more = line["sentence"].partition(", and so do ")
        fixed = re.sub(r"{.*?}", "~", REFUSALS[line["code"]])
        assert re.sub(r"\d+(\.\d+)?", "~", sentence) == re.sub(r"\d+", "~", fixed), line
        assert re.fullmatch(r"(\d+ more files of this folder)?", more)
        assert line["code"] not in ("ENC_FAILED", "ENC_CRASHED")
    noted = [line.partition(":")[0] for row in ended.rows.values() for line in row["repairs"]]
    assert set(noted) <= set(REPAIRS)


def test_a_path_in_the_list_leads_to_the_file(ended):
    """Whatever bytes its name has; but for those that name a patient."""
    hidden = 0
    for line in (line for lines in ended.lines.values() for line in lines):
        if "#" in line["path"]:
            hidden += 1
        elif len(line["path"]) < 4000:
            assert os.path.lexists(ended.root / line["path"]), line
    assert hidden == sum(way.name.startswith("names_of_") for way in WAYS)


def test_nothing_tells_who_was_scanned(ended):
    place = Path(ended.store.uri)
    told = ended.told.encode() + b"".join(file.read_bytes() for file in place.iterdir())
    names = ("Musterfrau", "MUSTERFRAU", "Erika", "ERIKA")
    for secret in (*names, "ID-4711", "ID-4712", "SECRET", BIRTH, DATE, ACCESSION, study_uid(1)[:-1]):
        assert secret.encode() not in told, secret


def test_memory_is_bounded_by_what_is_there(ended):
    assert ended.mib < MEMORY_MIB


@pytest.mark.ray
@pytest.mark.slow
def test_the_job_on_a_cluster_comes_to_the_same(ended, ray_cluster, tmp_path, monkeypatch):
    """But for the files without rights: Ray's workers are root where this test is."""
    import ray

    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    job = Path(__file__).parents[2] / "jobs" / "ingest.py"
    flags = [
        "--source",
        "dicom",
        "--root",
        ended.root,
        "--key-file",
        ended.root.parent / "key",
        "--store",
        tmp_path / "store",
    ]
    done = subprocess.run([sys.executable, job, *flags], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    store, lines = Store.open(tmp_path / "store"), _lines(tmp_path / "store")
    free = {way.name for way in WAYS if "rights" in way.name or "listed_only" in way.name}
    assert {k: v for k, v in lines.items() if k not in free} == {k: v for k, v in ended.lines.items() if k not in free}
    here = {row["study"]: ended.store.volumes([row["at"]])[0] for row in ended.rows.values()}
    there = dict(zip(store.table(["study"])["study"].to_pylist(), store.volumes(range(store.rows)), strict=True))
    assert here.keys() <= there.keys()
    assert all(np.array_equal(there[study], hu) for study, hu in here.items())
    assert len(there) == len(here) + (4 if os.geteuid() == 0 else 0)

"""A store in object storage, against a real S3 server on this machine."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest

from molre.errors import StoreError
from molre.findings import label_vector
from molre.location import Location
from molre.store import Manifest, Row, Store
from molre.store.integrity import damages
from molre.store.writer import write_index, write_part
from molre.volume import Grid

server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")


@pytest.fixture
def bucket(monkeypatch):
    """URI of an empty bucket."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in (("KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ACCESS_KEY_ID", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    pafs.S3FileSystem(
        allow_bucket_creation=True, region="us-east-1", endpoint_override=f"http://{host}:{port}"
    ).create_dir("archive")
    yield "s3://archive"
    running.stop()


def test_a_store_in_s3_is_written_finished_and_read(bucket, filled, invented):
    uri = f"{bucket}/head-ct/store"
    store = filled(invented.Invented(10, fates={3: "refuse"}), uri)
    assert store.uri == uri
    again = Store.open(uri)
    assert damages(again.location, again.manifest, lambda files, read: None) == []
    assert again.rows == 9
    assert np.array_equal(again.volumes([8, 0])[0], invented.voxels(9))
    assert again.table(["study"])["study"].to_pylist()[:4] == ["s0000", "s0001", "s0002", "s0004"]
    names = {
        info.base_name for info in again.location.filesystem.get_file_info(pafs.FileSelector("archive/head-ct/store"))
    }
    assert {"manifest.json", store.manifest.index.name, "rejected.csv", "part-00000.arrow", "part-00000.json"} <= names
    assert not [name for name in names if name.startswith(".")]
    (Location.of(uri) / "part-00001.json").delete()
    (Location.of(uri) / "manifest.json").delete()
    with pytest.raises(StoreError, match="incomplete"):
        Store.open(uri)
    assert filled(invented.Invented(10, fates={3: "refuse"}), uri).manifest.parts == again.manifest.parts


BATCH = 4
STREAM = """
import json, sys, tracemalloc
from pathlib import Path
import numpy as np
from molre.store import Store
from molre.store.readahead import Readahead

def resident():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

tracemalloc.start()
store = Store.open(sys.argv[1])
steps = np.random.default_rng(0).permutation(store.rows).reshape(-1, int(sys.argv[2]))
ahead = Readahead(store)
for rows, volumes in ahead.volumes(steps[:6]):
    pass
start, most, seen, tags = resident(), 0, 0, []
for rows, volumes in ahead.volumes(steps):
    most, seen = max(most, resident()), seen + volumes.nbytes
    tags += [(int(row), int(volume[0, 0, 0])) for row, volume in zip(rows, volumes)]
print(json.dumps({"seen": seen, "grown": most - start, "traced": tracemalloc.get_traced_memory()[1], "tags": tags}))
"""


def test_a_store_in_s3_streams_an_epoch_in_the_memory_of_a_few_batches(bucket):
    """128 MiB, globally shuffled, in a process of its own."""
    grid = Grid(name="wide", shape=(8, 256, 256), spacing_mm=(15.0, 1.0, 1.0))
    uri = f"{bucket}/wide"
    rows = write_wide(Location.of(uri), grid, rows=128)
    done = subprocess.run(
        [sys.executable, "-c", STREAM, uri, str(BATCH)],
        capture_output=True, text=True, timeout=300, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    told = json.loads(done.stdout)
    batch_bytes = BATCH * 2 * int(np.prod(grid.shape))
    assert told["seen"] == rows * batch_bytes / BATCH
    assert sorted(told["tags"]) == [[row, row] for row in range(rows)]
    assert told["traced"] < 4 * batch_bytes
    assert told["grown"] < 4 * batch_bytes


def write_wide(folder, grid, *, rows):
    """A store of volumes that are their own row number everywhere."""

    def row(number):
        return Row(
            hu=np.full(grid.shape, number, np.int16), spacing_mm=grid.spacing_mm, affine=np.eye(4),
            labels=label_vector({}), split="train", patient=f"p{number}", study=f"s{number}", series=f"r{number}",
        )  # fmt: skip

    starts = range(0, rows, 16)
    parts = [write_part(folder, at, grid, map(row, range(start, start + 16))) for at, start in enumerate(starts)]
    index = write_index(folder, grid, parts)
    Manifest(grid=grid, parts=tuple(parts), index=index, counts={"rows": rows}, source="test").write(folder)
    return rows

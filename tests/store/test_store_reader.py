"""Opening and reading a store."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest

from molre.errors import ConfigError, StoreError
from molre.findings import KEYS
from molre.location import Location
from molre.store import Store
from molre.store.parts import light_rows


@pytest.fixture
def store(filled, invented):
    return filled(invented.Invented(10))


@pytest.fixture
def remote(store):
    """The same store through a file system that is not local, read by ranges."""
    folder = Path(store.uri)
    return Store.open(Location(pafs.SubTreeFileSystem(str(folder.parent), pafs.LocalFileSystem()), folder.name, "sub"))


@pytest.mark.parametrize("where", ["store", "remote"])
def test_volumes_are_what_was_written_in_any_order(where, request, invented):
    store = request.getfixturevalue(where)
    assert store.rows == 10
    rows = [7, 0, 9, 7, 4]
    assert np.array_equal(store.volumes(rows), np.stack([invented.voxels(row) for row in rows]))
    assert store.volumes([]).shape == (0, 4, 6, 8)


def test_volumes_fill_the_memory_they_are_given(store, invented):
    out = np.zeros((2, 4, 6, 8), np.int16)
    assert store.volumes(np.array([3, 5]), out=out) is out
    assert np.array_equal(out[1], invented.voxels(5))


def test_what_is_returned_is_the_callers_own(store, invented):
    store.volumes([1])[:] = 0
    assert np.array_equal(store.volumes([1])[0], invented.voxels(1))


@pytest.mark.parametrize("row", [-1, 10])
def test_a_row_that_is_not_there_is_an_error(store, row):
    with pytest.raises(IndexError, match="store of 10 rows"):
        store.volumes([0, row])


def test_splits_are_disjoint_and_complete(store):
    rows = np.concatenate([store.indices(split) for split in ("train", "val", "test")])
    assert sorted(rows) == list(store.indices()) == list(range(10))
    with pytest.raises(ConfigError, match="unknown split 'validation'"):
        store.indices("validation")


def test_labels_are_in_the_order_of_the_vocabulary(store):
    labels = store.labels()
    assert labels.shape == (10, len(KEYS))
    assert labels[:, 0].tolist() == [0, 1] * 5
    assert (labels[:, 1:] == -1).all()
    counts = store.manifest.counts["findings"]
    assert [counts[key]["positives"] for key in KEYS[:2]] == [5, 0]
    assert [counts[key]["known"] for key in KEYS[:2]] == [10, 0]


def test_an_unknown_column_is_named(store):
    with pytest.raises(ConfigError, match="no light column 'hu'"):
        store.table(["patient", "hu"])


def test_a_store_travels_by_pickle_as_its_place(store, remote):
    for opened in (store, remote):
        opened.volumes([0])
        sent = pickle.dumps(opened)
        assert len(sent) < 20_000
        assert np.array_equal(pickle.loads(sent).volumes([3]), store.volumes([3]))


def test_a_file_uri_is_a_place(store):
    assert Store.open(f"file://{store.uri}").rows == 10


def test_absent_store(tmp_path):
    with pytest.raises(StoreError, match=r"no store at .*nowhere: make one with jobs/ingest.py"):
        Store.open(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    with pytest.raises(StoreError, match=r"holds no manifest.json"):
        Store.open(tmp_path / "other")


def test_incomplete_store(store):
    (Path(store.uri) / "manifest.json").unlink()
    with pytest.raises(StoreError, match="incomplete: run the same ingest command again"):
        Store.open(store.uri)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "part-00001.arrow").unlink(), r"part-00001.arrow is missing"),
        (lambda folder: next(folder.glob("index-*.arrow")).unlink(), r"index-[0-9a-f]+\.arrow is missing"),
        (lambda folder: shutil.copy(folder / "part-00002.arrow", folder / "part-00001.arrow"), "by the manifest"),
        (lambda folder: _edit(folder, schema_version=1), "schema version 1, this is 3"),
        (lambda folder: _edit(folder, vocabulary=["a", "b"]), "other findings"),
        (lambda folder: _edit(folder, grid=None), "lacks or garbles"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "schema version None"),
    ],
)
def test_a_damaged_store_is_refused_on_opening(store, damage, told):
    damage(Path(store.uri))
    with pytest.raises(StoreError, match=told) as raised:
        Store.open(store.uri)
    assert "\n" not in str(raised.value)


def _edit(folder: Path, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize("pattern", ["part-00001.arrow", "index-*.arrow"])
def test_verify_finds_a_flipped_bit(store, pattern):
    store.verify()
    (file,) = Path(store.uri).glob(pattern)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=file.name):
        Store.open(store.uri).verify()


def test_a_part_that_vanishes_while_in_use_is_one_clear_error(store):
    (Path(store.uri) / "part-00000.arrow").unlink()
    with pytest.raises(StoreError, match=r"part-00000\.arrow cannot be read"):
        store.volumes([0])


def test_a_remote_part_that_changes_while_in_use_is_one_clear_error(remote):
    remote.volumes([0])
    part = Path(remote.location.filesystem.base_path) / "store" / "part-00000.arrow"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"part-00000\.arrow has changed"):
        remote.volumes([1])
    part.unlink()
    with pytest.raises(StoreError, match=r"part-00000\.arrow cannot be read"):
        remote.volumes([1])


def test_a_remote_part_that_is_not_the_manifests_is_refused(remote):
    shutil.copy(*(Path(remote.location.filesystem.base_path) / "store" / f"part-0000{n}.arrow" for n in (2, 0)))
    with pytest.raises(StoreError, match=r"part-00000\.arrow does not match the manifest"):
        remote.volumes([1])


def test_rows_without_voxels_are_the_same_from_afar(store, remote):
    for part in store.manifest.parts:
        near, far = (light_rows(place.location, part, store.grid) for place in (store, remote))
        assert len(near) == part.rows
        assert all(a.equals(b) for a, b in zip(near, far, strict=True))
        assert "hu" not in far[0].schema.names


@pytest.mark.parametrize("where", ["store", "remote"])
def test_memory_that_is_not_contiguous_is_filled_too(where, request, invented):
    out = np.zeros((2, 4, 6, 16), np.int16)[..., ::2]
    request.getfixturevalue(where).volumes([3, 5], out=out)
    assert np.array_equal(out, np.stack([invented.voxels(3), invented.voxels(5)]))


@pytest.mark.parametrize("where", ["store", "remote"])
def test_no_file_stays_open(where, request):
    store = request.getfixturevalue(where)
    store.volumes(range(10))
    held = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [name for name in held if "part-" in name]

"""The commit protocol, one step at a time."""

import contextlib
import functools
import hashlib
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from molre.errors import StoreError
from molre.findings import label_vector
from molre.location import Location
from molre.store import Row
from molre.store.lock import only_writer, publishing
from molre.store.writer import Receipt, Refused, keep_only, receipts, write_index, write_part, write_rejected


def row(invented, number):
    return Row(
        hu=invented.voxels(number), spacing_mm=(5.0, 2.0, 1.0), affine=np.eye(4), labels=label_vector({}),
        split="train", patient="p", study=f"s{number}", series="r",
    )  # fmt: skip


def test_a_part_is_hashed_and_appears_whole(invented, tmp_path):
    part = write_part(Location.of(tmp_path), 3, invented.GRID, [row(invented, 0), row(invented, 1)])
    data = (tmp_path / "part-00003.arrow").read_bytes()
    assert (part.name, part.rows, part.bytes) == ("part-00003.arrow", 2, len(data))
    assert part.sha256 == hashlib.sha256(data).hexdigest()


def test_a_writer_that_fails_leaves_nothing(invented, tmp_path):
    def rows():
        yield row(invented, 0)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_part(Location.of(tmp_path), 0, invented.GRID, rows())
    assert not list(tmp_path.iterdir())


def test_a_part_without_rows_is_no_file(invented, tmp_path):
    assert write_part(Location.of(tmp_path), 0, invented.GRID, []) is None
    assert not list(tmp_path.iterdir())


def test_a_receipt_counts_only_with_its_part(invented, tmp_path):
    folder = Location.of(tmp_path)
    for number in (0, 1, 2):
        part = write_part(folder, number, invented.GRID, [row(invented, number)])
        Receipt(number=number, part=part, studies=(str(number),), refused=()).write(folder)
    (tmp_path / "part-00001.arrow").write_bytes(b"short")
    (tmp_path / "part-00002.json").write_text("{")
    assert [receipt.number for receipt in receipts(folder)] == [0]


def test_what_is_not_named_goes(invented, tmp_path):
    folder = Location.of(tmp_path)
    parts = [write_part(folder, number, invented.GRID, [row(invented, number)]) for number in range(3)]
    for number, part in enumerate(parts):
        Receipt(number=number, part=part, studies=(str(number),), refused=()).write(folder)
    index = write_index(folder, invented.GRID, parts[:1])
    write_index(folder, invented.GRID, parts)
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("of the user")
    (tmp_path / ".molre-abc.tmp").write_text("left by a killed worker")
    keep_only(folder, [index, parts[0]], receipts(folder)[1:2])
    assert {file.name for file in tmp_path.iterdir()} == {
        "manifest.json", "notes.txt", index.name, "part-00000.arrow", "part-00001.arrow", "part-00001.json",
    }  # fmt: skip


def test_rejected_csv_is_sorted_and_quoted(tmp_path):
    refused = [Refused(path=path, code="ENC_EMPTY", sentence="it is empty") for path in ("b/x", 'a/1,"2"', "a\udcff")]
    write_rejected(Location.of(tmp_path), refused)
    lines = (tmp_path / "rejected.csv").read_bytes().split(b"\n")
    assert lines[:2] == [b"path,code,sentence", b'"a/1,""2""",ENC_EMPTY,it is empty']
    assert lines[2].startswith(b"a\xff,")


def test_a_second_writer_is_turned_away(tmp_path):
    with (
        only_writer(Location.of(tmp_path)),
        pytest.raises(StoreError, match="another run is writing"),
        only_writer(Location.of(tmp_path)),
    ):
        pass
    with only_writer(Location.of(tmp_path)):
        pass


def _hold(folder: Path, held) -> None:
    with only_writer(Location.of(folder)):
        held.set()
        held.wait(0)
        import time

        time.sleep(60)


def test_the_lock_of_a_killed_writer_is_free(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held))
    process.start()
    assert held.wait(20)
    process.kill()
    process.join()
    with only_writer(Location.of(tmp_path)):
        pass


def test_a_remote_lock_is_renewed_given_back_and_outlived(tmp_path, monkeypatch):
    import pyarrow.fs as pafs

    from molre.store import lock

    folder = Location(pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), "store", "sub")
    with only_writer(folder) as hold:
        hold.renew()
        with pytest.raises(StoreError, match=r"if it was killed, delete \.writer\.lock"), only_writer(folder):
            pass
        later = lock.time.time() + 3600
        monkeypatch.setattr(lock.time, "time", lambda: later)
        with only_writer(folder):
            pass
    assert not (folder / ".writer.lock").exists()


def test_a_worker_that_outlives_its_run_publishes_nothing(invented, tmp_path):
    folder = Location.of(tmp_path)
    with only_writer(folder) as killed, publishing(folder, killed.token):
        pass
    with only_writer(folder), contextlib.ExitStack() as held:
        enter = functools.partial(held.enter_context, publishing(folder, killed.token))
        with pytest.raises(StoreError, match="taken over"):
            write_part(folder, 0, invented.GRID, [row(invented, 0)], before=enter)
    assert {file.name for file in tmp_path.iterdir()} == {".writer.lock", ".parts.lock"}


def test_a_run_waits_for_a_worker_of_the_last_one_that_is_publishing(tmp_path, monkeypatch):
    from molre.store import lock

    folder = Location.of(tmp_path)
    with only_writer(folder) as killed:
        token = killed.token
    monkeypatch.setattr(lock, "_PUBLISHING_S", 0.1)
    with publishing(folder, token), pytest.raises(StoreError, match="still writing"), only_writer(folder):
        pass
    with only_writer(folder):
        pass

"""Reading ahead: order, reused memory, errors where they are due, and nothing left behind."""

import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest

from molre.errors import StoreError
from molre.location import Location
from molre.store import Store
from molre.store.readahead import DEPTH, Readahead


@pytest.fixture
def store(filled, invented):
    return filled(invented.Invented(40))


@pytest.fixture
def remote(store):
    """The same store through a file system that is not local, read by ranges."""
    folder = Path(store.uri)
    return Store.open(Location(pafs.SubTreeFileSystem(str(folder.parent), pafs.LocalFileSystem()), folder.name, "sub"))


def steps_of(rows, length):
    return [np.array(rows[start : start + length]) for start in range(0, len(rows), length)]


def voxels(invented, rows):
    return np.stack([invented.voxels(int(row)) for row in rows])


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("where", ["store", "remote"])
@pytest.mark.parametrize("length", [1, 3, 7, 40])
def test_steps_come_in_order_with_their_volumes(where, length, request, invented):
    steps = steps_of(np.random.default_rng(0).permutation(40), length)
    read = Readahead(request.getfixturevalue(where)).volumes(steps)
    for step, (rows, volumes) in zip(steps, read, strict=True):
        assert np.array_equal(rows, step)
        assert np.array_equal(volumes, voxels(invented, rows))


def test_a_step_is_the_consumers_until_it_asks_for_the_next(store, invented):
    """However long it takes, while the reading goes on behind it."""
    for rows, volumes in Readahead(store).volumes(steps_of(range(40), 4)):
        expected = voxels(invented, rows)
        time.sleep(0.01)
        assert np.array_equal(volumes, expected)


def test_memory_is_a_ring_kept_from_epoch_to_epoch(store):
    ahead = Readahead(store)
    places = {address(volumes) for _ in range(3) for _, volumes in ahead.volumes(steps_of(range(40), 4))}
    assert len(places) == DEPTH


def test_a_longer_step_replaces_a_buffer(store, invented):
    ahead = Readahead(store)
    for length in (2, 9, 4):
        for rows, volumes in ahead.volumes(steps_of(range(40), length)):
            assert np.array_equal(volumes, voxels(invented, rows))


def test_two_iterations_at_once_share_no_memory(store, invented):
    ahead = Readahead(store)
    forth, back = steps_of(range(40), 4), steps_of(range(39, -1, -1), 4)
    for one, other in zip(ahead.volumes(forth), ahead.volumes(back), strict=True):
        for rows, volumes in (one, other):
            assert np.array_equal(volumes, voxels(invented, rows))


def test_the_next_steps_are_read_while_the_consumer_works(store):
    begun = []

    class Watched(Store):
        def copy(self, rows, out):
            begun.extend(rows.tolist())
            super().copy(rows, out)

    read = Readahead(Watched.open(store.uri)).volumes(steps_of(range(40), 4))
    next(read)
    deadline = time.monotonic() + 10
    while len(begun) < 4 * DEPTH and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert sorted(begun) == list(range(4 * DEPTH))
    read.close()


def test_steps_are_asked_for_no_further_ahead_than_the_ring(store):
    asked = []

    def steps():
        for step in steps_of(range(40), 4):
            asked.append(step)
            yield step

    read = Readahead(store).volumes(steps())
    next(read)
    next(read)
    assert len(asked) == DEPTH + 1
    read.close()


def test_an_error_is_raised_where_its_step_is_due(store, invented):
    (Path(store.uri) / "part-00003.arrow").unlink()
    read = Readahead(store).volumes(steps_of(range(40), 3))
    for rows, volumes in itertools.islice(read, 4):
        assert np.array_equal(volumes, voxels(invented, rows))
    assert rows.tolist() == [9, 10, 11]
    with pytest.raises(StoreError, match=r"part-00003\.arrow cannot be read"):
        next(read)


def test_a_row_that_is_not_there_is_an_error(store):
    with pytest.raises(IndexError, match="store of 40 rows"):
        list(Readahead(store).volumes([np.array([39, 40])]))


def test_an_iteration_that_is_given_up_leaves_no_thread_and_its_memory(store):
    ahead = Readahead(store)
    before = threading.active_count()
    read = ahead.volumes(steps_of(range(40), 4))
    first = address(next(read)[1])
    read.close()
    assert threading.active_count() == before
    assert first in {address(volumes) for _, volumes in ahead.volumes(steps_of(range(40), 4))}


def test_no_steps_are_no_steps(store):
    assert list(Readahead(store).volumes([])) == []

"""Volumes read by threads while the consumer works on those before, in memory that is used again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from jaxtyping import Int, Int16

from molre.store.reader import Store

Shape = tuple[int, int, int, int]
Rows = Int[np.ndarray, " _"]
Volumes = Int16[np.ndarray, "_ z y x"]

DEPTH = 3
"""Buffers: one that the consumer holds, one that is ready, and one that is being read."""


def plain(shape: Shape) -> Volumes:
    """Pageable memory; numpy asks the kernel for huge pages, into which a copy is a third faster (measured)."""
    return np.empty(shape, np.int16)


class Readahead:
    """Reads steps of a store in their order, a few ahead of the consumer.

    Memory is a ring of ``DEPTH`` buffers of the longest step, whatever the length of the epoch, and is kept from one
    epoch to the next: fresh memory costs more than the copy into it.

    Args:
        store: local or remote.
        allocate: makes a buffer of the given shape, such as a pinned one.
    """

    def __init__(self, store: Store, allocate: Callable[[Shape], Volumes] = plain) -> None:
        self._store, self._allocate = store, allocate
        self._free: list[Volumes] = []

    def volumes(self, steps: Iterable[Rows]) -> Generator[tuple[Rows, Volumes], None, None]:
        """The rows of each step, and their volumes.

        The volumes are the consumer's until it asks for the next step: then their memory is filled again. What is to
        outlast that must be copied. Several such iterations of one object do not disturb each other.

        Args:
            steps: row numbers; asked for ``DEPTH`` steps ahead.

        Raises:
            IndexError: there is no such row.
            StoreError: a part is not there any more, or not readable; raised where its step is due.
        """
        under_way: deque[tuple[Rows, Volumes, list[Future[None]]]] = deque()
        with ThreadPoolExecutor(self._store.reads_at_once, thread_name_prefix="readahead") as threads:
            try:
                for rows in steps:
                    buffer = self._buffer(len(rows))
                    under_way.append((rows, buffer, self._begin(threads, rows, buffer)))
                    if len(under_way) == DEPTH:
                        yield _finished(under_way[0])
                        self._free.append(under_way.popleft()[1])
                while under_way:
                    yield _finished(under_way[0])
                    self._free.append(under_way.popleft()[1])
            finally:
                threads.shutdown(wait=True, cancel_futures=True)
                self._free.extend(buffer for _, buffer, _ in under_way)

    def _buffer(self, count: int) -> Volumes:
        """A free buffer for so many volumes, or a new one in its place."""
        buffer = self._free.pop() if self._free else None
        if buffer is None or len(buffer) < count:
            return self._allocate((count, *self._store.grid.shape))
        return buffer

    def _begin(self, threads: ThreadPoolExecutor, rows: Rows, buffer: Volumes) -> list[Future[None]]:
        """Let the threads read a step, an equal share each; whoever is done early goes on with the next step."""
        pieces = max(1, min(len(rows), self._store.reads_at_once))
        shares = zip(np.array_split(rows, pieces), np.array_split(buffer[: len(rows)], pieces), strict=True)
        return [threads.submit(self._store.copy, *share) for share in shares]


def _finished(step: tuple[Rows, Volumes, list[Future[None]]]) -> tuple[Rows, Volumes]:
    """The step once it is read; raises what a thread met."""
    rows, buffer, reads = step
    for read in reads:
        read.result()
    return rows, buffer[: len(rows)]

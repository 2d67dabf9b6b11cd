"""What a store's parts hold, by row: from a memory map where local, by ranged requests where remote."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np
import pyarrow as pa
from jaxtyping import Int16

from molre.location import Location
from molre.store.manifest import Part
from molre.store.opening import open_part
from molre.store.remote import remote_light_rows
from molre.store.schema import schema_of
from molre.volume import Grid

_MAPPED_PARTS = 16384
"""Parts kept mapped at once; the kernel allows a process 65,530 mappings (vm.max_map_count)."""


class Parts(Protocol):
    """Where volumes are read from."""

    at_once: int
    """Reads that are worth having in flight."""

    def copy(self, part: int, position: int, out: Int16[np.ndarray, "z y x"]) -> None:
        """Copy the volume at a position of a part; any number of threads may do so."""


class LocalParts:
    """Parts on this machine's file system, mapped into memory; a volume is a view of the mapping.

    The views of a part are made once: the Arrow metadata of a record batch takes longer to read than its voxels.
    """

    at_once = 2
    """Two threads fill the memory bus where one does not, above all while the kernel maps a part's pages for the first
    time (measured on two cores, GB/s with one and with two: mapped 21 and 31, first mapped from a tmpfs 8 and 12, from
    a cold disk 1.9 and 2.2; four give no more)."""

    def __init__(self, folder: Location, parts: Sequence[Part], grid: Grid) -> None:
        self._folder, self._parts, self._grid = folder, parts, grid
        self._mapped: OrderedDict[int, list[np.ndarray]] = OrderedDict()
        self._lock = Lock()

    def copy(self, part: int, position: int, out: Int16[np.ndarray, "z y x"]) -> None:
        """Copy the volume at a position of a part.

        Raises:
            StoreError: the part is not there any more, or not readable.
        """
        out[...] = self._view(part, position)

    def _view(self, part: int, position: int) -> Int16[np.ndarray, "z y x"]:
        """The volume in the mapping; it stays valid when the part is let go."""
        with self._lock:
            if part not in self._mapped:
                self._mapped[part] = _views(self._folder, self._parts[part], self._grid)
                if len(self._mapped) > _MAPPED_PARTS:
                    self._mapped.popitem(last=False)
            self._mapped.move_to_end(part)
            return self._mapped[part][position]


def _views(folder: Location, part: Part, grid: Grid) -> list[np.ndarray]:
    with open_part(folder, part, grid) as reader:
        return [_voxels(reader.get_batch(position), grid) for position in range(part.rows)]


def _voxels(batch: pa.RecordBatch, grid: Grid) -> Int16[np.ndarray, "z y x"]:
    """The voxels of the batch's one row, without copying them."""
    # The values' buffer itself: Array.to_numpy() imports pandas first, half a second.
    return np.frombuffer(batch.column(0).storage.values.buffers()[1], np.int16).reshape(grid.shape)


def light_rows(folder: Location, part: Part, grid: Grid) -> list[pa.RecordBatch]:
    """The rows of a part without their voxels.

    Raises:
        StoreError: the part is not there, or not the manifest's.
    """
    if folder.local is None:
        return remote_light_rows(folder, part, grid)
    with open_part(folder, part, grid, columns=range(1, len(schema_of(grid)))) as reader:
        return [reader.get_batch(position) for position in range(part.rows)]

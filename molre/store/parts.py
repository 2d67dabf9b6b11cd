"""The voxels of a store's parts, by row: views of a memory map where local, ranges of the object where remote."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Protocol

import numpy as np
import pyarrow as pa
from jaxtyping import Int16

from molre.errors import StoreError
from molre.location import Location
from molre.store.manifest import Part
from molre.store.schema import schema_of
from molre.volume import Grid

_MAPPED_PARTS = 16384
"""Parts kept mapped at once; the kernel allows a process 65,530 mappings (vm.max_map_count)."""


class Parts(Protocol):
    """Where volumes are read from."""

    def volume(self, part: int, position: int) -> Int16[np.ndarray, "z y x"]:
        """The volume at a position of a part, not to be written to."""


class LocalParts:
    """Parts on this machine's file system, mapped into memory; a volume is a view of the mapping.

    The views of a part are made once: the Arrow metadata of a record batch takes longer to read than its voxels.
    """

    def __init__(self, folder: Location, parts: Sequence[Part], grid: Grid) -> None:
        self._folder, self._parts, self._grid = folder, parts, grid
        self._mapped: OrderedDict[int, list[np.ndarray]] = OrderedDict()
        self._lock = Lock()

    def volume(self, part: int, position: int) -> Int16[np.ndarray, "z y x"]:
        """The volume at a position of a part; the view stays valid when the part is let go.

        Raises:
            StoreError: the part is not there any more, or not readable.
        """
        with self._lock:
            if part not in self._mapped:
                self._mapped[part] = _views(self._folder, self._parts[part], self._grid)
                if len(self._mapped) > _MAPPED_PARTS:
                    self._mapped.popitem(last=False)
            self._mapped.move_to_end(part)
            return self._mapped[part][position]


class RemoteParts:
    """Parts in remote storage: what is fetched are the footer and the ranges of the voxels asked for."""

    def __init__(self, folder: Location, parts: Sequence[Part], grid: Grid) -> None:
        self._folder, self._parts, self._grid = folder, parts, grid

    def volume(self, part: int, position: int) -> Int16[np.ndarray, "z y x"]:
        """The volume at a position of a part.

        Raises:
            StoreError: the part is not there any more, or not readable.
        """
        with open_part(self._folder, self._parts[part], self._grid, columns=(0,)) as reader:
            return _voxels(reader.get_batch(position), self._grid)


def _views(folder: Location, part: Part, grid: Grid) -> list[np.ndarray]:
    with open_part(folder, part, grid) as reader:
        return [_voxels(reader.get_batch(position), grid) for position in range(part.rows)]


def _voxels(batch: pa.RecordBatch, grid: Grid) -> Int16[np.ndarray, "z y x"]:
    """The voxels of the batch's one row, without copying them."""
    # The values' buffer itself: Array.to_numpy() imports pandas first, half a second.
    return np.frombuffer(batch.column(0).storage.values.buffers()[1], np.int16).reshape(grid.shape)


@contextlib.contextmanager
def open_part(
    folder: Location, part: Part, grid: Grid, *, columns: Sequence[int] = ()
) -> Iterator[pa.RecordBatchFileReader]:
    """A part opened for random access to its record batches: mapped where local, by ranges where remote.

    Args:
        folder: the store.
        part: one of its parts.
        grid: the store's.
        columns: positions of the columns to fetch, all by default. Arrow copies what it so picks, even from a mapping.

    Raises:
        StoreError: the file is missing, is no Arrow file, or has other rows or another schema than the store's.
    """
    where, schema = folder / part.name, schema_of(grid)
    wanted = pa.schema([schema.field(at) for at in columns]) if columns else schema
    with contextlib.ExitStack() as stack:
        try:
            source = pa.memory_map(where.path) if where.local else where.filesystem.open_input_file(where.path)
            stack.enter_context(source)
            options = pa.ipc.IpcReadOptions(included_fields=list(columns))
            reader = stack.enter_context(pa.ipc.open_file(source, options=options))
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(f"{where} cannot be read ({type(error).__name__}): run the same ingest again") from None
        if reader.num_record_batches != part.rows or reader.schema != wanted:
            raise StoreError(f"{where} does not match the manifest: run the same ingest command again")
        yield reader


def light_rows(folder: Location, part: Part, grid: Grid) -> list[pa.RecordBatch]:
    """The rows of a part without their voxels."""
    with open_part(folder, part, grid, columns=range(1, len(schema_of(grid)))) as reader:
        return [reader.get_batch(position) for position in range(part.rows)]

"""Parts in remote storage, read in as few requests as their latency asks for."""

from __future__ import annotations

import bisect
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from jaxtyping import Int16

from molre.errors import StoreError
from molre.location import Location
from molre.store.footer import bodies
from molre.store.manifest import Part
from molre.store.opening import open_file, open_part
from molre.store.schema import schema_of
from molre.volume import Grid

READS_AT_ONCE = 16
"""Requests in flight: their latency and not the bandwidth is what costs."""


class RemoteParts:
    """Volumes in remote storage: where those of a part lie is asked once, then each is one range of its file."""

    at_once = READS_AT_ONCE

    def __init__(self, folder: Location, parts: Sequence[Part], grid: Grid) -> None:
        self._folder, self._parts, self._grid = folder, parts, grid
        self._offsets: dict[int, list[int]] = {}

    def copy(self, part: int, position: int, out: Int16[np.ndarray, "z y x"]) -> None:
        """Fetch the volume at a position of a part, straight into ``out`` where that is contiguous.

        Raises:
            StoreError: the part is not there any more, not readable, or another one by now.
        """
        where, known = self._folder / self._parts[part].name, self._parts[part]
        if part not in self._offsets:
            with open_part(self._folder, known, self._grid), open_file(where) as file:
                self._offsets[part] = _voxel_offsets(file, where, known, self._grid)
        whole = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        with open_file(where) as file:
            if file.size() != known.bytes:
                raise StoreError(f"{where} has changed: start again with the store as it is now")
            file.seek(self._offsets[part][position])
            if file.readinto(whole.data.cast("B")) != whole.nbytes:
                raise StoreError(f"{where} ended early: try again")
        if whole is not out:
            out[...] = whole


def remote_light_rows(folder: Location, part: Part, grid: Grid) -> list[pa.RecordBatch]:
    """The rows of a part without their voxels: everything between the voxels is fetched, a request a row.

    Arrow itself would ask for each buffer of each column, some thirty requests a row.

    Raises:
        StoreError: the part is not there, or not the manifest's.
    """
    where = folder / part.name
    with open_file(where) as file:
        offsets = _voxel_offsets(file, where, part, grid)
        ends = [offset + _voxels_bytes(grid) for offset in offsets]
        gaps = list(zip([0, *ends], [*offsets, file.size()], strict=True))
        with ThreadPoolExecutor(READS_AT_ONCE) as threads:
            held = list(threads.map(lambda gap: file.read_at(gap[1] - gap[0], gap[0]), gaps))
    sparse = pa.PythonFile(_Sparse([begin for begin, _ in gaps], held), mode="r")
    with open_part(folder, part, grid, columns=range(1, len(schema_of(grid))), source=sparse) as reader:
        return [reader.get_batch(position) for position in range(part.rows)]


def _voxels_bytes(grid: Grid) -> int:
    return 2 * int(np.prod(grid.shape))


def _voxel_offsets(file: pa.NativeFile, where: Location, part: Part, grid: Grid) -> list[int]:
    """Where in the file the voxels of each row begin: they are the first column, have no nulls, and lead the body."""
    found = bodies(file)
    if len(found) != part.rows or any(length < _voxels_bytes(grid) for _, length in found):
        raise StoreError(f"{where} does not match the manifest: run the same ingest command again")
    return [offset for offset, _ in found]


class _Sparse(io.RawIOBase):
    """A file of which only some stretches are held, for a reader that is known to ask for no others.

    Args:
        begins: offsets of the stretches, ascending; the last one reaches the file's end.
        held: their bytes.
    """

    def __init__(self, begins: Sequence[int], held: Sequence[bytes]) -> None:
        super().__init__()
        self._begins, self._held, self._at = begins, held, 0

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the beginning, from here, or from the end."""
        base = (0, self._at, self._begins[-1] + len(self._held[-1]))[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or fewer at the end of a stretch."""
        stretch = bisect.bisect_right(self._begins, self._at) - 1
        begin = self._at - self._begins[stretch]
        data = self._held[stretch][begin : None if size < 0 else begin + size]
        self._at += len(data)
        return data

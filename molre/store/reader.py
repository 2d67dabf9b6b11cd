"""A store opened for reading: light columns as a table, volumes by number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, Int8, Int16, Int64

from molre.errors import ConfigError, StoreError
from molre.location import Location
from molre.store.integrity import damages, misfits
from molre.store.manifest import Manifest
from molre.store.parts import LocalParts, Parts
from molre.store.remote import RemoteParts
from molre.store.schema import SPLITS
from molre.volume import Grid


class Store:
    """A complete store, local or remote.

    Rows are numbered through all parts in the manifest's order. A store can be pickled: what travels is where it is.
    """

    def __init__(self, location: Location, manifest: Manifest) -> None:
        self._location = location
        self.manifest = manifest
        self._first = np.cumsum([0, *(part.rows for part in manifest.parts)])
        where = LocalParts if location.local is not None else RemoteParts
        self._parts: Parts = where(location, manifest.parts, manifest.grid)

    @classmethod
    def open(cls, place: str | Path | Location) -> Store:
        """Open the store at a path or URI.

        Raises:
            StoreError: it is absent, incomplete, or its parts are not those of the manifest.
        """
        location = Location.of(place)
        store = cls(location, Manifest.read(location))
        store._check_sizes()
        return store

    def __reduce__(self) -> tuple[type[Store], tuple[Location, Manifest]]:
        return type(self), (self._location, self.manifest)

    def __repr__(self) -> str:
        return f"Store({self.uri!r}, rows={self.rows}, grid={self.grid.name!r})"

    @property
    def grid(self) -> Grid:
        """Shape and spacing of every volume."""
        return self.manifest.grid

    @property
    def location(self) -> Location:
        """The store's folder."""
        return self._location

    @property
    def uri(self) -> str:
        """Where the store is; ``Store.open`` takes it."""
        return self._location.uri

    @property
    def rows(self) -> int:
        """Series in the store."""
        return int(self._first[-1])

    @cached_property
    def _light(self) -> pa.Table:
        index = self._location / self.manifest.index.name
        try:
            data = index.read_bytes()
        except OSError:
            raise StoreError(f"{index} cannot be read: run the same ingest command again") from None
        if hashlib.sha256(data).hexdigest() != self.manifest.index.sha256:
            raise StoreError(f"{index} is not the manifest's: run the same ingest command again")
        return pa.ipc.open_file(pa.py_buffer(data)).read_all()

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns other than ``hu``, all of them by default, a row a series; no voxel is touched.

        Raises:
            ConfigError: there is no such column.
        """
        known = self._light.column_names
        for name in columns or ():
            if name not in known:
                raise ConfigError(f"the store has no light column {name!r}: choose from {', '.join(known)}")
        return self._light.select(list(columns)) if columns is not None else self._light

    def labels(self) -> Int8[np.ndarray, "rows findings"]:
        """Labels of all rows: 1, 0 or -1 (unknown)."""
        values = pc.list_flatten(self._light["labels"]).to_numpy()
        return values.reshape(self.rows, len(self.manifest.vocabulary))

    def indices(self, split: str | None = None) -> Int[np.ndarray, "chosen"]:
        """Numbers of the rows of a split, ascending; of all rows where none is given.

        Raises:
            ConfigError: there is no such split.
        """
        if split is None:
            return np.arange(self.rows)
        if split not in SPLITS:
            raise ConfigError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
        return np.flatnonzero(pc.equal(self._light["split"], split).to_numpy())

    def volumes(
        self, indices: Int[np.ndarray, " n"] | Iterable[int], out: Int16[np.ndarray, "n z y x"] | None = None
    ) -> Int16[np.ndarray, "n z y x"]:
        """Volumes of the given rows, in the order given.

        Args:
            indices: row numbers, repeated or not.
            out: array to fill, such as pinned memory that is used again and again; a new one by default.

        Returns:
            ``out``, or the new array; it shares no memory with the store.

        Raises:
            IndexError: there is no such row.
            StoreError: a part is not there any more, or not readable.
        """
        wanted = np.asarray([int(index) for index in indices], np.int64)
        if out is None:
            out = np.empty((len(wanted), *self.grid.shape), np.int16)
        if self._location.local is not None or len(wanted) < 2:
            self.copy(wanted, out)
        else:
            with ThreadPoolExecutor(self.reads_at_once) as threads:
                list(threads.map(self.copy, wanted[:, None], out[:, None]))
        return out

    @property
    def reads_at_once(self) -> int:
        """Threads that are worth having read this store at the same time."""
        return self._parts.at_once

    def copy(self, rows: Int64[np.ndarray, " n"], out: Int16[np.ndarray, "n z y x"]) -> None:
        """Copy the volumes of the given rows, one after the other; any number of threads may do so.

        Raises:
            IndexError: there is no such row.
            StoreError: a part is not there any more, or not readable.
        """
        if rows.size and not 0 <= rows.min() <= rows.max() < self.rows:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a store of {self.rows} rows")
        parts = np.searchsorted(self._first, rows, side="right") - 1
        positions = rows - self._first[parts]
        for part, position, place in zip(parts.tolist(), positions.tolist(), out, strict=True):
            self._parts.copy(part, position, place)

    def verify(self) -> None:
        """Read every byte and compare it with the manifest.

        Raises:
            StoreError: a part is missing or has another content; the message names the first.
        """
        for damage in damages(self._location, self.manifest):
            raise StoreError(f"{self.uri}/{damage.file} {damage.sentence}: run the same ingest command again")

    def _check_sizes(self) -> None:
        for damage in misfits(self._location, self.manifest):
            raise StoreError(f"{self.uri}/{damage.file} {damage.sentence}: run the same ingest command again")

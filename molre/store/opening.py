"""Opening the Arrow file of a part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa

from molre.errors import StoreError
from molre.location import Location
from molre.store.manifest import Part
from molre.store.schema import schema_of
from molre.volume import Grid


@contextlib.contextmanager
def open_part(
    folder: Location, part: Part, grid: Grid, *, columns: Sequence[int] = (), source: pa.NativeFile | None = None
) -> Iterator[pa.RecordBatchFileReader]:
    """A part opened for random access to its record batches: mapped where local, by ranges where remote.

    Args:
        folder: the store.
        part: one of its parts.
        grid: the store's.
        columns: positions of the columns to fetch, all by default. Arrow copies what it so picks, even from a mapping.
        source: what to read the part from, where that is not its own file.

    Raises:
        StoreError: the file is missing, is no Arrow file, or has other rows or another schema than the store's.
    """
    where, schema = folder / part.name, schema_of(grid)
    wanted = pa.schema([schema.field(at) for at in columns]) if columns else schema
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(source or _open(where))
            options = pa.ipc.IpcReadOptions(included_fields=list(columns))
            reader = stack.enter_context(pa.ipc.open_file(file, options=options))
        except (OSError, pa.ArrowInvalid) as error:
            raise unreadable(where, error) from None
        if reader.num_record_batches != part.rows or reader.schema != wanted:
            raise StoreError(f"{where} does not match the manifest: run the same ingest command again")
        yield reader


def _open(where: Location) -> pa.NativeFile:
    return pa.memory_map(where.path) if where.local else where.filesystem.open_input_file(where.path)


@contextlib.contextmanager
def open_file(where: Location) -> Iterator[pa.NativeFile]:
    """A file opened for reads by range.

    Raises:
        StoreError: it is missing, or a read within the block fails.
    """
    try:
        with where.filesystem.open_input_file(where.path) as file:
            yield file
    except OSError as error:
        raise unreadable(where, error) from None


def unreadable(where: Location, error: Exception) -> StoreError:
    """What is told of a file that cannot be read."""
    return StoreError(f"{where} cannot be read ({type(error).__name__}): run the same ingest again")

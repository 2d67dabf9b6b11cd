"""Writing a store so that it is whole or absent, whatever kills the run.

A part is written aside, hashed and renamed; then its receipt (``part-00000.json``) says which studies it covers. A
part without a receipt was never finished and is written again. Index, ``rejected.csv`` and, last of all, the manifest
follow when every study is covered by a receipt. What an earlier manifest names stays until then, so that the earlier
store can be read until the new one takes its place.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileSelector

from molre.location import Location
from molre.store.attempts import notes
from molre.store.integrity import digest
from molre.store.manifest import Part
from molre.store.parts import light_rows
from molre.store.schema import Row, light_schema, record_batch, schema_of
from molre.tree import scratch
from molre.volume import Grid

REJECTED = "rejected.csv"
_ASIDE = ".molre-"
_RECEIPT = re.compile(r"part-(\d{5,})\.json")
_OURS = re.compile(r"part-\d{5,}\.(arrow|json)|index-[0-9a-f]{12}\.arrow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A study or file that did not become a row.

    Attributes:
        path: relative to the cohort's root, as the person who ingests knows it.
        code: one of the documented reason codes.
        sentence: what is wrong, without any text from a header.
    """

    path: str
    code: str
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What a finished part covers.

    Attributes:
        number: of the part.
        part: the Arrow file; None where every study was refused.
        studies: mark of each study covered, row or refusal.
        refused: mark, reason code and sentence of those that became no row; not their path, which may name a patient.
    """

    number: int
    part: Part | None
    studies: tuple[str, ...]
    refused: tuple[tuple[str, str, str], ...]

    @property
    def name(self) -> str:
        """Name of its own file."""
        return f"part-{self.number:05d}.json"

    def write(self, folder: Location) -> None:
        """Write the receipt, which commits the part."""
        (folder / self.name).write_bytes(json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, file: Location) -> Receipt:
        """The receipt in a file."""
        saved = json.loads(file.read_bytes())
        return cls(
            number=saved["number"],
            part=Part(**saved["part"]) if saved["part"] else None,
            studies=tuple(saved["studies"]),
            refused=tuple((mark, code, sentence) for mark, code, sentence in saved["refused"]),
        )


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.arrow"


def write_part(
    folder: Location, number: int, grid: Grid, rows: Iterable[Row], before: Callable[[], None] = lambda: None
) -> Part | None:
    """Write one part, whole or not at all, holding one row in memory at a time.

    Args:
        folder: the store.
        number: of the part.
        grid: the store's.
        rows: in order.
        before: called when the part is about to appear under its name, to raise if it must not.

    Returns:
        the part, or None (and no file) where there was no row.
    """
    with _aside(folder) as file:
        count = _write_rows(file, grid, rows)
        size, sha256 = file.stat().st_size, digest(Location.of(file))
        before()
        if not count:
            return None
        _publish(file, folder / part_name(number))
    return Part(name=part_name(number), rows=count, bytes=size, sha256=sha256)


def _write_rows(file: Path, grid: Grid, rows: Iterable[Row]) -> int:
    schema, count = schema_of(grid), 0
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as stream:
        for row in rows:
            stream.write_batch(record_batch(row, schema))
            count += 1
    return count


@contextlib.contextmanager
def _aside(folder: Location) -> Iterator[Path]:
    """A temporary file: in the store's own folder where local, so that a rename publishes it."""
    with contextlib.nullcontext(folder.local) if folder.local is not None else scratch() as place:
        descriptor, name = tempfile.mkstemp(prefix=_ASIDE, suffix=".tmp", dir=place)
        os.close(descriptor)
        file = Path(name)
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)


def _publish(file: Path, target: Location) -> None:
    """Make the finished file appear under its name; a remote object appears whole when its upload completes."""
    if target.local is not None:
        with file.open("rb") as written:
            os.fsync(written.fileno())
        file.chmod(0o644)
        file.replace(target.path)
        return
    with file.open("rb") as source, target.filesystem.open_output_stream(target.path) as sink:
        shutil.copyfileobj(source, sink, 1 << 24)


def write_index(folder: Location, grid: Grid, parts: Sequence[Part]) -> Part:
    """Write all rows of the parts without their voxels as one file.

    Its name tells its content, so that a new index never takes the place of the one that the manifest still names.
    """
    schema = light_schema(grid)
    # A row alone takes 20 KB, most of it the bookkeeping of its columns: hence part by part.
    tables = (pa.Table.from_batches(light_rows(folder, part, grid), schema=schema) for part in parts)
    table = pa.concat_tables(table.combine_chunks() for table in tables).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as stream:
        stream.write_table(table)
    data = sink.getvalue().to_pybytes()
    sha256 = hashlib.sha256(data).hexdigest()
    index = Part(name=f"index-{sha256[:12]}.arrow", rows=table.num_rows, bytes=len(data), sha256=sha256)
    (folder / index.name).write_bytes(data)
    return index


def write_rejected(folder: Location, refused: Iterable[Refused]) -> Location:
    """Write ``rejected.csv``, sorted by path; it may hold folder names of the archive and belongs to its owner only."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "code", "sentence"])
    table.writerows(sorted((entry.path, entry.code, entry.sentence) for entry in refused))
    file = folder / REJECTED
    file.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))
    return file


def receipts(folder: Location) -> list[Receipt]:
    """Receipts of the parts that are there, by number; one whose part is missing or of another size does not count."""
    sizes = _sizes(folder)
    found = []
    for name in sizes:
        if _RECEIPT.fullmatch(name):
            receipt = _read_receipt(folder / name)
            if receipt and (receipt.part is None or sizes.get(receipt.part.name) == receipt.part.bytes):
                found.append(receipt)
    return sorted(found, key=lambda receipt: receipt.number)


def _read_receipt(file: Location) -> Receipt | None:
    try:
        return Receipt.read(file)
    except (ValueError, KeyError, TypeError):  # the file is no receipt
        return None


def _sizes(folder: Location) -> Mapping[str, int]:
    selector = FileSelector(folder.path, allow_not_found=True)
    return {info.base_name: info.size for info in folder.filesystem.get_file_info(selector) if info.is_file}


def keep_only(folder: Location, parts: Iterable[Part], kept: Iterable[Receipt]) -> None:
    """Remove what earlier runs left: parts, receipts, indexes and temporary files that are not named.

    Args:
        folder: the store.
        parts: files that the manifest names.
        kept: receipts that stay, with their parts.
    """
    stay = {part.name for part in parts}
    for receipt in kept:
        stay |= {receipt.name} | ({receipt.part.name} if receipt.part else set())
    for name in _sizes(folder):
        if _OURS.fullmatch(name) and name not in stay:
            (folder / name).delete()
    sweep(folder)


def sweep(folder: Location) -> None:
    """Remove the temporary files and notes that killed workers left; only the store's one writer may do so."""
    for name in _sizes(folder):
        if name.startswith(".") and name.endswith(".tmp"):
            (folder / name).delete()
    for note in notes(folder):
        note.delete()

"""``manifest.json``: what a complete store holds; written last, so that its presence means completeness."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from molre.errors import StoreError
from molre.findings import KEYS
from molre.location import Location
from molre.store.schema import SCHEMA_VERSION
from molre.volume import Grid

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One Arrow file of the store.

    Attributes:
        name: file name, ``part-00000.arrow``.
        rows: series in it; in a part, each is a record batch of its own.
        bytes: size of the file.
        sha256: of the whole file, hexadecimal.
    """

    name: str
    rows: int
    bytes: int
    sha256: str


def number_of(part: Part) -> int:
    """The number in a part's name."""
    return int(part.name.removeprefix("part-").removesuffix(".arrow"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        grid: shape and spacing of every volume.
        parts: in the order in which rows are numbered.
        index: the file that holds all rows without their voxels.
        counts: studies found, rows, rejected and ignored; patients; rows by split; positives and known by finding.
        source: name of the cohort format the rows came from.
        config: the settings of the run that wrote the store, without paths.
        created: UTC time, ISO 8601.
        vocabulary: the finding keys in the order of ``labels``.
        schema_version: of the parts.
    """

    grid: Grid
    parts: tuple[Part, ...]
    index: Part
    counts: Mapping[str, Any]
    source: str
    config: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    vocabulary: tuple[str, ...] = KEYS
    schema_version: int = SCHEMA_VERSION

    @property
    def rows(self) -> int:
        """Series in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def files(self) -> tuple[Part, ...]:
        """Every file that the manifest names, the index among them."""
        return (self.index, *self.parts)

    def write(self, folder: Location) -> None:
        """Write the manifest, which makes the store complete."""
        text = json.dumps({"rows": self.rows, **dataclasses.asdict(self)}, indent=2, allow_nan=False)
        (folder / MANIFEST).write_bytes(text.encode())

    @classmethod
    def read(cls, folder: Location) -> Manifest:
        """The manifest of the store in a folder.

        Raises:
            StoreError: there is none, or it cannot be read, or it is of another version or vocabulary.
        """
        try:
            saved = json.loads((folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            raise StoreError(_absent(folder)) from None
        except (ValueError, OSError) as error:
            raise StoreError(f"{folder}/{MANIFEST} cannot be read: {type(error).__name__}; ingest again") from None
        return _parse(saved if isinstance(saved, dict) else {}, folder)


def _absent(folder: Location) -> str:
    names = folder.names() if folder.is_folder() else []
    if any(name.startswith("part-") for name in names):
        return f"the store at {folder} is incomplete: run the same ingest command again to finish it"
    if folder.exists():
        return f"there is no store at {folder}: the folder holds no {MANIFEST}"
    return f"there is no store at {folder}: make one with jobs/ingest.py --store {folder}"


def _parse(saved: Mapping[str, Any], folder: Location) -> Manifest:
    version = saved.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(f"the store at {folder} has schema version {version}, this is {SCHEMA_VERSION}: ingest again")
    try:
        grid = saved["grid"]
        manifest = Manifest(
            grid=Grid(name=grid["name"], shape=tuple(grid["shape"]), spacing_mm=tuple(grid["spacing_mm"])),
            parts=tuple(Part(**part) for part in saved["parts"]),
            index=Part(**saved["index"]),
            counts=saved["counts"],
            source=saved["source"],
            config=saved["config"],
            created=saved["created"],
            vocabulary=tuple(saved["vocabulary"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"{folder}/{MANIFEST} lacks or garbles a field ({error}): ingest again") from None
    if manifest.vocabulary != KEYS:
        raise StoreError(f"the store at {folder} has other findings than molre/findings.csv: ingest again")
    return manifest

"""Whether a store's files are those that its manifest names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from molre.errors import StoreError
from molre.location import Location
from molre.store.manifest import Manifest, Part

_REMOTE_READS = 8
"""Files hashed at once in remote storage, whose latency one stream would only wait for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A file that is not what the manifest says.

    Attributes:
        file: its name in the store.
        sentence: what is wrong with it.
    """

    file: str
    sentence: str


def misfits(folder: Location, manifest: Manifest) -> list[Damage]:
    """Files that are absent or have another size than the manifest says; no content is read."""
    files = manifest.files
    infos = folder.filesystem.get_file_info([(folder / file.name).path for file in files])
    found = []
    for file, info in zip(files, infos, strict=True):
        if not info.is_file:
            found.append(Damage(file=file.name, sentence="is missing"))
        elif info.size != file.bytes:
            sentence = f"has {info.size:,} bytes, and {file.bytes:,} by the manifest"
            found.append(Damage(file=file.name, sentence=sentence))
    return found


def damages(folder: Location, manifest: Manifest, tell: Callable[[int, int], None] | None = None) -> list[Damage]:
    """Every file that is absent or not the manifest's, after reading all of them.

    Args:
        folder: the store.
        manifest: its manifest.
        tell: called with the number and the bytes of the files done, after each.
    """
    found = misfits(folder, manifest)
    named = {damage.file for damage in found}
    done = len(named)
    read = 0
    for file, damage in _hashed(folder, [file for file in manifest.files if file.name not in named]):
        done, read = done + 1, read + file.bytes
        if tell is not None:
            tell(done, read)
        if damage is not None:
            found.append(damage)
    return sorted(found, key=lambda damage: damage.file)


def _hashed(folder: Location, files: list[Part]) -> Iterator[tuple[Part, Damage | None]]:
    at_once = _REMOTE_READS if folder.local is None else os.cpu_count() or 1
    with ThreadPoolExecutor(at_once) as threads:
        yield from zip(files, threads.map(lambda file: _check(folder, file), files), strict=True)


def _check(folder: Location, file: Part) -> Damage | None:
    try:
        same = digest(folder / file.name) == file.sha256
    except (StoreError, OSError) as error:
        return Damage(file=file.name, sentence=f"cannot be read ({type(error).__name__})")
    return None if same else Damage(file=file.name, sentence="is damaged: its SHA-256 is not the manifest's")


def digest(file: Location) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        StoreError: it is not there.
    """
    found = hashlib.sha256()
    try:
        with file.filesystem.open_input_stream(file.path) as stream:
            while chunk := stream.read(1 << 22):
                found.update(chunk)
    except FileNotFoundError:
        raise StoreError(f"{file} is missing: run the same ingest command again") from None
    return found.hexdigest()

"""``python -m molre.store DIR``: what a store holds, and whether its files are those of its manifest."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from molre.errors import ConfigError
from molre.job import run
from molre.location import Location
from molre.store.inspection import figures
from molre.store.integrity import Damage, damages, misfits
from molre.store.listing import listing
from molre.store.manifest import Manifest
from molre.store.reader import Store

TELL_EVERY_S = 5.0
"""Time between two lines of progress."""
EXIT_DAMAGED = 1
"""Exit status where a file is not what the manifest says; a wrong flag or no store at all is 2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectConfig:
    """Print what a store holds, and check every file against the manifest."""

    store: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """Folder or URI of the store."""
    check: bool = True
    """Read every file and compare its SHA-256 with the manifest's; otherwise only sizes are compared."""
    json: bool = False
    """Print the figures as JSON."""
    montage: str | None = None
    """Path or URI of a PNG to draw some volumes into."""
    volumes: int = 12
    """Volumes in the montage."""
    seed: int = 0
    """Seed of the choice of these volumes."""

    def __post_init__(self) -> None:
        if self.volumes < 1:
            raise ConfigError(f"volumes is {self.volumes}: it must be at least 1")


def main(config: InspectConfig) -> None:
    """Print the figures, draw the montage, check the files, and exit with 1 if any is not the manifest's."""
    folder = Location.of(config.store)
    store = Store(folder, Manifest.read(folder))
    told = figures(store)
    if not config.json:
        print(listing(told), end="\n\n", flush=True)
    found = damages(folder, store.manifest, _Progress(store)) if config.check else misfits(folder, store.manifest)
    if config.json:
        print(json.dumps(told | _files(store, config.check, found), indent=1), flush=True)
    for damage in found:
        print(f"damaged: {damage.file} {damage.sentence}", file=sys.stderr, flush=True)
    if config.montage is not None:
        _draw(store, config, bool(found))
    if found:
        sys.exit(EXIT_DAMAGED)
    if not config.json:
        print("all parts are what the manifest says" if config.check else "all parts have the manifest's sizes")


def _files(store: Store, checked: bool, found: list[Damage]) -> dict[str, Any]:
    """The outcome of the check as plain values."""
    damaged = [{"file": damage.file, "sentence": damage.sentence} for damage in found]
    return {"files": {"count": len(store.manifest.files), "hashed": checked, "damaged": damaged}}


def _draw(store: Store, config: InspectConfig, damaged: bool) -> None:
    if damaged:
        print("no montage is drawn of a damaged store", file=sys.stderr)
        return
    from molre.store.montage import montage  # matplotlib takes a second to import

    where = Location.of(config.montage or "")
    where.write_bytes(montage(store, config.volumes, config.seed))
    print(f"montage    {where}", file=sys.stderr)


class _Progress:
    """Prints now and then how many files were read."""

    def __init__(self, store: Store) -> None:
        self._files = len(store.manifest.files)
        self._bytes = sum(file.bytes for file in store.manifest.files)
        self._start = self._told = time.monotonic()

    def __call__(self, files: int, read: int) -> None:
        """Told after each file; prints at most every ``TELL_EVERY_S``, and not of a check that is over by then."""
        now = time.monotonic()
        if now - self._told > TELL_EVERY_S:
            self._told = now
            rate = read / (now - self._start) / 1e9
            size = f"{read / 1e9:,.1f} of {self._bytes / 1e9:,.1f} GB"
            print(f"sha256 of {files:,} of {self._files:,} files, {size}, {rate:.2f} GB/s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.argv[0] = "python -m molre.store"  # what --help shows
    run(main, InspectConfig)

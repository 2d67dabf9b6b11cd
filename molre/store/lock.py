"""One writer a store at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator

from molre.errors import StoreError
from molre.location import Location

LOCK = ".writer.lock"
_STALE_S = 900.0
"""A remote lock not renewed for this long belongs to a run that was killed: parts take seconds to minutes."""


@contextlib.contextmanager
def only_writer(folder: Location) -> Iterator[Callable[[], None]]:
    """Hold the store for writing, and yield the function that renews the hold.

    Where local, the operating system releases the lock of a killed run. A remote lock is an object that is renewed
    as parts are finished; it guards against a mistake, not against two runs started in the same second, which would
    write the same parts with the same content.

    Raises:
        StoreError: another run is writing this store.
    """
    folder.make_folder()
    with _locked_file(folder) if folder.local is not None else _lease(folder) as renew:
        yield renew


@contextlib.contextmanager
def _locked_file(folder: Location) -> Iterator[Callable[[], None]]:
    descriptor = os.open((folder / LOCK).path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another run is writing the store at {folder}: wait for it, or stop it") from None
        yield lambda: None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _lease(folder: Location) -> Iterator[Callable[[], None]]:
    file, holder = folder / LOCK, uuid.uuid4().hex
    held = _holder(file)
    if held and time.time() - held["renewed"] < _STALE_S:
        raise StoreError(
            f"another run on {held['host']} is writing the store at {folder}: wait for it; "
            f"if it was killed, delete {LOCK} there or wait {_STALE_S / 60:.0f} minutes"
        )

    def renew() -> None:
        text = {"holder": holder, "host": socket.gethostname(), "renewed": time.time()}
        file.write_bytes(json.dumps(text).encode())

    renew()
    try:
        yield renew
    finally:
        held = _holder(file)
        if held and held["holder"] == holder:
            file.delete()


def _holder(file: Location) -> dict | None:
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None

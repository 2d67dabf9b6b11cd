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
from dataclasses import dataclass

from molre.errors import StoreError
from molre.location import Location

LOCK = ".writer.lock"
_STALE_S = 900.0
"""A remote lock not renewed for this long belongs to a run that was killed: parts take seconds to minutes."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to write a store.

    Attributes:
        token: names this hold; it travels with the parts' jobs, so that a worker can tell whether it still counts.
        renew: to be called now and then.
    """

    token: str
    renew: Callable[[], None]


@contextlib.contextmanager
def only_writer(folder: Location) -> Iterator[Hold]:
    """Hold the store for writing.

    Where local, the operating system releases the lock of a killed run. A remote lock is an object that is renewed
    as parts are finished; it guards against a mistake, not against two runs started in the same second, which would
    write the same parts with the same content.

    Raises:
        StoreError: another run is writing this store.
    """
    folder.make_folder()
    with _locked_file(folder) if folder.local is not None else _lease(folder) as hold:
        yield hold


def check_hold(folder: Location, token: str) -> None:
    """Make sure that the run that a worker writes for is still the one that holds the store.

    A worker may outlive its killed run for a moment, in which the next run has begun.

    Raises:
        StoreError: it is not.
    """
    held = _holder(folder / LOCK)
    if not held or held["holder"] != token:
        raise StoreError(f"another run has taken over the store at {folder}")


@contextlib.contextmanager
def _locked_file(folder: Location) -> Iterator[Hold]:
    descriptor = os.open((folder / LOCK).path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another run is writing the store at {folder}: wait for it, or stop it") from None
        token = uuid.uuid4().hex
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _text(token), 0)
        yield Hold(token, lambda: None)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _lease(folder: Location) -> Iterator[Hold]:
    file, token = folder / LOCK, uuid.uuid4().hex
    held = _holder(file)
    if held and time.time() - held["renewed"] < _STALE_S:
        raise StoreError(
            f"another run on {held['host']} is writing the store at {folder}: wait for it; "
            f"if it was killed, delete {LOCK} there or wait {_STALE_S / 60:.0f} minutes"
        )

    def renew() -> None:
        file.write_bytes(_text(token))

    renew()
    try:
        yield Hold(token, renew)
    finally:
        held = _holder(file)
        if held and held["holder"] == token:
            file.delete()


def _text(token: str) -> bytes:
    return json.dumps({"holder": token, "host": socket.gethostname(), "renewed": time.time()}).encode()


def _holder(file: Location) -> dict | None:
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None

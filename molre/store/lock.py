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
PARTS_LOCK = ".parts.lock"
_STALE_S = 900.0
"""A remote lock not renewed for this long belongs to a run that was killed: parts take seconds to minutes."""

_PUBLISHING_S = 60.0
"""A worker holds the parts' lock for one rename and one small file."""


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


@contextlib.contextmanager
def publishing(folder: Location, token: str) -> Iterator[None]:
    """What a worker writes appears under its name in here, and only for the run that holds the store.

    A worker may outlive its killed run for a moment, in which the next run has begun. Where local, that run waits for
    those who are in here before it looks at what is there; remote storage has only the check.

    Raises:
        StoreError: another run holds the store.
    """
    with _flocked(folder, fcntl.LOCK_SH) if folder.local is not None else contextlib.nullcontext():
        held = _holder(folder / LOCK)
        if not held or held["holder"] != token:
            raise StoreError(f"another run has taken over the store at {folder}")
        yield


@contextlib.contextmanager
def _flocked(folder: Location, kind: int) -> Iterator[None]:
    descriptor = os.open((folder / PARTS_LOCK).path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + _PUBLISHING_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreError(f"a worker of an earlier run is still writing to {folder}: stop it") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


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
        with _flocked(folder, fcntl.LOCK_EX):
            pass  # whoever publishes for an earlier run has ended, and nobody will begin
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

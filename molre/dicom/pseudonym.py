"""Names that stand for patients, studies and series: the same with the same key, not to be turned back without it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from molre.errors import ConfigError

KEY_BYTES = 32
HEX_DIGITS = 24
"""96 bits: two of a billion names agree with a chance of 1e-11."""


class Pseudonymiser:
    """Keyed pseudonyms by HMAC-SHA256 (RFC 2104).

    A plain hash would not do: identifiers are few enough to be tried one by one.
    """

    def __init__(self, key: bytes) -> None:
        """Takes the secret key.

        Raises:
            ConfigError: it is shorter than 32 bytes.
        """
        if len(key) < KEY_BYTES:
            raise ConfigError(f"the pseudonym key has {len(key)} bytes: it must have at least {KEY_BYTES}")
        self._key = key

    def of(self, text: str, kind: str) -> str:
        """The pseudonym of an identifier; the same text has another pseudonym as another kind.

        Args:
            text: Patient ID or UID.
            kind: what it identifies, such as ``patient``.
        """
        message = f"{kind}\0{text}".encode("utf-8", "surrogateescape")  # file names need not be UTF-8
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:HEX_DIGITS]


def load_key(path: Path | str) -> bytes:
    """The key in a file, made at random and readable by its owner only if the file is absent.

    Raises:
        ConfigError: the file is there and is not a key, or cannot be read or written.
    """
    path = Path(path)
    try:
        _make_key(path)
        key = path.read_bytes()
    except OSError as fault:
        raise ConfigError(f"the pseudonym key {path} cannot be read or made: {fault.strerror}") from None
    if len(key) < KEY_BYTES:
        raise ConfigError(f"the pseudonym key {path} is too short: it must have at least {KEY_BYTES} bytes")
    return key


def _make_key(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        # A link appears whole or not at all, and never over a key that another process has just made.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)

"""What one request may cost, and the error that says which bound it met."""

from __future__ import annotations

from dataclasses import dataclass

from molre.errors import ConfigError, MolreError

MIB = 2**20


class RequestError(MolreError):
    """A request that cannot be answered, as HTTP says it.

    Attributes:
        status: HTTP status, 4xx or 5xx.
        code: a stable word for programs.
        message: one sentence for people, without any text from the upload.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[RequestError], tuple[int, str, str]]:
        return type(self), (self.status, self.code, self.message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on one upload.

    Attributes:
        body_mib: bytes on the wire; a thin-slice head CT of 600 uncompressed slices is 300 MiB.
        inflated_mib: bytes after unpacking a zip or gzip.
        members: files in one upload or zip.
        ratio: unpacked over packed size, above ``RATIO_FLOOR_MIB``; air compresses well, but not a thousandfold.
    """

    body_mib: int = 1024
    inflated_mib: int = 2048
    members: int = 4000
    ratio: int = 100

    def __post_init__(self) -> None:
        for name in ("body_mib", "inflated_mib", "members", "ratio"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")


RATIO_FLOOR_MIB = 32
"""Unpacked size below which no ratio is suspicious."""


class Meter:
    """Counts what is unpacked, and refuses at the bound."""

    def __init__(self, limits: Limits, packed_bytes: int) -> None:
        self._most = limits.inflated_mib * MIB
        self._suspicious = max(RATIO_FLOOR_MIB * MIB, limits.ratio * packed_bytes)
        self._mib = limits.inflated_mib
        self._count = 0

    def add(self, count: int) -> None:
        """Count bytes that were unpacked.

        Raises:
            RequestError: there are too many in all, or for what they were packed in.
        """
        self._count += count
        if self._count > self._most:
            raise RequestError(413, "too_large_unpacked", f"unpacked, the upload is larger than {self._mib} MiB")
        if self._count > self._suspicious:
            raise RequestError(413, "suspicious_compression", "the upload unpacks to far more than a scan would")

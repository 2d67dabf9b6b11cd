"""From the bytes of a request to files in a private folder: counted, bounded, and named by number.

No name in an upload is ever used as a path. What a file is, is read from its first bytes, not from its name.
"""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, runtime_checkable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from molre.serving.limits import MIB, Limits, Meter, RequestError

_CHUNK = 2**20
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_EMPTY_ZIP = b"PK\x05\x06"
_ENCRYPTED = 0x1


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


async def receive(
    content_type: str, content_length: str | None, body: AsyncIterator[bytes], folder: Path, limits: Limits
) -> list[Path]:
    """Write each file of a multipart body into a folder, as it arrives.

    Args:
        content_type: the request's header.
        content_length: the request's header, if there is one.
        body: chunks of the body.
        folder: empty, private; files are numbered in it.
        limits: bounds on the upload.

    Returns:
        The files, in the order in which they came.

    Raises:
        RequestError: the body is no multipart, is empty, is malformed, or meets a bound.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise RequestError(
            415, "not_multipart", "send the scan as multipart/form-data, for example curl -F file=@scan.zip"
        )
    most = limits.body_mib * MIB
    if content_length is not None and content_length.isdigit() and int(content_length) > most:
        raise _too_large(limits)
    parts = _Parts(folder, limits)
    parser = MultipartParser(options[b"boundary"], parts.callbacks())  # type: ignore[arg-type]
    count = 0
    try:
        async for chunk in body:
            count += len(chunk)
            if count > most:
                raise _too_large(limits)
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise RequestError(400, "malformed_body", "the request's body is not well-formed multipart/form-data") from None
    finally:
        parts.close()
    if not parts.complete:
        raise RequestError(400, "malformed_body", "the request's body ends before its last boundary")
    files = [file for file in parts.files if file.stat().st_size]
    if not files:
        raise RequestError(400, "empty_upload", "the upload holds no file, or only empty ones")
    return files


def _too_large(limits: Limits) -> RequestError:
    return RequestError(413, "too_large", f"the upload is larger than {limits.body_mib} MiB")


class _Parts:
    """Callbacks of the multipart parser: each part with a file name becomes a numbered file."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._header, self._value, self._disposition = b"", b"", b""
        self._open: BinaryIO | None = None
        self.files: list[Path] = []
        self.complete = False

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._content,
            "on_header_end": self._header_end,
            "on_headers_finished": self._start_file,
            "on_part_data": self._data,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _begin(self) -> None:
        self._header, self._value, self._disposition = b"", b"", b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _content(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _start_file(self) -> None:
        # Without a file name the part is a form field, which this service has no use for: its data is dropped.
        if b"filename" not in parse_options_header(self._disposition)[1]:
            return
        if len(self.files) >= self._limits.members:
            raise _too_many(self._limits)
        path = self._folder / f"{len(self.files):06d}"
        self.files.append(path)
        self._open = path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(data[start:end])

    def _end(self) -> None:
        self.complete = True


def _too_many(limits: Limits) -> RequestError:
    return RequestError(413, "too_many_files", f"the upload holds more than {limits.members} files")


def unpack(files: list[Path], folder: Path, limits: Limits) -> list[Path]:
    """The files of an upload with zips and gzips replaced by what is in them.

    Args:
        files: as :func:`receive` wrote them.
        folder: empty, private; what is unpacked is numbered in it.
        limits: bounds on the upload.

    Raises:
        RequestError: an archive is damaged, encrypted, unsafe, or meets a bound.
    """
    meter = Meter(limits, sum(file.stat().st_size for file in files))
    unpacked: list[Path] = []
    for file in files:
        start = head(file, 4)
        if start in (_ZIP, _EMPTY_ZIP):
            unpacked.extend(_unzipped(file, folder, limits, meter, len(unpacked)))
        elif start[:2] == _GZIP:
            unpacked.append(_gunzipped(file, folder / f"{len(unpacked):06d}", meter))
        else:
            meter.add(file.stat().st_size)
            unpacked.append(file.rename(folder / f"{len(unpacked):06d}"))
        if len(unpacked) > limits.members:
            raise _too_many(limits)
    return unpacked


def head(file: Path, count: int) -> bytes:
    """First bytes of a file."""
    with file.open("rb") as stream:
        return stream.read(count)


def _unzipped(file: Path, folder: Path, limits: Limits, meter: Meter, first: int) -> Iterator[Path]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if first + len(members) > limits.members:
                raise _too_many(limits)
            for member in members:
                _check(member)
            for place, member in enumerate(members, start=first):
                yield _member(archive, member, folder / f"{place:06d}", meter)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, OSError):
        raise RequestError(400, "damaged_zip", "the zip is damaged or uses a compression that cannot be read") from None


def _check(member: zipfile.ZipInfo) -> None:
    """Refuse a member that only an attack or a mistake would send, though no name is used as a path.

    Raises:
        RequestError: its name leads out of the folder, it is a link, or it is encrypted.
    """
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise RequestError(400, "unsafe_zip", "a name in the zip leads outside its folder")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise RequestError(400, "unsafe_zip", "the zip holds a link or a special file")
    if member.flag_bits & _ENCRYPTED:
        raise RequestError(400, "encrypted_zip", "the zip is encrypted: send it without a password")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, meter: Meter) -> Path:
    with archive.open(member) as stream:
        _copy(stream, target, meter)
    return target


def _gunzipped(file: Path, target: Path, meter: Meter) -> Path:
    try:
        with gzip.open(file, "rb") as stream:
            _copy(stream, target, meter)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise RequestError(400, "damaged_gzip", "the gzip file is damaged or cut short") from None
    return target


def _copy(stream: _Readable, target: Path, meter: Meter) -> None:
    with target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            meter.add(len(chunk))
            out.write(chunk)

"""A local path or URI through ``pyarrow.fs``: where stores, features, bundles and results lie."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from molre.errors import ConfigError

_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Location:
    """One place on a file system, local or remote.

    Attributes:
        filesystem: the ``pyarrow.fs`` file system that holds it.
        path: the path on that file system, without scheme and without a trailing slash.
        scheme: ``local``, ``s3``, ``gs`` and so on.
    """

    filesystem: pafs.FileSystem
    path: str
    scheme: str = _LOCAL

    @classmethod
    def of(cls, place: str | Path | Location) -> Location:
        """The location of a path or URI; local paths become absolute.

        Raises:
            ConfigError: the URI's scheme is unknown or the URI is malformed.
        """
        if isinstance(place, Location):
            return place
        text = str(place)
        if "://" not in text:
            return cls(pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
        try:
            filesystem, path = pafs.FileSystem.from_uri(text)
        except (ValueError, OSError) as error:
            raise ConfigError(f"cannot open the location {text!r}: {error}") from error
        scheme = _LOCAL if isinstance(filesystem, pafs.LocalFileSystem) else text.split("://", 1)[0]
        return cls(filesystem, path.rstrip("/"), scheme)

    def __truediv__(self, name: str) -> Location:
        return Location(self.filesystem, f"{self.path}/{name}", self.scheme)

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def uri(self) -> str:
        """A plain path where local, a URI elsewhere; ``Location.of`` takes both."""
        return self.path if self.scheme == _LOCAL else f"{self.scheme}://{self.path}"

    @property
    def local(self) -> Path | None:
        """The path if this machine's file system holds it."""
        return Path(self.path) if self.scheme == _LOCAL else None

    def exists(self) -> bool:
        """Whether a file or folder is there."""
        return self.filesystem.get_file_info(self.path).type != pafs.FileType.NotFound

    def is_folder(self) -> bool:
        """Whether a folder is there."""
        return self.filesystem.get_file_info(self.path).type == pafs.FileType.Directory

    def names(self) -> list[str]:
        """Names of the files and folders directly inside, sorted; empty if nothing is there."""
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def make_folder(self) -> Location:
        """Create the folder and its parents, and return this location."""
        self.filesystem.create_dir(self.path, recursive=True)
        return self

    def read_bytes(self) -> bytes:
        """The whole content.

        Raises:
            FileNotFoundError: nothing is there.
        """
        with self.filesystem.open_input_stream(self.path) as stream:
            return stream.read()

    def write_bytes(self, data: bytes) -> None:
        """Write the whole content or nothing: aside and renamed where local, one object where remote."""
        parent = self.path.rsplit("/", 1)[0]
        self.filesystem.create_dir(parent, recursive=True)
        aside = self.path
        if self.scheme == _LOCAL:
            aside = f"{parent}/.{self.name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            with self.filesystem.open_output_stream(aside) as stream:
                stream.write(data)
            if aside != self.path:
                Path(aside).replace(self.path)
        except OSError:
            if aside != self.path:
                Path(aside).unlink(missing_ok=True)
            raise

    def delete(self) -> None:
        """Remove the file, or the folder with all it holds; nothing happens if it is absent."""
        kind = self.filesystem.get_file_info(self.path).type
        if kind == pafs.FileType.Directory:
            self.filesystem.delete_dir(self.path)
        elif kind != pafs.FileType.NotFound:
            self.filesystem.delete_file(self.path)

    def upload(self, folder: Path) -> None:
        """Make this location a copy of a local folder, replacing what was there."""
        if self.local is not None:
            aside = self.local.with_name(f".{self.name}.{uuid.uuid4().hex[:8]}.tmp")
            try:
                shutil.copytree(folder, aside)
                self.delete()
                aside.replace(self.local)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            return
        self.delete()
        pafs.copy_files(str(folder), self.path, destination_filesystem=self.filesystem)

    def download(self, folder: Path) -> Path:
        """A local folder with this location's content: itself where local, else copied into ``folder``."""
        if self.local is not None:
            return self.local
        folder.mkdir(parents=True, exist_ok=True)
        pafs.copy_files(self.path, str(folder), source_filesystem=self.filesystem)
        return folder


def home() -> Path:
    """Folder under which results lie by default: ``$MOLRE_HOME``, else ``~/molre``."""
    return Path(os.environ.get("MOLRE_HOME") or Path.home() / "molre").absolute()


def place(text: str) -> str:
    """A path or URI that means the same on every machine of the job.

    ``ray job submit --working-dir`` runs a job in a copy of the folder, so a relative path would name a file in a
    copy that nobody looks into.

    Raises:
        ConfigError: the path is relative and the job runs in such a copy.
    """
    if "://" in text or Path(text).expanduser().is_absolute():
        return Location.of(text).uri
    if "working_dir_files" in Path.cwd().parts:
        raise ConfigError(f"the path {text!r} is relative, and a submitted job runs in a copy: give an absolute path")
    return Location.of(text).uri

"""Files below a folder of any ``pyarrow.fs`` location: found folder by folder, read in part, or brought here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow.fs as pafs

from molre.errors import StoreError, is_full, storage_fault
from molre.location import Location


@dataclass(frozen=True, slots=True)
class Entry:
    """One file.

    Attributes:
        name: path relative to the root, with slashes.
        size: bytes; 0 where it cannot be told.
        modified_ns: time of last change, since 1970.
    """

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the tree.

    Attributes:
        name: path relative to the root; empty for the root itself.
        files: number of files directly inside.
        links: number of linked folders directly inside; they are not entered, since they could lead in circles or out
            of the archive.
        closed: whether it cannot be listed.
    """

    name: str
    files: int
    links: int = 0
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder, local or remote, with all that lies below it. It travels by pickle: what travels is where it is.

    Attributes:
        root: of the tree; a single file counts as a folder that holds it.
    """

    root: Location

    def is_there(self) -> bool:
        """Whether the root can be reached and is not an empty folder."""
        try:
            return any(folder.files or (folder.closed and folder.name) for folder in self.folders())
        except OSError:
            return False

    def folders(self) -> Iterator[Folder]:
        """Every folder, the root first, siblings in sorted order; names are read, files are not opened."""
        yield from self._local_folders(self.root.local) if self.root.local is not None else self._remote_folders("")

    def entries(self, folder: str) -> list[Entry]:
        """The files directly inside a folder, sorted by name."""
        if self.root.local is not None:
            return self._local_entries(self.root.local / folder, folder)
        found = [info for info in self._listed(folder) if info.is_file]
        return [Entry(_joined(folder, one.base_name), one.size or 0, one.mtime_ns or 0) for one in found]

    def files(self) -> Iterator[Entry]:
        """Every file, folder by folder."""
        for folder in self.folders():
            yield from self.entries(folder.name)

    def head(self, name: str, count: int) -> bytes:
        """The first bytes of a file.

        Raises:
            OSError: it cannot be read.
        """
        place = self._place(name)
        with place.filesystem.open_input_file(place.path) as file:
            return file.read(count)

    @contextlib.contextmanager
    def brought(self, names: Sequence[str]) -> Iterator[list[Path]]:
        """The files as paths on this machine: themselves where local, else copies that last as long as the context.

        Raises:
            OSError: one cannot be fetched.
            StoreError: the disk here is full.
        """
        if self.root.local is not None:
            yield [self.path(name) for name in names]
            return
        with scratch() as aside:
            yield self._fetched(names, Path(aside))

    def _fetched(self, names: Sequence[str], folder: Path) -> list[Path]:
        # Numbered and not named as in the archive: names may be hostile, or too long for this file system.
        paths = [folder / f"{at:06d}{PurePosixPath(name).suffix[:8]}" for at, name in enumerate(names)]
        try:
            for name, path in zip(names, paths, strict=True):
                place = self._place(name)
                pafs.copy_files(place.path, str(path), place.filesystem, pafs.LocalFileSystem())
        except OSError as error:
            if is_full(error):  # which is not the files' fault
                raise StoreError(f"cannot fetch from {self.root} to {folder.parent}: {storage_fault(error)}") from None
            raise
        return paths

    def path(self, name: str) -> Path:
        """Where a file of a local tree is."""
        # Of all names only that of a single file is its root's own.
        place = Path(self.root.path)
        return place if name == place.name and place.is_file() else place / name

    def _place(self, name: str) -> Location:
        return self.root if name == self.root.name and self._is_file() else self.root / name

    def _folder(self, name: str) -> Location:
        return self.root / name if name else self.root

    def _is_file(self) -> bool:
        return self.root.filesystem.get_file_info(self.root.path).is_file

    def _local_folders(self, root: Path) -> Iterator[Folder]:
        if root.is_file():
            yield Folder("", 1)
            return
        closed: list[OSError] = []
        for place, folders, files in os.walk(root, onerror=closed.append):
            links = [name for name in folders if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
            folders[:] = sorted(set(folders) - set(links))
            yield Folder(_below(root, place), len(files), len(links))
        for error in closed:
            yield Folder(_below(root, error.filename), 0, closed=True)

    def _local_entries(self, place: Path, folder: str) -> list[Entry]:
        if place.is_file():
            about = place.stat()
            return [Entry(place.name, about.st_size, about.st_mtime_ns)]
        with os.scandir(place) as found:
            names = sorted(one.name for one in found if not _is_folder(one))
        return [_entry(place, folder, name) for name in names]

    def _remote_folders(self, name: str) -> Iterator[Folder]:
        if not name and self._is_file():
            yield Folder("", 1)
            return
        inside = self._listed(name)
        yield Folder(name, sum(info.is_file for info in inside))
        for info in inside:
            if info.type == pafs.FileType.Directory and info.path == self._folder(name).path:
                # Keys with two slashes, which pyarrow lists so and does not open.
                yield Folder(f"{name}/", 0, closed=True)
            elif info.type == pafs.FileType.Directory:
                yield from self._remote_folders(_joined(name, info.base_name))

    def _listed(self, folder: str) -> list[pafs.FileInfo]:
        place = self._folder(folder)
        if not folder and self._is_file():
            return [place.filesystem.get_file_info(place.path)]
        infos = place.filesystem.get_file_info(pafs.FileSelector(place.path, allow_not_found=True))
        return sorted(infos, key=lambda info: info.base_name)


_SCRATCH = "molre-scratch-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, locked while in use; those of killed processes go, as they may hold patients' files."""
    for left in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)
    with contextlib.ExitStack() as held:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                held.enter_context(_locked(folder))
                if folder.exists():  # nobody took it for a left one before it was locked
                    break
        yield folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _below(root: Path, place: str) -> str:
    name = os.path.relpath(place, root)
    return "" if name == "." else name


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_folder(found: os.DirEntry[str]) -> bool:
    try:
        return found.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _entry(place: Path, folder: str, name: str) -> Entry:
    try:
        about = os.stat(place / name)  # noqa: PTH116 - once a file
    except OSError:  # a link to nothing, or to itself
        return Entry(_joined(folder, name), 0, 0)
    size = about.st_size if stat.S_ISREG(about.st_mode) else 0
    return Entry(_joined(folder, name), size, about.st_mtime_ns)

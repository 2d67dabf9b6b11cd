"""Arrays that take seconds to compute, kept on disk between processes and shared by them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import scipy

KEEP = 3
"""Files of earlier sources that stay, for a second checkout of the project."""


def folder() -> Path:
    """The cache folder: ``$XDG_CACHE_HOME/molre``, or ``~/.cache/molre`` (XDG Base Directory Specification 0.8)."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "molre"


def sources_digest() -> str:
    """A digest of what the arrays are computed by: the sources of the standard head, and the libraries' versions."""
    room = resources.files("molre.phantom")
    files = [room / "template.py", room / "shapes.py"]
    files += [file for file in (room / "standard").iterdir() if file.name.endswith(".py")]
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__}".encode())
    for file in sorted(files, key=lambda each: each.name):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:20]


def kept(name: str, build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``build`` returns: read from the cache where it is there, else built and written to it.

    Processes share one read-only memory map. Where the folder cannot be written, every process builds its own.
    """
    path = folder() / f"{name}-{sources_digest()}.npy"
    try:
        return _opened(path)
    except (OSError, ValueError):
        arrays = build()
    try:
        _write(path, arrays)
        return _opened(path)
    except (OSError, ValueError):
        return arrays


def _opened(path: Path) -> dict[str, np.ndarray]:
    held = np.load(path, mmap_mode="r")
    return {name: np.asarray(held[0][name]) for name in held.dtype.names}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write aside and rename, so that no process ever reads half a file; then drop the oldest files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = np.empty(1, np.dtype([(name, array.dtype, array.shape) for name, array in arrays.items()], align=True))
    for name, array in arrays.items():
        record[0][name] = array
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.save(file, record)
            file.close()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink()
            raise
    others = sorted(path.parent.glob(path.name.split("-")[0] + "-*.npy"), key=lambda each: each.stat().st_mtime)
    for old in others[:-KEEP]:
        old.unlink(missing_ok=True)

"""The way back from a store to the archive: which study had which files. It is as secret as the archive itself."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from molre.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Link:
    """One line.

    Attributes:
        study: pseudonym; empty for files that belong to no study.
        shown: path as ``rejected.csv`` shows it.
        path: of the study's first file, relative to the archive's root.
    """

    study: str
    shown: str
    path: str


def write_linkage(file: Path, links: Iterable[Link]) -> None:
    """Write the lines as CSV, readable by their owner only, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["study", "shown", "path"])
    table.writerows(sorted((one.study, one.shown, one.path) for one in links))
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as sink:
            sink.write(text.getvalue().encode("utf-8", "surrogateescape"))
        aside.replace(file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ConfigError(f"the linkage file {file} cannot be written: {error.strerror}") from None

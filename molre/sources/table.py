"""A public cohort's CSV, row by row, each with the line that an error is to name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from molre.errors import ConfigError
from molre.findings import UNKNOWN
from molre.location import Location

_VALUES = {"1": 1, "0": 0, "": UNKNOWN}
_MORE = "\0more"


def rows_of(where: Location, name: str, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The rows of a table that has at least some columns; blank lines are passed over.

    Args:
        where: path or URI.
        name: what the cohort calls the table.
        columns: that it must have.

    Yields:
        Place of the row, for errors, and its cells by column.

    Raises:
        ConfigError: the file is absent or no UTF-8 CSV, a column is missing, or a row is longer or shorter than the
            header; rows are named by their line.
    """
    text = text_of(where, f": give the cohort's {name} with --labels")
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey=_MORE, restval=_MORE, strict=True)
    empty = True
    try:
        for column in columns:
            if column not in (reader.fieldnames or ()):
                raise ConfigError(f"{where} line 1: the column {column!r} is missing, which {name} has")
        for row in reader:
            line = f"{where} line {reader.line_num}"
            if _MORE in row or _MORE in row.values():
                raise ConfigError(f"{line} has more or fewer cells than the header")
            empty = False
            yield line, {column: row[column].strip() for column in columns}
    except csv.Error as error:
        raise ConfigError(f"{where} line {reader.reader.line_num} is not CSV: {error}") from None
    if empty:
        raise ConfigError(f"{where} holds no rows")


def value_of(text: str, where: str) -> int:
    """A cell as a label: 1, 0, or blank for unknown.

    Raises:
        ConfigError: it is something else.
    """
    plain = text.removesuffix(".0")
    if plain not in _VALUES:
        raise ConfigError(f"{where}: it must be 1, 0 or blank")
    return _VALUES[plain]


def number_of(text: str, where: str) -> int:
    """A cell as a whole number.

    Raises:
        ConfigError: it is none.
    """
    plain = text.removesuffix(".0")
    if not (plain.isascii() and plain.isdecimal()):
        raise ConfigError(f"{where}: it must be a whole number")
    return int(plain)


def text_of(where: Location, advice: str = "") -> str:
    """The text of a table.

    Args:
        where: path or URI.
        advice: added where there is none.

    Raises:
        ConfigError: the file is absent, cannot be read, or is no UTF-8 text.
    """
    try:
        return where.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(f"no labels file at {where}{advice}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where} is not UTF-8 text: save the table as CSV in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {type(error).__name__}") from None

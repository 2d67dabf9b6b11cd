"""The 75 findings, their groups, and label vectors over them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Int8

from molre.errors import ConfigError

UNKNOWN = -1
"""Label of a finding that nobody looked for; masked out of the loss and of every metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One entry of the vocabulary.

    Attributes:
        key: identifier used in files, flags and columns.
        name: the same in words.
        group: one of the eight groups, such as ``hemorrhage``.
    """

    key: str
    name: str
    group: str


def _read() -> tuple[Finding, ...]:
    text = (resources.files("molre") / "findings.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(Finding(key=row["key"], name=row["name"], group=row["group"]) for row in rows)


FINDINGS: tuple[Finding, ...] = _read()
KEYS: tuple[str, ...] = tuple(finding.key for finding in FINDINGS)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(finding.group for finding in FINDINGS))
_INDEX = {key: position for position, key in enumerate(KEYS)}


def index(key: str) -> int:
    """Position of a finding in every label vector.

    Raises:
        ConfigError: the key is not in the vocabulary.
    """
    try:
        return _INDEX[key]
    except KeyError:
        raise ConfigError(f"unknown finding {key!r}: the keys are listed in molre/findings.csv") from None


def label_vector(known: Mapping[str, int]) -> Int8[np.ndarray, "findings"]:
    """A label vector with the given findings set and every other one unknown."""
    labels = np.full(len(KEYS), UNKNOWN, np.int8)
    for key, value in known.items():
        if value not in (0, 1, UNKNOWN):
            raise ConfigError(f"label of {key} is {value!r}: it must be 1, 0 or -1 (unknown)")
        labels[index(key)] = value
    return labels


def positives(labels: Int8[np.ndarray, "findings"]) -> list[str]:
    """Keys of the findings that are present."""
    return [key for key, value in zip(KEYS, labels, strict=True) if value == 1]


def group_of(key: str) -> str:
    """Group of a finding."""
    return FINDINGS[index(key)].group


def indices(keys: Iterable[str]) -> list[int]:
    """Positions of several findings, in the order given."""
    return [index(key) for key in keys]

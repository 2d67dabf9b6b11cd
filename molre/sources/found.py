"""What a source hands to the store: studies found, and studies read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from molre.volume import Volume


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundStudies:
    """What lies under a root.

    Attributes:
        cases: studies to read.
        refused: what belongs to none of them: path relative to the root, code, sentence.
        counts: for the manifest.
        rule: by which a study's series is chosen; empty where a study has one.
    """

    cases: tuple[Any, ...]
    refused: tuple[tuple[str, str, str], ...]
    counts: Mapping[str, int]
    rule: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadStudy:
    """A study as read.

    Attributes:
        volume: of the chosen series, on the asked grid.
        series: its pseudonym.
        attributes: how it was acquired, why it was chosen, and what was repaired.
    """

    volume: Volume
    series: str
    attributes: Mapping[str, Any]

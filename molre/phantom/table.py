"""What a radiologist can review: how often each finding occurs, at what age, how large, how dense, where, with what."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float64

from molre.errors import ConfigError
from molre.findings import GROUPS, KEYS, group_of

MIMICS = "mimics"
"""Name of the table of things that look like findings and are none."""

WINDOWS: dict[str, tuple[float, float]] = {
    "brain": (40.0, 80.0),
    "stroke": (35.0, 35.0),
    "subdural": (75.0, 215.0),
    "soft": (40.0, 350.0),
    "bone": (600.0, 2800.0),
}
"""Centre and width in HU of the windows heads are read in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the table.

    Attributes:
        key: the finding, or the name of a mimic.
        morphology: what is drawn, in a sentence or two.
        source: where morphology and figures come from.
        prevalence: share of a hospital's head CT studies that show it; 0 where it only follows from other findings.
        follows: the rule by which the label follows from what was drawn, where it does.
        age_years: youngest, most usual and oldest patient.
        size_mm: what is barely visible, typical, and large.
        measure: what ``size_mm`` measures.
        hu: lowest and highest density.
        kinds: weight of each form that it takes.
        places: weight of each place where it is drawn.
        companions: probability of other findings given this one.
        implies: findings that are present wherever this one is, by definition.
        shown_by: findings that bring this one about, where it only follows.
        persists: whether a later study of the patient shows it again.
        window: name in ``WINDOWS`` of the window that shows it best.
        of: of a mimic, the finding that it may be taken for.
        example: number of the study that shows it on the sheet.
    """

    key: str
    morphology: str
    source: str
    prevalence: float = 0.0
    follows: str = ""
    age_years: tuple[float, float, float] = (18.0, 60.0, 95.0)
    size_mm: tuple[float, float, float] = (4.0, 10.0, 20.0)
    measure: str = "radius"
    hu: tuple[float, float] = (0.0, 0.0)
    kinds: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, float] = field(default_factory=dict)
    companions: Mapping[str, float] = field(default_factory=dict)
    implies: tuple[str, ...] = ()
    shown_by: tuple[str, ...] = ()
    persists: bool = False
    window: str = "brain"
    of: str = ""
    example: int = 0

    def __post_init__(self) -> None:
        rising = all(list(v) == sorted(v) for v in (self.age_years, self.size_mm, self.hu))
        shares = [self.prevalence, *self.companions.values()]
        if not rising or not all(0 <= share <= 1 for share in shares) or self.window not in WINDOWS:
            raise ConfigError(f"the phantom's table has impossible figures for {self.key}")

    def at_age(self, age_years: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        """How much more often than at any age the finding occurs at an age: a triangle that never quite ends."""
        low, mode, high = self.age_years
        rising = (age_years - low) / max(mode - low, 1e-6)
        falling = (high - age_years) / max(high - mode, 1e-6)
        return np.maximum(np.minimum(rising, falling), 0.03)


@cache
def entries() -> Mapping[str, Entry]:
    """The table by finding, in the order of the vocabulary; a finding that it lacks is never drawn."""
    read = {entry.key: entry for group in GROUPS for entry in _group(group)}
    return {key: read.get(key) or Entry(key=key, morphology="Not drawn", source="none") for key in KEYS}


@cache
def mimics() -> Mapping[str, Entry]:
    """The mimics by name."""
    return {entry.key: entry for entry in _group(MIMICS)}


def _group(name: str) -> list[Entry]:
    text = (resources.files("molre.phantom") / "table" / f"{name}.toml").read_text(encoding="utf-8")
    return [_entry(key, told, name) for key, told in tomllib.loads(text).items()]


def _entry(key: str, told: dict[str, Any], group: str) -> Entry:
    if group != MIMICS and group_of(key) != group:
        raise ConfigError(f"the phantom's table lists {key} in the group {group}")
    return Entry(key=key, **{name: _value(value) for name, value in told.items()})


def _value(value: Any) -> Any:
    """TOML's lists as tuples, and their whole numbers as the decimals they stand for."""
    if isinstance(value, list):
        return tuple(float(one) if isinstance(one, int) else one for one in value)
    if isinstance(value, dict):
        return {name: float(share) for name, share in value.items()}
    return value


@cache
def implied_by(key: str) -> frozenset[str]:
    """A finding and all that it implies by definition."""
    found, queue = set(), [key]
    while queue:
        one = queue.pop()
        if one not in found:
            found.add(one)
            queue.extend(entries()[one].implies)
    return frozenset(found)

"""The scanners of a cohort, from the table a physicist can review, and how one of them is set for a study."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from molre.errors import ConfigError
from molre.phantom.config import CohortConfig

RESTS = ("cradle", "plates", "couch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """A reconstruction kernel, with all that blurs in plane.

    Attributes:
        name: as its maker calls it.
        cutoff_per_mm: spatial frequency at which the response ends.
        boost: enhancement of edges; 0 none.
    """

    name: str
    cutoff_per_mm: float
    boost: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanner:
    """A line of the table, whose head says what each figure means."""

    manufacturer: str
    model: str
    weight: float
    spiral: bool
    kvp: tuple[int, int]
    mas: tuple[int, int]
    efficiency: float
    soft: Kernel
    bone: Kernel
    thickness_mm: tuple[float, ...]
    base_mm: tuple[float, ...]
    increment: tuple[float, float]
    thin: bool
    tilt_deg: tuple[float, float]
    field: tuple[float, ...]
    padding_hu: int
    intercept: int
    signed: bool
    rest: str
    hardening: float
    table_height_mm: tuple[float, float]
    scouts: tuple[str, ...]
    numbers: tuple[int, int, int, int, int]

    def __post_init__(self) -> None:
        if self.rest not in RESTS or not self.thickness_mm or not self.field or "ynthetic" not in self.model:
            raise ConfigError(f"the phantom's table of scanners has impossible figures for {self.model}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How a scanner is set for one study.

    Attributes:
        scanner: the line of the table.
        kvp: tube voltage.
        mas: tube load of a turn.
        thickness_mm: nominal slice thickness.
        base_mm: the same at the skull base.
        increment: distance between slices relative to their thickness.
        tilt_deg: gantry tilt; positive lowers the back of the slice.
        field_mm: side of the reconstructed square.
        table_height_mm: as in the header.
    """

    scanner: Scanner
    kvp: int
    mas: float
    thickness_mm: float
    base_mm: float
    increment: float
    tilt_deg: float
    field_mm: float
    table_height_mm: float


@cache
def scanners() -> Mapping[str, Scanner]:
    """The table by name of the protocol."""
    text = (resources.files("molre.phantom") / "table" / "scanners.toml").read_text(encoding="utf-8")
    return {name: _read(told) for name, told in tomllib.loads(text).items()}


def _read(told: dict[str, Any]) -> Scanner:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    values |= {kind: Kernel(**told[kind]) for kind in ("soft", "bone")}
    return Scanner(**values)


def draw_protocol(rng: np.random.Generator, config: CohortConfig) -> Protocol:
    """A random setting of one of the cohort's scanners.

    Raises:
        ConfigError: the cohort names a scanner that is not in the table.
    """
    scanner = _scanner(rng, config)
    thickness = _thickness(rng, scanner, config)
    uneven = rng.random() < config.uneven_fraction and bool(scanner.base_mm) and thickness > min(scanner.base_mm)
    base = float(rng.choice(scanner.base_mm)) if uneven else thickness
    tilted = rng.random() < config.tilted_fraction and scanner.tilt_deg != (0.0, 0.0)
    tilt = round(float(np.clip(rng.uniform(*scanner.tilt_deg), -config.tilt_max_deg, config.tilt_max_deg)), 1)
    if tilted and abs(tilt) < 1:
        tilt = min(3.0, config.tilt_max_deg)
    return Protocol(
        scanner=scanner,
        kvp=int(rng.choice(scanner.kvp)),
        mas=round(float(rng.uniform(*scanner.mas)) * config.dose, 1),
        thickness_mm=thickness,
        base_mm=min(base, thickness),
        increment=float(rng.choice(scanner.increment)),
        tilt_deg=tilt if tilted else 0.0,
        field_mm=config.field_mm * float(rng.choice(scanner.field)),
        table_height_mm=round(float(rng.uniform(*scanner.table_height_mm)), 1),
    )


def _scanner(rng: np.random.Generator, config: CohortConfig) -> Scanner:
    names = config.scanners or tuple(scanners())
    if not set(names) <= set(scanners()):
        unknown = sorted(set(names) - set(scanners()))
        raise ConfigError(f"unknown scanners {', '.join(unknown)}: choose from {', '.join(scanners())}")
    weights = np.array([scanners()[name].weight for name in names])
    return scanners()[names[rng.choice(len(names), p=weights / weights.sum())]]


def _thickness(rng: np.random.Generator, scanner: Scanner, config: CohortConfig) -> float:
    """One of the scanner's thicknesses within the cohort's range, or the nearest to it."""
    low, high = config.thickness_mm
    off = [abs(mm - min(max(mm, low), high)) for mm in scanner.thickness_mm]
    nearest = [mm for mm, far in zip(scanner.thickness_mm, off, strict=True) if far == min(off)]
    return float(np.clip(rng.choice(nearest), low, high))

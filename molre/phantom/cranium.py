"""What differs between people's skulls, sinuses and scalps, findings apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import poisson

from molre.phantom.shapes import Number

Sides = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cranium:
    """One person's skull and scalp; pairs are of the left and the right side.

    Attributes:
        suture: how open the sutures are, 0 closed to 1.
        diploe_hu: mean HU of the diploe.
        table_hu: HU of the tables of the vault.
        frontal_mm: by how much a frontal sinus is smaller than the largest; beyond 8 it is absent.
        maxillary_mm: the same for the maxillary sinuses, beyond 5 small enough to be called hypoplastic.
        sphenoid_mm: the same for the sphenoid sinuses.
        mastoid: pneumatisation of the mastoids, 0 none to 1.
        nose_mm: swelling of the nasal mucosa, which alternates between the sides.
        septum_mm: deviation of the nasal septum, and of the septum between the sphenoid sinuses.
        slim: share of the scalp's spare thickness that is not there.
        phases: that set apart cells, sutures and folds.
        pits: direction (x, y, z), radius and depth in mm of pits of arachnoid granulations.
        foramina: radius of the parietal foramina, mm, 0 without.
    """

    suture: float
    diploe_hu: float
    table_hu: float
    frontal_mm: Sides
    maxillary_mm: Sides
    sphenoid_mm: Sides
    mastoid: Sides
    nose_mm: Sides
    septum_mm: Sides
    slim: float
    phases: tuple[float, ...]
    pits: tuple[tuple[float, float, float, float, float], ...]
    foramina: Sides


def _pair(rng: np.random.Generator, mean: float, spread: tuple[float, float], low: Number, high: Number) -> Sides:
    """Two sides that resemble each other: deviations between people and between the sides of one."""
    middle = rng.normal(mean, spread[0])
    left, right = np.clip(middle + rng.normal(0, spread[1], 2), low, high)
    return float(left), float(right)


def draw_cranium(rng: np.random.Generator, age_years: float) -> Cranium:
    """A random person's skull.

    Frontal sinuses are absent on a side in some 8 % (Danesh-Sani et al. 2011, J Craniofac Surg 22:e48), sutures close
    with age, the diploe thins out in the old.
    """
    ripe = float(np.clip((age_years - 25) / 55, 0, 1))
    swell = float(rng.uniform(-0.6, 0.6))
    return Cranium(
        suture=float(np.clip(rng.normal(0.95 - 0.55 * ripe, 0.12), 0.15, 1)),
        diploe_hu=float(np.clip(rng.normal(470 - 40 * ripe, 75), 300, 600)),
        table_hu=float(np.clip(rng.normal(1700, 110), 1350, 1900)),
        frontal_mm=_pair(rng, 2.6, (2.0, 1.4), 0, 9),
        maxillary_mm=_maxillary(rng),
        sphenoid_mm=_pair(rng, 1.4, (1.2, 0.8), 0, 6),
        mastoid=_pair(rng, 0.72, (0.24, 0.07), 0.05, 1),
        nose_mm=(0.2 + swell, 0.2 - swell),
        septum_mm=(float(rng.normal(0, 1.6)), float(rng.normal(0, 2.5))),
        slim=float(rng.uniform(0, 1)),
        phases=tuple(float(p) for p in rng.uniform(0, 2 * np.pi, 9)),
        foramina=(_foramen(rng), _foramen(rng)),
        pits=_pits(rng.spawn(1)[0], 4 + 4 * ripe),
    )


def _pits(rng: np.random.Generator, mean: float) -> tuple[tuple[float, float, float, float, float], ...]:
    """As many as the mean has by chance; a later study of the person has the same and perhaps more."""
    count = int(poisson.ppf(rng.random(), mean))
    return tuple(_pit(rng) for _ in range(count))


def _foramen(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.6, 1.3)) if rng.random() < 0.5 else 0.0


def _maxillary(rng: np.random.Generator) -> Sides:
    """Mostly full; hypoplastic in some 10 % of people (Bolger et al. 1990, Otolaryngol Head Neck Surg 103:759)."""
    sides = rng.exponential(0.35, 2) + np.where(rng.random(2) < 0.05, rng.uniform(3, 7, 2), 0)
    return float(sides[0]), float(sides[1])


def _pit(rng: np.random.Generator) -> tuple[float, float, float, float, float]:
    """A pit beside the sagittal or the transverse sinus."""
    if rng.random() < 0.7:
        along = rng.uniform(-1.0, 1.1)
        towards = (rng.choice((-1, 1)) * rng.uniform(0.1, 0.3), np.sin(along), np.cos(along))
    else:
        towards = (rng.choice((-1, 1)) * rng.uniform(0.3, 0.6), 0.85, -0.22)
    x, y, z = np.asarray(towards, float) / np.linalg.norm(towards)
    return float(x), float(y), float(z), float(rng.uniform(1.5, 4)), float(rng.uniform(1, 3.5))

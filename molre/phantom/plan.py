"""Who is scanned and what is to be seen: findings by prevalence and age, their companions, what a patient keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from molre.findings import index
from molre.phantom.config import CohortConfig
from molre.phantom.lesions import LESIONS, LOOKALIKES
from molre.phantom.table import Entry, entries, implied_by, mimics

BLOCK = 4
"""Studies that are shared out among patients together, so that a study's patient is known from its number alone."""
VISITS = {(1, 1, 1, 1): 0.35, (2, 1, 1): 0.30, (2, 2): 0.15, (3, 1): 0.15, (4,): 0.05}
"""Ways of sharing out a block: studies of each of its patients. About a third of the patients have several."""
AGES_YEARS = (18.0, 96.0)
OWN = 0.2
"""Least share of a finding's prevalence that comes about by itself, however often other findings bring it."""
SPREAD = 3.0
"""Concentration of the severities about their mean: broad enough for both ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One thing to be drawn.

    Attributes:
        key: the finding or the mimic.
        severity: 0 barely visible to 1 obvious.
        seed: of its morphology.
    """

    key: str
    severity: float
    seed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is decided of a study before anything is drawn.

    Attributes:
        patient: number of the patient, which is that of the patient's first study.
        visit: 0 for the patient's first study.
        age_years: at the time of the study.
        findings: to be drawn.
        mimics: to be drawn, without a label.
    """

    patient: int
    visit: int
    age_years: float
    findings: tuple[Planned, ...]
    mimics: tuple[Planned, ...]


def patient_of(seed: int, number: int) -> tuple[int, int]:
    """The patient of a study, as the number of that patient's first study, and which of the patient's studies it is."""
    block, within = divmod(number, BLOCK)
    rng = np.random.default_rng([seed, block, 1])
    shares = list(VISITS)[rng.choice(len(VISITS), p=list(VISITS.values()))]
    first = 0
    for share in shares:
        if within < first + share:
            break
        first += share
    return block * BLOCK + first, within - first


def make_plan(config: CohortConfig, number: int) -> Plan:
    """What study ``number`` of a cohort shows; the same in any process and order."""
    patient, visit = patient_of(config.seed, number)
    ages = _ages(np.random.default_rng([config.seed, patient, 2]), visit)
    kept: dict[str, Planned] = {}
    for each in range(visit + 1):
        kept = {key: one for key, one in kept.items() if entries()[key].persists}
        for planned in _drawn(config, patient, each, ages[each]):
            if _free(planned.key, kept):
                kept.setdefault(planned.key, planned)
    alike = np.random.default_rng([config.seed, patient, 3])
    shown = [Planned(key=key, severity=float(alike.beta(2, 2)), seed=(config.seed, patient, 4, place))
             for place, (key, entry) in enumerate(mimics().items())
             if key in LOOKALIKES and alike.random() < entry.prevalence]  # fmt: skip
    return Plan(patient=patient, visit=visit, age_years=ages[visit],
                findings=tuple(kept[key] for key in LESIONS if key in kept), mimics=tuple(shown))  # fmt: skip


def forced_plan(
    config: CohortConfig, number: int, keys: tuple[str, ...], severity: float, age_years: float | None = None
) -> Plan:
    """A study that shows exactly the given findings and what follows, by default at a usual age."""
    rng = np.random.default_rng([config.seed, number, 5])
    if age_years is None:
        age_years = (
            float(np.clip(rng.normal(entries()[keys[0]].age_years[1], 4), *AGES_YEARS)) if keys else _ages(rng, 0)[0]
        )
    drawn = {other for key in keys for other in (entries()[key].shown_by or (key,))}
    return Plan(patient=number, visit=0, age_years=age_years, mimics=(),
                findings=tuple(Planned(key=key, severity=severity, seed=_seed(config, number, 0, key))
                               for key in LESIONS if key in drawn))  # fmt: skip


def _ages(rng: np.random.Generator, visit: int) -> list[float]:
    """Ages at each study up to a visit; head CT is done at all adult ages, and most often past sixty."""
    low, high = AGES_YEARS
    first = low + (high - low) * float(rng.beta(2.2, 1.6))
    return [min(first + lag, high) for lag in np.cumsum([0.0, *rng.exponential(0.6, visit)]).tolist()]


def _drawn(config: CohortConfig, patient: int, visit: int, age_years: float) -> list[Planned]:
    """Findings that come about by themselves at a visit, each followed by its companions."""
    rng = np.random.default_rng([config.seed, patient, 6, visit])
    chances = _chances(config)[round(age_years)]
    causes = [key for key, come in zip(LESIONS, rng.random(len(chances)) < chances, strict=True) if come]
    order = [causes[i] for i in rng.permutation(len(causes))]
    found: dict[str, None] = {}
    while order:
        key = order.pop(0)
        if key in LESIONS and _free(key, found):
            found[key] = None
            companions = entries()[key].companions.items()
            order = [other for other, chance in companions if rng.random() < chance] + order
    mean = config.severity
    return [Planned(key=key, severity=float(rng.beta(SPREAD * mean, SPREAD * (1 - mean))),
                    seed=_seed(config, patient, visit, key)) for key in found]  # fmt: skip


def _seed(config: CohortConfig, patient: int, visit: int, key: str) -> tuple[int, ...]:
    return config.seed, patient, 7, visit, index(key)


def _free(key: str, taken: dict) -> bool:
    """Whether nothing that is already there claims the same place."""
    slot = LESIONS[key].slot
    return key not in taken and not (slot and any(LESIONS[other].slot == slot for other in taken))


def _target(config: CohortConfig, entry: Entry) -> float:
    """Share of the studies that are to show a finding."""
    wanted = max(entry.prevalence, config.rarest) if entry.prevalence else 0.0
    return min(wanted * config.prevalence, 0.9)


def base_rate(config: CohortConfig, key: str) -> float:
    """How often a finding has to come about by itself, so that with what other findings bring it is as common as told.

    Causes are independent: ``1 - prod(1 - base_j * brought_jk)`` over all causes is to be the prevalence, where
    ``brought`` is how likely a cause ends in a finding, by whatever companions. What persists adds up over a patient's
    studies, and comes about that much less often. Some of
    every finding comes about by itself.
    """
    return _base_rates(config)[key]


@cache
def _base_rates(config: CohortConfig) -> dict[str, float]:
    keys, brought = list(LESIONS), _brought()
    targets = np.array([_target(config, entries()[key]) for key in keys])
    targets /= [_studies_behind() if entries()[key].persists else 1.0 for key in keys]
    rates = targets.copy()
    for _ in range(20):
        for k in range(len(keys)):
            others = np.delete(1 - rates * brought[:, k], k)
            rates[k] = max(OWN * targets[k], 1 - (1 - targets[k]) / others.prod())
    return dict(zip(keys, rates.tolist(), strict=True))


@cache
def _brought() -> Float64[np.ndarray, "causes findings"]:
    """Probability that each lesion, coming about by itself, ends in each being drawn or implied."""
    keys = list(LESIONS)
    step = np.array([[entries()[cause].companions.get(key, 0.0) for key in keys] for cause in keys])
    implied = np.array([[float(key in implied_by(cause)) for key in keys] for cause in keys])
    slots = np.array([LESIONS[key].slot for key in keys])
    rivals = (slots[:, None] == slots) & (slots != "") & ~np.eye(len(keys), dtype=bool)
    drawn = np.eye(len(keys))
    for _ in range(6):
        drawn = 1 - np.prod(1 - drawn[:, :, None] * step, axis=1)
        # Of two that would take one place, each is first as often; a cause holds its own place.
        drawn *= np.prod(1 - drawn[:, :, None] / 2 * rivals, axis=1) * ~rivals
        np.fill_diagonal(drawn, 1.0)
    return 1 - np.prod(1 - drawn[:, :, None] * implied, axis=1)


def _studies_behind() -> float:
    """Studies of a patient up to and with one, on average over studies."""
    behind = {shares: sum(n * (n + 1) / 2 for n in shares) / BLOCK for shares in VISITS}
    return sum(weight * behind[shares] for shares, weight in VISITS.items())


@cache
def _chances(config: CohortConfig) -> Float64[np.ndarray, "years findings"]:
    """How likely each lesion comes about by itself, by age in whole years: most at its own usual age."""
    years = np.arange(0, 121.0)
    by_age = [entries()[key].at_age(years) / entries()[key].at_age(_usual_ages()).mean() for key in LESIONS]
    return np.stack(by_age, axis=1) * [base_rate(config, key) for key in LESIONS]


@cache
def _usual_ages() -> Float64[np.ndarray, "n"]:
    return np.array([_ages(np.random.default_rng([8, n]), 0)[0] for n in range(2000)])

"""Which side of train, validation and test a patient is on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from molre.errors import ConfigError
from molre.store.schema import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitFractions:
    """Share of the patients on each side; the three add up to one.

    Attributes:
        train: share to learn from.
        val: share to choose epochs, settings and thresholds on.
        test: share that is only reported on.
    """

    train: float = 0.7
    val: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        if not all(0.0 <= share <= 1.0 for share in self.shares) or not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ConfigError(f"split fractions are {self.shares}: each must be from 0 to 1, and together 1")

    @property
    def shares(self) -> tuple[float, float, float]:
        """In the order of ``SPLITS``."""
        return self.train, self.val, self.test


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """What the side of a patient is decided by.

    Attributes:
        name: pseudonym.
        positive: findings that any study of the patient has, by their number.
        side: where the patient has to be: by the cohort's own choice, or because a store has the patient there.
    """

    name: str
    positive: frozenset[int]
    side: str | None = None


def dealt(patients: Iterable[Patient], fractions: SplitFractions) -> dict[str, str]:
    """The side of every patient, positives of each finding being shared out as the fractions ask.

    Patients whose side is given are counted first. The others are dealt one by one in the order given, each to the
    side that lacks most of the rarest finding the patient has, counted over those dealt before; of sides that lack
    the same, to the one that lacks most patients. This is iterative stratification (Sechidis et al. 2011) taken online:
    no choice depends on who comes later, so that patients appended to an archive move nobody.

    Args:
        patients: each once.
        fractions: share of each side.
    """
    everyone = list(patients)
    deal = _Deal(np.array(fractions.shares))
    sides = {patient.name: patient.side for patient in everyone if patient.side is not None}
    for patient in everyone:
        if patient.side is not None:
            deal.count(patient, SPLITS.index(patient.side))
    for patient in everyone:
        if patient.side is None:
            sides[patient.name] = SPLITS[deal.deal(patient)]
    return sides


@dataclass(slots=True)
class _Deal:
    """Who is where so far.

    Attributes:
        shares: of the three sides.
        patients: on each side.
        positive: likewise, with each finding met so far.
    """

    shares: Float64[np.ndarray, "3"]
    patients: Float64[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    positive: dict[int, Float64[np.ndarray, "3"]] = field(default_factory=dict)

    def count(self, patient: Patient, side: int) -> None:
        """Note that a patient is on a side."""
        self.patients[side] += 1
        for finding in patient.positive or {NOTHING}:
            self.positive.setdefault(finding, np.zeros(3))[side] += 1

    def deal(self, patient: Patient) -> int:
        """Choose the side of a patient, and count it."""
        met = [(self.positive.get(finding, np.zeros(3)), finding) for finding in patient.positive or {NOTHING}]
        rarest, _ = min(met, key=lambda pair: (pair[0].sum(), pair[1]))
        lack, lack_all = self._lack(rarest), self._lack(self.patients)
        # A side that is to have no one gets no one, whatever the rounding, and one that has too many gets no more.
        least = -MOST_SURPLUS - MOST_SURPLUS_SHARE * self.patients.sum()
        open_to = [at for at in range(3) if self.shares[at] > 0 and lack_all[at] >= least]
        side = max(open_to, key=lambda at: (lack[at], lack_all[at], -at))
        self.count(patient, side)
        return side

    def _lack(self, counts: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
        """How many more a side should have, were one more dealt; rounded, so that equal lacks compare equal."""
        return np.round(self.shares * (counts.sum() + 1) - counts, 9)


MOST_SURPLUS, MOST_SURPLUS_SHARE = 1.0, 0.005
"""Patients, and share of all, by which a side may exceed its share for the sake of a finding. Findings of a few
positives would otherwise fill the smallest side, each being rounded up."""

NOTHING = -1
"""Stands for having none of the findings."""

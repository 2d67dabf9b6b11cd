"""The side of every patient of a cohort: prescribed, remembered by a store, or dealt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molre.errors import ConfigError, StoreError
from molre.store.cohort import Case
from molre.store.reader import Store
from molre.store.splits import Patient, SplitFractions, dealt


def sides_of(cases: Sequence[Case], fractions: SplitFractions, remembered: Mapping[str, str]) -> dict[str, str]:
    """The side of each patient.

    Args:
        cases: in the cohort's order, which is the order of dealing.
        fractions: share of each side, for the patients that neither the cohort nor a store has an opinion on.
        remembered: side by patient, from a store; what the cohort prescribes wins.

    Raises:
        ConfigError: the cohort puts studies of one patient into different splits.
    """
    fixed = {**remembered, **_prescribed(cases)}
    labels: dict[str, list[Any]] = {}
    for case in cases:
        labels.setdefault(case.patient, []).append(case.labels)
    positive = {name: np.flatnonzero((np.stack(own) == 1).any(axis=0)) for name, own in labels.items()}
    patients = [
        Patient(name=name, positive=frozenset(map(int, found)), side=fixed.get(name))
        for name, found in positive.items()
    ]
    return dealt(patients, fractions)


def _prescribed(cases: Sequence[Case]) -> dict[str, str]:
    sides: dict[str, str] = {}
    for case in cases:
        if case.split is not None and sides.setdefault(case.patient, case.split) != case.split:
            raise ConfigError("the labels put studies of one patient into different splits: give each patient one")
    return sides


def remembered_sides(store: Store | None) -> dict[str, str]:
    """The side of each patient of a store; none where there is none, or its index is damaged and about to be mended."""
    if store is None:
        return {}
    try:
        table = store.table(["patient", "split"])
    except StoreError:
        return {}
    return dict(zip(table["patient"].to_pylist(), table["split"].to_pylist(), strict=True))

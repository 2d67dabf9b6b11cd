"""Splits by patient."""

import numpy as np
import pytest

from molre.errors import ConfigError
from molre.store import SPLITS, SplitFractions
from molre.store.splits import Patient, dealt

THIRDS = SplitFractions(train=0.6, val=0.15, test=0.25)


def cohort(count: int, seed: int = 0) -> list[Patient]:
    """Patients with findings from common to rare."""
    generator = np.random.default_rng(seed)
    prevalence = np.geomspace(0.3, 0.01, 12)
    return [
        Patient(name=f"p{n}", positive=frozenset(map(int, np.flatnonzero(generator.random(12) < prevalence))))
        for n in range(count)
    ]


def counts(patients, sides) -> np.ndarray:
    """Positives by side and finding."""
    table = np.zeros((3, 12), int)
    for patient in patients:
        for finding in patient.positive:
            table[SPLITS.index(sides[patient.name]), finding] += 1
    return table


def test_shares_are_as_asked():
    sides = list(dealt(cohort(2000), THIRDS).values())
    for side, share in zip(SPLITS, THIRDS.shares, strict=True):
        assert sides.count(side) / len(sides) == pytest.approx(share, abs=0.01)


def test_positives_of_every_finding_are_shared_out():
    patients = cohort(1000)
    table = counts(patients, dealt(patients, THIRDS))
    expected = np.outer(THIRDS.shares, table.sum(axis=0))
    drawn = np.random.default_rng(1).choice(3, size=len(patients), p=THIRDS.shares)
    by_chance = counts(patients, {patient.name: SPLITS[side] for patient, side in zip(patients, drawn, strict=True)})
    assert np.abs(table - expected).max() <= 8
    assert np.abs(table - expected)[:, -4:].max() <= 2.5  # the rare ones, about ten to twenty positives each
    assert np.abs(table - expected).mean() < 0.4 * np.abs(by_chance - expected).mean()


def test_patients_that_come_later_move_nobody():
    patients = cohort(300)
    few, many = dealt(patients[:200], THIRDS), dealt(patients, THIRDS)
    assert few.items() <= many.items()


def test_a_side_that_is_given_stays_and_counts():
    patients = [Patient(name=f"p{n}", positive=frozenset({0}), side="test" if n < 30 else None) for n in range(100)]
    sides = dealt(patients, THIRDS)
    assert [sides[f"p{n}"] for n in range(30)] == ["test"] * 30
    assert list(sides.values()).count("test") == 30  # it has more than its share already


def test_a_zero_share_gets_nobody():
    assert set(dealt(cohort(200), SplitFractions(train=1.0, val=0.0, test=0.0)).values()) == {"train"}


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (1.2, -0.2, 0.0), (0.0, 0.0, 0.0)])
def test_shares_that_are_no_shares_are_refused(shares):
    train, val, test = shares
    with pytest.raises(ConfigError, match="together 1"):
        SplitFractions(train=train, val=val, test=test)


def sides_in(store) -> dict[str, str]:
    rows = store.table(["patient", "split"]).to_pylist()
    assert len({(row["patient"], row["split"]) for row in rows}) == len({row["patient"] for row in rows})
    return {row["patient"]: row["split"] for row in rows}


def test_a_patient_keeps_the_side_as_the_archive_grows_and_as_labels_change(filled, invented):
    small = sides_in(filled(invented.Invented(20)))
    large = sides_in(filled(invented.Invented(60)))
    assert small.items() <= large.items()
    assert set(large.values()) == set(SPLITS)
    assert sides_in(filled(invented.Invented(60, positive="acute_infarct"))) == large


def test_another_store_can_lend_its_sides(filled, invented, tmp_path):
    first = filled(invented.Invented(20, splits=dict.fromkeys(range(8), "test")), tmp_path / "first")
    second = filled(invented.Invented(30), tmp_path / "second", splits_from=first.uri)
    assert sides_in(first).items() <= sides_in(second).items()


def test_other_shares_deal_again(filled, invented):
    filled(invented.Invented(40))
    again = filled(invented.Invented(40), fractions=SplitFractions(train=0.0, val=0.5, test=0.5))
    assert set(sides_in(again).values()) == {"val", "test"}


def test_a_prescribed_split_wins_for_all_studies_of_the_patient(filled, invented):
    store = filled(invented.Invented(8, splits={0: "test", 2: "val"}))
    side = {row["study"]: row["split"] for row in store.table(["study", "split"]).to_pylist()}
    assert [side[f"s000{n}"] for n in range(4)] == ["test", "test", "val", "val"]


def test_one_patient_prescribed_into_two_splits_is_refused(filled, invented):
    with pytest.raises(ConfigError, match="one patient into different splits"):
        filled(invented.Invented(8, splits={0: "test", 1: "train"}))

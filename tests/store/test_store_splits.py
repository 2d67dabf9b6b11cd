"""Splits by patient."""

import pytest

from molre.errors import ConfigError
from molre.store import SplitFractions, split_of

PATIENTS = [f"patient-{n}" for n in range(20_000)]
EXPECTED = ["val", "train", "train", "train", "val", "train", "train", "test"]


def test_shares_are_as_asked():
    fractions = SplitFractions(train=0.6, val=0.15, test=0.25)
    sides = [split_of(patient, fractions) for patient in PATIENTS]
    for side, share in (("train", 0.6), ("val", 0.15), ("test", 0.25)):
        assert sides.count(side) / len(sides) == pytest.approx(share, abs=0.02)


def test_sides_never_change_between_releases():
    """A fixed answer: a changed hash would move patients between train and test of existing stores."""
    assert [split_of(patient, SplitFractions()) for patient in PATIENTS[:8]] == EXPECTED


def test_a_zero_share_gets_nobody():
    sides = {split_of(patient, SplitFractions(train=1.0, val=0.0, test=0.0)) for patient in PATIENTS}
    assert sides == {"train"}


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (1.2, -0.2, 0.0), (0.0, 0.0, 0.0)])
def test_shares_that_are_no_shares_are_refused(shares):
    train, val, test = shares
    with pytest.raises(ConfigError, match="together 1"):
        SplitFractions(train=train, val=val, test=test)


def test_studies_of_a_patient_stay_together_as_the_archive_grows(filled, invented, tmp_path):
    small = filled(invented.Invented(20)).table(["study", "patient", "split"]).to_pylist()
    large = filled(invented.Invented(60)).table(["study", "patient", "split"]).to_pylist()
    side = {row["patient"]: row["split"] for row in large}
    assert all(side[row["patient"]] == row["split"] for row in small + large)
    assert len({row["split"] for row in large}) == 3


def test_a_prescribed_split_wins_for_all_studies_of_the_patient(filled, invented):
    store = filled(invented.Invented(8, splits={0: "test", 2: "val"}))
    side = {row["study"]: row["split"] for row in store.table(["study", "split"]).to_pylist()}
    assert [side[f"s000{n}"] for n in range(4)] == ["test", "test", "val", "val"]


def test_one_patient_prescribed_into_two_splits_is_refused(filled, invented):
    with pytest.raises(ConfigError, match="one patient into different splits"):
        filled(invented.Invented(8, splits={0: "test", 1: "train"}))

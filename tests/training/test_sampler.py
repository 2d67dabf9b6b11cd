import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molre.errors import ConfigError
from molre.training.sampler import RARE_CAP, Sampler, rarity, share


@given(count=st.integers(1, 50), batch=st.integers(1, 20), seed=st.integers(0, 5))
def test_every_study_is_seen_in_every_epoch(count, batch, seed):
    sampler = Sampler(count=count, batch_size=batch, seed=seed)
    steps = list(sampler.epoch(3))
    assert len(steps) == sampler.steps
    assert sorted(np.concatenate(steps)) == list(range(count))  # none twice, none lost
    sizes = {len(step) for step in steps}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_weights_draw_the_rare_more_often():
    weights = np.r_[np.ones(90), np.full(10, 9.0)]
    sampler = Sampler(count=100, batch_size=10, seed=1, weights=weights)
    drawn = np.concatenate([step for number in range(50) for step in sampler.epoch(number)])
    assert len(drawn) == 5000
    assert 0.45 < (drawn >= 90).mean() < 0.55


@given(start=st.integers(0, 6))
def test_an_epoch_goes_on_where_it_stopped(start):
    sampler = Sampler(count=20, batch_size=3, seed=1)
    whole, rest = list(sampler.epoch(2)), list(sampler.epoch(2, start))
    assert [step.tolist() for step in rest] == [step.tolist() for step in whole[start:]]


def test_epochs_differ():
    sampler = Sampler(count=20, batch_size=20, seed=1)
    assert next(sampler.epoch(0)).tolist() != next(sampler.epoch(1)).tolist()


@given(count=st.integers(0, 40), world=st.integers(1, 7))
def test_shares_are_a_partition(count, world):
    rows = np.arange(count)
    parts = [share(rows, rank, world) for rank in range(world)]
    assert sorted(np.concatenate(parts)) == rows.tolist()


def test_an_empty_split_is_refused():
    with pytest.raises(ConfigError, match="no study in its training split"):
        Sampler(count=0, batch_size=4, seed=0)


def labels_of(*counts, studies=100):
    """Findings with so many positives each, one behind the other so that no study has two."""
    labels = np.zeros((studies, len(counts)), np.int8)
    start = 0
    for finding, count in enumerate(counts):
        labels[start : start + count, finding] = 1
        start += count
    return labels


def test_rarity_is_the_inverse_prevalence_of_the_rarest_known_positive():
    labels = labels_of(50, 9, 4)
    labels[60:, 1] = -1  # 9 of 60 known: the finding is less rare than 9 of 100
    labels[0, 2] = 1  # a study with the commonest and the rarest: the rarest counts
    weights = rarity(labels)
    common, rare, rarest = 51 / 102, 10 / 62, 6 / 102
    assert weights[1] == 1.0
    assert weights[50] == pytest.approx(common / rare)
    assert weights[0] == weights[59] == pytest.approx(common / rarest)
    assert weights[99] == 1.0  # nothing known to be there


def test_rarity_is_capped_and_even_without_positives():
    labels = labels_of(900, 1, studies=1000)
    assert rarity(labels)[900] == RARE_CAP
    assert (rarity(np.full((5, 3), -1, np.int8)) == 1).all()
    assert (rarity(np.zeros((5, 3), np.int8)) == 1).all()


@given(positives=st.lists(st.integers(0, 30), min_size=1, max_size=3))
def test_a_rarer_finding_is_never_drawn_less_often(positives):
    weights = rarity(labels_of(*positives))
    assert ((weights >= 1) & (weights <= RARE_CAP)).all()
    starts = np.cumsum([0, *positives])[:-1]
    known = sorted((count, weights[at]) for count, at in zip(positives, starts, strict=True) if count)
    assert [weight for _, weight in known] == sorted((weight for _, weight in known), reverse=True)


def test_balanced_epochs_are_seeded_and_go_on_where_they_stopped():
    sampler = Sampler(count=100, batch_size=8, seed=3, weights=rarity(labels_of(50, 4)))
    whole = list(sampler.epoch(1))
    assert sum(map(len, whole)) == 100
    assert [step.tolist() for step in sampler.epoch(1, 5)] == [step.tolist() for step in whole[5:]]
    drawn = np.concatenate([step for number in range(200) for step in sampler.epoch(number)])
    share = ((drawn >= 50) & (drawn < 54)).mean()
    assert share == pytest.approx(4 * 10 / (96 + 40), rel=0.1)

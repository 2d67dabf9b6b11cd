import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molre.errors import ConfigError
from molre.training.sampler import Sampler, share


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

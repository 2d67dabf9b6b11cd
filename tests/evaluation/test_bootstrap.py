"""Resampling of patients: what is drawn, and that figures share the draws."""

import numpy as np

from molre.evaluation.bootstrap import blocks, patient_draws, resampled


def test_draws_keep_the_size_of_each_stratum():
    strata = [np.array([0, 3]), np.array([1, 2, 4, 5])]
    draws = patient_draws(strata, 7, 50, np.random.default_rng(0))
    assert (draws[:, [0, 3]].sum(axis=1) == 2).all()
    assert (draws[:, [1, 2, 4, 5]].sum(axis=1) == 4).all()
    assert (draws[:, 6] == 0).all()


def test_series_of_a_patient_are_drawn_together():
    clusters = np.array([0, 0, 1, 2, 2, 2])
    weights = resampled(lambda block: block.T.astype(np.float64), clusters, resamples=40, seed=1)
    assert weights.shape == (6, 40)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[3], weights[5])
    assert (weights[[0, 2, 3]].sum(axis=0) == 3).all()


def test_the_spread_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).normal(size=400)
    means = resampled(lambda block: (block @ values / len(values))[None], np.arange(400), resamples=4000)
    assert abs(means.std() / (values.std() / 20) - 1) < 0.05


def test_blocks_make_up_all_resamples_in_bounded_memory():
    assert sum(blocks(100_000, 1000)) == 1000
    assert max(blocks(100_000, 1000)) * 100_000 <= 2**24
    assert blocks(2**25, 2) == [1, 1]
    assert blocks(10, 0) == []

import itertools

import pytest

from molre.training.schedule import learning_rate


def test_rises_to_the_peak_and_falls_to_zero():
    rates = [learning_rate(step, 100, peak=2.0, warmup=0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == pytest.approx(2.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 0.01


def test_a_single_step_learns():
    assert learning_rate(0, 1, peak=1.0, warmup=0.1) == 1.0

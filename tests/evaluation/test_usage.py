"""How the experts share the work, against hand values."""

import math

import numpy as np
import pytest

from molre.evaluation.usage import usage


def test_expert_use_by_hand():
    gates = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    use = usage(np.stack([gates, np.full_like(gates, np.nan)], axis=1))
    np.testing.assert_allclose(use.mean, [5 / 12, 5 / 12, 1 / 12, 1 / 12])
    np.testing.assert_allclose(use.dominant, [2 / 3, 1 / 3, 0, 0])
    assert use.entropy == pytest.approx(1 / 3)
    assert 0.8 < use.balance < 0.9
    assert use.effective == pytest.approx(math.exp(-sum(p * math.log(p) for p in use.mean)))
    assert use.routed == 3

"""What a bundle carries of calibration: the formula, JSON and refusals."""

import json

import numpy as np
import pytest
import torch

from molre.calibration import Calibration, Curve
from molre.errors import ConfigError
from molre.findings import KEYS

LOGITS = np.random.default_rng(0).normal(0, 5, (6, len(KEYS))).astype(np.float32)


def test_without_curves_it_is_the_sigmoid():
    np.testing.assert_allclose(
        Calibration().probabilities(LOGITS), torch.from_numpy(LOGITS).sigmoid().numpy(), rtol=1e-6
    )


def test_a_curve_changes_its_finding_alone():
    calibration = Calibration(curves={KEYS[2]: Curve(scale=0.5, shift=-1.0, fit="own")})
    found, plain = calibration.probabilities(LOGITS), Calibration().probabilities(LOGITS)
    np.testing.assert_allclose(found[:, 2], 1 / (1 + np.exp(1 - LOGITS[:, 2] / 2)), rtol=1e-5)
    others = [at for at in range(len(KEYS)) if at != 2]
    np.testing.assert_array_equal(found[:, others], plain[:, others])
    assert calibration.counts() == {"own": 1, "shared": 0, "none": len(KEYS) - 1}


def test_it_comes_back_from_json():
    calibration = Calibration(
        curves={
            KEYS[0]: Curve(scale=1.25, shift=-3.5, fit="shared"),
            KEYS[9]: Curve(scale=0.1, shift=0.0, fit="own"),
        }
    )
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


@pytest.mark.parametrize(("scale", "shift"), [(0.0, 0.0), (-1.0, 0.0), (np.nan, 0.0), (1.0, np.inf)])
def test_a_curve_that_turns_or_breaks_the_order_is_refused(scale, shift):
    with pytest.raises(ConfigError, match="scale above 0"):
        Curve(scale=scale, shift=shift, fit="own")


def test_what_is_no_finding_is_refused():
    with pytest.raises(ConfigError, match="no finding"):
        Calibration(curves={"fracture": Curve(scale=1.0, shift=0.0, fit="own")})

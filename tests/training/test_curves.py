"""The picture of a run."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from molre.training.curves import History, best_of, png, smoothed


def history(epochs=40, steps=12, sites=("site",), areas=None):
    """A run that falls, levels off and gets no better after three quarters."""
    rng = np.random.default_rng(0)
    at = np.arange(epochs * steps)
    losses = 0.17 * np.exp(-at / len(at) * 4) + 0.02 + rng.normal(0, 0.006, len(at))
    every = range(5, epochs + 1, 5)
    areas = areas or [0.9 - 0.35 * np.exp(-epoch / 8) - 0.0004 * max(0, epoch - 25) for epoch in every]
    validations = [
        {
            "epoch": epoch, "taken": epoch * steps, "mean_auc": area, "findings": 61,
            "gates": {
                site: {"entropy": 1 - 0.3 * part - 0.05 * at, "effective": 6 - 2 * part, "experts": 6.0}
                for at, site in enumerate(sites)
                for part in [epoch / epochs]
            },
        }
        for epoch, area in zip(every, areas, strict=True)
    ]  # fmt: skip
    rates = np.sin(np.linspace(0.1, np.pi, len(at))) * 5e-3
    return History(
        title="Training of dinov3-tiny on synthetic scans\nadapter molre at feature: 11,694 added parameters (0.415%)",
        losses=np.maximum(losses, 0.005).astype(np.float32),
        rates=rates,
        steps_per_epoch=steps,
        validations=validations,
    )


@pytest.mark.parametrize(
    ("case", "panels"),
    [
        (history(), 5),
        (history(sites=()), 3),
        (history(sites=[f"backbone.vit.layer.{at}.attention.q_proj" for at in range(12)]), 5),
        (history(sites=("site", "backbone.vit.layer.11.mlp.up_proj")), 5),
        (history(epochs=5, steps=1, areas=[None]), 5),
    ],
    ids=["one site", "no router", "many sites", "two sites", "no score"],
)
def test_a_picture_of_any_run(case, panels):
    picture = imread(io.BytesIO(png(case)))
    assert picture.shape[1] == 1080
    assert (picture.shape[0] > 1200) == (panels == 5)
    assert picture[..., :3].std() > 0.05


def test_a_run_that_was_stopped_before_its_second_step_is_drawn():
    short = History(title="short", losses=np.ones(1, np.float32), rates=np.ones(1), steps_per_epoch=1, validations=[])
    assert imread(io.BytesIO(png(short))).shape[1] == 1080


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(1, 9))
def test_smoothing_is_the_mean_of_what_is_near(values, window):
    values, half = np.array(values), window // 2
    expected = [values[max(0, at - half) : at + half + 1].mean() for at in range(len(values))]
    np.testing.assert_allclose(smoothed(values, window), expected, atol=1e-9)


def test_the_best_is_the_last_of_equals_and_absent_without_a_score():
    scores = [{"mean_auc": area, "taken": at} for at, area in enumerate([0.6, 0.8, None, 0.8, 0.7])]
    assert best_of(scores)["taken"] == 3
    assert best_of([{"mean_auc": None, "taken": 1}]) is None

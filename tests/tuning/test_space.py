"""The space of a search: what is asked for fits the budget, and wrong bounds are one clear line."""

import optuna
import pytest

from molre.adapters import planned_for
from molre.backbones import Backbone, spec_named
from molre.errors import ConfigError
from molre.training.config import TrainConfig
from molre.tuning.config import TuneConfig
from molre.tuning.space import space_of
from molre.volume import Grid

GRID = Grid(name="small", shape=(6, 112, 112), spacing_mm=(20.0, 2.0, 2.0))


def asked(config, count=60):
    space = space_of(config, GRID)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [space(study.ask())["chosen"] for _ in range(count)]


def test_everything_asked_for_is_within_the_budget_and_the_bounds(tmp_path):
    config = TuneConfig(out=str(tmp_path), alpha=(3.0, 5.0), gamma=(0.0, 1.0))
    backbone = Backbone(spec_named("dinov3-tiny"))
    trials = asked(config)
    for chosen in trials:
        training = config.training(chosen, str(tmp_path))
        assert planned_for(backbone, training.adapter_config).fraction <= 0.005
        assert 3 <= training.alpha <= 5
        assert 0 <= training.gamma <= 1
        assert training.router_width == chosen["router_width"]
    assert {chosen["experts"] for chosen in trials} == {2, 4, 6, 8}
    assert (8, 8) not in {(chosen["experts"], chosen["rank"]) for chosen in trials}
    assert len({chosen["learning_rate"] for chosen in trials}) == len(trials)


def test_a_single_value_is_fixed_and_what_an_adapter_lacks_is_not_asked_for(tmp_path):
    chosen = asked(TuneConfig(out=str(tmp_path), experts=(4,), rank=(2,), learning_rate=(1e-3,)), 3)
    assert all((each["experts"], each["rank"], each["learning_rate"]) == (4, 2, 1e-3) for each in chosen)
    assert set(asked(TuneConfig(out=str(tmp_path), adapter="lora"), 1)[0]) == {
        "site", "rank", "alpha", "dropout", "learning_rate", "weight_decay", "gamma",
    }  # fmt: skip
    assert set(asked(TuneConfig(out=str(tmp_path), adapter="none"), 1)[0]) == {"learning_rate", "weight_decay", "gamma"}
    assert "temperature" not in asked(TuneConfig(out=str(tmp_path), experts=(1,)), 1)[0]


def test_a_site_brings_its_own_sizes(tmp_path):
    config = TuneConfig(
        out=str(tmp_path), site=("feature", "last_block"), experts=(2, 8), rank=(1, 8), weights="random"
    )
    found = space_of(config, GRID).affordable
    assert set(found) == {"feature", "last_block"}
    assert set(found["last_block"]) < set(found["feature"])


def test_a_trial_on_features_takes_one_worker_and_another_those_it_was_given(tmp_path):
    config = TuneConfig(out=str(tmp_path), workers="1-4")
    assert config.training({"site": "feature"}, str(tmp_path)).span == (1, 1)
    assert config.training({"site": "last_block"}, str(tmp_path)).span == (1, 4)


def test_no_settings_are_the_defaults_of_train(tmp_path):
    found, plain = TuneConfig(out=str(tmp_path)).training({}, str(tmp_path)), TrainConfig()
    for name in ("site", "experts", "rank", "router_width", "alpha", "temperature", "dropout", "learning_rate",
                 "weight_decay", "gamma", "epochs", "batch_size", "checkpoint_every_epochs"):  # fmt: skip
        assert getattr(found, name) == getattr(plain, name), name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"trials": 0}, "trials is 0"),
        ({"learning_rate": (1e-2, 1e-3)}, "learning_rate is"),
        ({"learning_rate": (0.0, 1e-3)}, "above 0"),
        ({"alpha": (1.0, 2.0, 3.0)}, "give one value"),
        ({"dropout": (0.0, 1.0)}, "below 1"),
        ({"gamma": ()}, "give one value"),
        ({"experts": ()}, "experts is"),
        ({"rank": (0, 2)}, "rank is"),
    ],
)
def test_wrong_bounds_are_refused(tmp_path, wrong, said):
    with pytest.raises(ConfigError, match=said):
        TuneConfig(out=str(tmp_path), **wrong)


def test_a_space_above_the_budget_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="over the budget"):
        space_of(TuneConfig(out=str(tmp_path), experts=(8,), rank=(64,)), GRID)

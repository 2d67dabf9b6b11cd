import pytest
import yaml

from molre.errors import ConfigError
from molre.job import parse, resolved
from molre.training.config import TrainConfig


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"workers": 4, "batch_size": 3}, "each of 4 workers"),
        ({"workers": "1-4", "batch_size": 3}, "each of 4 workers"),
        ({"workers": 0}, "workers is 0"),
        ({"workers": "4-1"}, "workers is 4-1: give a number of at least 1, or two such as 1-4"),
        ({"workers": "all"}, "workers is all"),
        ({"check_every_s": 0.0}, "check_every_s is 0"),
        ({"out": "nowhere://x"}, "cannot open the location"),
        ({"features": "cached", "site": "last_block"}, "use --features live"),
        ({"features": "cached", "augment": True}, "use --features live"),
        ({"features": "/some/folder", "augment": True}, "use --features live"),
        ({"mlflow": "https://me:secret@host"}, "MLFLOW_TRACKING_PASSWORD"),
        ({"features": "nowhere://x"}, "cannot open the location"),
        ({"memory_mib": 0.0}, "memory_mib is 0.0"),
    ],
)
def test_wrong_settings_are_named(wrong, said):
    with pytest.raises(ConfigError, match=said):
        TrainConfig(**wrong)


def test_features_stand_for_the_backbone_only_where_nothing_before_the_site_is_trained():
    assert TrainConfig().cached
    assert TrainConfig(adapter="none", site="last_block").cached
    assert not TrainConfig(site="last_block").cached
    assert not TrainConfig(adapter="full").cached
    assert not TrainConfig(features="live").cached
    assert not TrainConfig(augment=True).cached
    assert TrainConfig(features="cached").cached


def test_features_are_shared_within_molre_home_and_lie_in_out_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MOLRE_HOME", str(tmp_path / "home"))
    assert TrainConfig().features_root == str(tmp_path / "home" / "features")
    assert TrainConfig(out=str(tmp_path / "run")).features_root == str(tmp_path / "run" / "features")
    assert TrainConfig(features=str(tmp_path / "f")).features_root == str(tmp_path / "f")


def test_a_run_is_called_by_its_name_or_by_a_hash_and_never_by_its_path():
    assert TrainConfig(run_name="first").name == "first"
    unnamed = TrainConfig(out="/data/doe_jane_19700101")
    assert len(unnamed.name) == 8
    assert unnamed.name == TrainConfig(out="/data/doe_jane_19700101", epochs=2).name != TrainConfig(out="/data/x").name


@pytest.mark.parametrize(
    ("flags", "span"), [([], (2, 2)), (["--workers", "3"], (3, 3)), (["--workers", "1-4"], (1, 4))]
)
def test_workers_are_a_number_or_the_least_and_the_most(flags, span, tmp_path):
    assert parse(TrainConfig, flags).span == span
    saved = tmp_path / "config.yaml"
    saved.write_text(yaml.safe_dump(resolved(parse(TrainConfig, flags))))
    assert parse(TrainConfig, ["--config", str(saved)]).span == span

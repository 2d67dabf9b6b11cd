import pytest

from molre.errors import ConfigError
from molre.training.config import TrainConfig


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"workers": 4, "batch_size": 3}, "each of 4 workers"),
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

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

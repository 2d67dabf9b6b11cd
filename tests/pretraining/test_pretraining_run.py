import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from molre.backbones import build
from molre.errors import ConfigError
from molre.location import Location
from molre.pretraining import PHANTOM_SEED, PretrainConfig, pretrain
from molre.pretraining.config import PretrainConfig as Config
from molre.pretraining.run import CHECKPOINT
from molre.pretraining.slices import Slices, some_slices
from molre.store import Store


def config_of(store: str, out, **changes) -> PretrainConfig:
    few = {"steps": 6, "batch_studies": 4, "study_slices": 2, "checkpoint_every_s": 1e-6}
    return PretrainConfig(store=store, out=str(out), **(few | changes))


def weights_of(told: dict) -> dict[str, torch.Tensor]:
    return load_file(Location.of(told["weights"]).path)


def test_the_loss_falls_on_studies_that_are_not_learned_from(small_store, tmp_path):
    told = pretrain(config_of(small_store, tmp_path, steps=25))
    before, after = told["held_out"]["before"], told["held_out"]["after"]
    assert before.keys() == {"hidden", "seen", "zones"}
    for name, loss in before.items():
        assert after[name] < 0.85 * loss, name


def test_the_weights_are_those_of_the_backbone_in_half_precision(small_store, tmp_path):
    told = pretrain(config_of(small_store, tmp_path))
    assert all(value.dtype == torch.float16 for value in weights_of(told).values())
    backbone = build("dinov3-tiny", weights=Location.of(told["weights"]).path)
    assert torch.equal(backbone.vit.norm.weight.half(), weights_of(told)["norm.weight"])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(small_store, tmp_path):
    one, again, other = (
        weights_of(pretrain(config_of(small_store, tmp_path / name, seed=seed)))
        for name, seed in (("one", 3), ("again", 3), ("other", 4))
    )
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["norm.weight"], other["norm.weight"])


class KilledError(RuntimeError):
    pass


def test_a_killed_run_goes_on_to_the_same_weights(small_store, tmp_path, monkeypatch, capsys):
    whole = pretrain(config_of(small_store, tmp_path / "whole"))
    step = Slices.step

    def killed(slices, number, device):
        if number == 4:
            raise KilledError
        return step(slices, number, device)

    with monkeypatch.context() as patch:
        patch.setattr(Slices, "step", killed)
        with pytest.raises(KilledError):
            pretrain(config_of(small_store, tmp_path / "killed"))
    assert not (tmp_path / "killed" / "dinov3-tiny.safetensors").exists()
    resumed = pretrain(config_of(small_store, tmp_path / "killed"))
    assert "going on after step 4 of 6" in capsys.readouterr().out
    assert resumed["held_out"] == whole["held_out"]
    expected, got = weights_of(whole), weights_of(resumed)
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value)


def test_a_folder_with_another_pre_training_is_refused(small_store, tmp_path):
    pretrain(config_of(small_store, tmp_path, steps=1))
    with pytest.raises(ConfigError, match="holds a pre-training with other settings"):
        pretrain(config_of(small_store, tmp_path, steps=2))
    assert (tmp_path / CHECKPOINT).exists()


def test_only_the_training_split_is_learned_from(small_store):
    store = Store.open(small_store)
    slices = Slices(store=store, split="train", batch_studies=5, study_slices=2, seed=0)
    read: list[int] = []
    volumes = store.volumes
    store.volumes = lambda rows, out=None: (read.extend(rows.tolist()), volumes(rows, out))[1]
    for number in range(len(slices.rows) // 5):
        assert slices.step(number, torch.device("cpu")).shape == (10, 112, 112)
    assert set(read) <= set(store.indices("train").tolist())
    assert len(read) == len(set(read)) == len(slices.rows) // 5 * 5  # each once before any comes again


def test_labels_are_not_read(small_store, tmp_path, monkeypatch):
    def told(store):
        raise AssertionError("labels were read")

    monkeypatch.setattr(Store, "labels", told)
    pretrain(config_of(small_store, tmp_path, steps=1))


def test_slices_with_nothing_in_them_come_only_where_others_lack():
    volumes = torch.full((2, 6, 8, 8), -1024, dtype=torch.int16)
    volumes[0, 1:4] = torch.arange(1, 4)[:, None, None].short()
    volumes[1, 5] = 9
    some = some_slices(volumes, 3, torch.Generator().manual_seed(0))
    assert sorted(some[0, :, 0, 0].tolist()) == [1, 2, 3]
    assert sorted(some[1, :, 0, 0].tolist()) == [-1024, -1024, 9]
    assert some_slices(volumes, 9, torch.Generator().manual_seed(0)).shape == (2, 9, 8, 8)


def test_a_store_without_studies_to_tell_the_loss_on_is_refused(small_store):
    store = Store.open(small_store)
    store.indices = lambda split=None: np.empty(0, np.int64)
    with pytest.raises(ConfigError, match="has no val split: ingest more studies"):
        Slices(store=store, split="val", batch_studies=1, study_slices=1, seed=0)


def test_backbones_without_a_mask_token_are_refused(small_store, tmp_path):
    with pytest.raises(ConfigError, match="not of monai-densenet-7m: choose from dinov3-tiny, "):
        pretrain(config_of(small_store, tmp_path, backbone="monai-densenet-7m"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("batch_studies", 0), ("most_hidden", 1.0), ("studies", 12), ("learning_rate", 0.0), ("seed", -1)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        Config(**{name: value})


def test_no_cohort_of_a_default_seed_holds_a_phantom_of_the_pre_training():
    """Seeds are compared by what a study is drawn from: the UID of every study, over all defaults of the platform."""
    from molre.phantom import CohortConfig
    from molre.phantom.study import uid
    from molre.sources.config import IngestConfig

    defaults = [IngestConfig().seed, CohortConfig().seed, *range(8)]
    assert PHANTOM_SEED > 2**32 > max(defaults)
    learned = {uid(PHANTOM_SEED, number) for number in range(100)}
    tested = {uid(seed, number) for seed in defaults for number in range(100)}
    assert not learned & tested


def test_without_a_store_the_job_draws_phantoms_of_the_seed_of_their_own(monkeypatch, tmp_path):
    from molre import embedded

    asked = []
    monkeypatch.setenv("MOLRE_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "ingest", asked.append)
    store = embedded.pretraining_store(50)
    assert [(each.source, each.seed, each.studies, each.store) for each in asked] == [
        ("phantom", PHANTOM_SEED, 50, store)
    ]
    assert dataclasses.replace(asked[0], seed=0).split[2] == 0  # nothing is kept for a test
    assert store != embedded.pretraining_store(60)

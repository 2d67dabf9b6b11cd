"""Pillar0-HeadCT: code and weights of a repository, run only when it is allowed, and held to its interface."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, dynamic_module_utils

from molre.adapters import AdapterConfig, attach
from molre.backbones import build, fingerprint, outline, spec_named
from molre.classifier import Classifier
from molre.errors import ConfigError, WeightsError
from molre.volume import GRIDS, Grid

NAME = "pillar0-headct"

CODE = """
from pathlib import Path

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

Path({sentinel!r}).touch()


class Config(PretrainedConfig):
    model_type = "clip_small_atlas"


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = nn.Linear(11, {width})
        self.logit_scale = nn.Parameter(torch.ones(()))


class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.model = Inner()  # and no post_init(), as in the published wrapper

    def {method}(self, image=None):
        assert list(image) == ["brain_ct"] and image["brain_ct"].shape[1:] == (11, 128, 256, 256)
        return {answer}
"""

GOOD = 'nn.functional.normalize(self.model.visual(image["brain_ct"].mean((2, 3, 4))), dim=-1)'


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A function that writes a repository of the published interface; code and cache stay in the test's folder."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def write(width=1152, method="extract_vision_feats", answer=GOOD, auto=None):
        folder = tmp_path / "pillar"
        folder.mkdir()
        code = CODE.format(sentinel=str(tmp_path / "ran"), width=width, method=method, answer=answer)
        (folder / "modeling_small.py").write_text(code)
        auto = {"AutoConfig": "modeling_small.Config", "AutoModel": "modeling_small.Model"} if auto is None else auto
        (folder / "config.json").write_text(json.dumps({"model_type": "clip_small_atlas", "auto_map": auto}))
        generator = torch.Generator().manual_seed(0)
        state = {
            "model.visual.weight": torch.randn(width, 11, generator=generator),
            "model.visual.bias": torch.randn(width, generator=generator),
            "model.logit_scale": torch.ones(()),
        }
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return write


def volumes(n=1):
    return torch.rand(n, 11, 128, 256, 256, generator=torch.Generator().manual_seed(0))


def test_code_and_weights_of_a_folder_make_the_backbone(repository):
    folder = repository()
    backbone = build(NAME, weights=str(folder), remote_code=True)
    state = load_file(folder / "model.safetensors")
    wanted = torch.nn.functional.linear(
        volumes().mean((2, 3, 4)), state["model.visual.weight"], state["model.visual.bias"]
    )
    features = backbone(volumes())
    assert torch.allclose(features, torch.nn.functional.normalize(wanted, dim=-1), atol=1e-6)
    assert features.norm(dim=1).item() == pytest.approx(1, abs=1e-5)
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not hasattr(PreTrainedModel, "all_tied_weights_keys")


def test_it_is_counted_and_named_when_it_is_loaded(repository):
    folder = repository()
    backbone = build(NAME, weights=str(folder), remote_code=True)
    count = 1152 * 11 + 1152 + 1
    assert spec_named(NAME).parameters is None
    assert backbone.spec.parameters == backbone.provenance["parameters"] == count
    assert backbone.provenance["remote_code"] is True
    assert backbone.provenance["source"] == "local"
    assert backbone.provenance["fingerprint"] == fingerprint(backbone)
    assert backbone.idle == {"remote.model.logit_scale"}


def test_an_adapter_counts_against_what_was_loaded(repository):
    classifier = Classifier(build(NAME, weights=str(repository()), remote_code=True), grid=GRIDS["demo"])
    assert classifier.chunk == 1
    adapted = attach(classifier, AdapterConfig(kind="molre", over_budget=True))
    assert adapted.added_fraction == adapted.added_parameters / (1152 * 12 + 1)
    with pytest.raises(ConfigError, match="no site 'last_block'"):
        attach(
            Classifier(
                build(NAME, weights=str(classifier.backbone.provenance["path"]), remote_code=True), grid=GRIDS["demo"]
            ),
            AdapterConfig(kind="molre", site="last_block"),
        )


def test_no_code_is_run_unless_it_is_allowed(repository, tmp_path):
    folder = repository()
    with pytest.raises(ConfigError, match="allow it with --remote-code"):
        build(NAME, weights=str(folder))
    assert not (tmp_path / "ran").exists()
    build(NAME, weights=str(folder), remote_code=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("weights", [None, "random"])
def test_without_weights_there_is_nothing_to_build(weights):
    with pytest.raises(ConfigError, match="cannot be built without its weights"):
        build(NAME, weights=weights, remote_code=True)
    with pytest.raises(ConfigError, match="nothing stands for it here"):
        outline(NAME)


def test_the_hub_is_not_asked_without_a_commit():
    with pytest.raises(WeightsError, match="@COMMIT"):
        build(NAME, weights="YalaLab/Pillar0-HeadCT", remote_code=True)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"method": "features"}, "Model has no extract_vision_feats"),
        ({"auto": {}}, "names no code for AutoModel"),
        ({"auto": {"AutoModel": "owner/name--code.Model"}}, "from another repository"),
        ({"auto": {"AutoModel": "absent.Model", "AutoConfig": "absent.Config"}}, "cannot load pillar0-headct"),
    ],
)
def test_a_repository_of_another_interface_is_refused_in_one_line(repository, how, told):
    with pytest.raises(WeightsError, match=told) as refusal:
        build(NAME, weights=str(repository(**how)), remote_code=True)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"width": 768}, r"gives \(1, 768\) and not a tensor of \(1, 1152\)"),
        ({"answer": '{"features": image["brain_ct"]}'}, "gives dict and not a tensor"),
        ({"answer": 'image["brain_ct"].mean()'}, r"gives \(\) and not a tensor"),
    ],
)
def test_features_of_another_form_are_refused_in_one_line(repository, how, told):
    backbone = build(NAME, weights=str(repository(**how)), remote_code=True)
    with pytest.raises(WeightsError, match=told) as refusal:
        backbone(volumes())
    assert "\n" not in str(refusal.value)


def test_weights_that_are_missing_or_misshapen_are_refused_and_not_replaced_by_chance(repository):
    file = repository() / "model.safetensors"
    state = load_file(file)
    save_file({k: v for k, v in state.items() if "bias" not in k}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack 1 tensors, model\.visual\.bias the first"):
        build(NAME, weights=str(file.parent), remote_code=True)
    save_file({**state, "model.visual.bias": torch.zeros(3)}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="cannot load pillar0-headct"):
        build(NAME, weights=str(file.parent), remote_code=True)


def test_a_file_is_no_repository(repository):
    with pytest.raises(WeightsError, match="is no folder"):
        build(NAME, weights=str(repository() / "model.safetensors"), remote_code=True)


@pytest.mark.parametrize(
    ("name", "field"), [(NAME, "160 x 256 x 256 mm"), ("pillar0-headct-half-mm", "160 x 128 x 128 mm")]
)
def test_either_published_spacing_can_be_had_and_says_its_field_of_view(name, field):
    assert field in spec_named(name).input.wish


def test_the_input_is_eleven_channels_from_head_to_feet_with_water_above_and_below():
    spec = spec_named(NAME)
    grid = Grid(name="low", shape=(60, 112, 112), spacing_mm=(2.5, 2.0, 2.0))  # 150 mm of the 160, 224 of the 256
    hu = torch.full((1, *grid.shape), 40, dtype=torch.int16)
    hu[:, -10:] = 70  # the vertex
    images = spec.input.of(hu, spec.windows, grid.spacing_mm)
    assert images.shape == (1, 11, 128, 256, 256)
    brain, whole = images[0, 5], images[0, 10]  # 40/80, and lowest to highest
    middle = brain[:, 128, 128]
    assert middle[8].item() == pytest.approx(70 / 80)
    assert middle[-8].item() == pytest.approx(0.5)
    wide = images[0, 1]  # 50/400: 0 at -150 HU
    assert wide[0, 128, 128].item() == pytest.approx(149 / 400)
    assert wide[64, 128, 0].item() == 0
    assert (whole.min().item(), whole.max().item()) == (0, 1)

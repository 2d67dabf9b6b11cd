"""The registry, and a new backbone with one file and one line."""

import re
from dataclasses import replace

import pytest
import torch
from measured_memory import peak_mib

from molre.backbones import (
    BACKBONES,
    Backbone,
    BackboneSpec,
    SliceInput,
    build,
    fingerprint,
    outline,
    register,
    spec_named,
)
from molre.classifier import Classifier
from molre.errors import ConfigError, WeightsError
from molre.windows import CT_RGB


class Mean(Backbone):
    """The smallest backbone there can be: a projection of the mean colour."""

    def __init__(self, spec):
        super().__init__(spec)
        self.project = torch.nn.Linear(3, spec.width)

    def forward(self, images):
        return self.project(images.mean((2, 3)))


MEAN = BackboneSpec(
    name="mean-colour",
    title="the mean colour",
    family=Mean,
    width=8,
    input=SliceInput(image_px=16, patch_px=16),
    windows=CT_RGB,
    parameters=32,
    published="32",
    count_source="these tests",
    forward_mib=1.0,
    licence="none",
    access="none",
)


@pytest.fixture
def mean():
    register(MEAN)
    yield MEAN.name
    del BACKBONES[MEAN.name]


def test_a_backbone_is_added_by_one_file_and_one_line(mean):
    classifier = Classifier(build(mean))
    logits = classifier(torch.zeros(2, 3, 32, 32, dtype=torch.int16))
    assert logits.shape == (2, 75)


def test_a_name_is_taken_once(mean):
    with pytest.raises(ConfigError, match="already"):
        register(MEAN)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="dinov3-tiny, dinov3-vitb16, dinov3-vitl16"):
        spec_named("dinov4")


def test_a_network_of_another_size_than_its_entry_says_is_refused(mean):
    BACKBONES[mean] = replace(MEAN, parameters=33)
    with pytest.raises(WeightsError, match="32 parameters here and 33"):
        build(mean)


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=list(BACKBONES))
def test_every_entry_states_licence_access_count_and_a_commit_or_that_none_is_pinned(spec):
    for told in (spec.title, spec.licence, spec.access, spec.published, spec.count_source):
        assert told
    if spec.revision is None:
        assert spec.hub_id is None or f"{spec.hub_id}@COMMIT" in spec.access
    else:
        assert re.fullmatch("[0-9a-f]{40}", spec.revision)


def test_a_hub_id_of_another_repository_needs_a_commit():
    with pytest.raises(WeightsError, match="give someone/else@COMMIT"):
        build("dinov3-vitb16", weights="someone/else")


@pytest.mark.parametrize("name", [name for name, spec in BACKBONES.items() if not spec.remote_code])
def test_an_outline_is_the_whole_network_without_its_memory(name):
    drawn, outlined = torch.get_rng_state(), []
    peak = peak_mib(lambda: outlined.append(outline(name)))
    network, spec = outlined[0], spec_named(name)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters
    assert all(parameter.is_meta for parameter in network.parameters())
    assert sum(buffer.nbytes for buffer in network.buffers()) < 2**20
    largest = max(parameter.numel() for parameter in network.parameters())
    assert peak < 2 * (largest * 4 / 2**20) + 1  # one tensor at a time has it, until it is taken away
    assert network.idle <= {key for key, _ in network.named_parameters()}


@pytest.mark.parametrize("name", ["medgemma-4b", "medsiglip-448", "medimageinsight"])
def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone(small, name):
    drawn, name = torch.get_rng_state(), small(name)
    first, again, other = (build(name, weights="random", seed=seed) for seed in (0, 0, 1))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.isfinite(value).all() for value in first.state_dict().values())


@pytest.mark.parametrize("name", ["medgemma-4b", "medsiglip-448", "medimageinsight"])
def test_every_parameter_that_is_not_idle_moves_the_features(small, name):
    backbone = build(small(name), weights="random")
    side = backbone.spec.input.image_px
    backbone(torch.randn(2, 3, side, side)).square().sum().backward()
    unmoved = {key for key, parameter in backbone.named_parameters() if parameter.grad is None}
    assert unmoved == backbone.idle


@pytest.mark.parametrize(
    ("name", "site", "count"),
    [
        ("dinov3-vitb16", "last_block", 4),
        ("dinov3-vitb16", "attention", 24),
        ("medgemma-4b", "last_block", 4),
        ("medgemma-4b", "attention", 54),
        ("medsiglip-448", "last_block", 4),
        ("medsiglip-448", "attention", 54),
        ("medimageinsight", "last_block", 4),  # qkv and proj of the window and of the channel attention
        ("medimageinsight", "attention", 24),  # a fused qkv in each of two attentions of twelve blocks
    ],
)
def test_a_site_names_linear_layers_of_the_network(name, site, count):
    network = outline(name)
    chosen = [module for key, module in network.named_modules() if re.fullmatch(network.sites[site], key)]
    assert len(chosen) == count
    assert all(isinstance(module, torch.nn.Linear) for module in chosen)

"""The registry, and a new backbone with one file and one line."""

from dataclasses import replace

import pytest
import torch

from molre.backbones import BACKBONES, Backbone, BackboneSpec, build, register, spec_named
from molre.classifier import Classifier
from molre.errors import ConfigError, WeightsError
from molre.windows import CT_RGB


class Mean(Backbone):
    """The smallest backbone there can be: a projection of the mean colour."""

    def __init__(self, spec):
        super().__init__(spec)
        self.project = torch.nn.Linear(3, spec.width)
        self.provenance = {"source": "random", "description": "random, seed 0", "seed": 0}

    def forward(self, images):
        return self.project(images.mean((2, 3)))


MEAN = BackboneSpec(
    name="mean-colour",
    make=lambda spec, weights, seed: Mean(spec),
    width=8,
    image_px=16,
    patch_px=16,
    parameters=32,
    windows=CT_RGB,
    licence="none",
    access="none",
)


@pytest.fixture
def registered():
    register(MEAN)
    yield MEAN.name
    del BACKBONES[MEAN.name]


def test_a_backbone_is_added_by_one_file_and_one_line(registered):
    classifier = Classifier(build(registered))
    logits = classifier(torch.zeros(2, 3, 32, 32, dtype=torch.int16))
    assert logits.shape == (2, 75)


def test_a_name_is_taken_once(registered):
    with pytest.raises(ConfigError, match="already"):
        register(MEAN)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="dinov3-tiny, dinov3-vitb16, dinov3-vitl16"):
        spec_named("dinov4")


def test_a_network_of_another_size_than_its_entry_says_is_refused(registered):
    BACKBONES[registered] = replace(MEAN, parameters=33)
    with pytest.raises(WeightsError, match="32 parameters here and 33"):
        build(registered)


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=list(BACKBONES))
def test_every_entry_states_licence_access_and_a_pinned_revision(spec):
    assert spec.licence
    assert spec.access
    assert spec.hub_id is None or (spec.revision is not None and len(spec.revision) == 40)


def test_an_unpinned_hub_id_is_refused():
    with pytest.raises(ConfigError, match="without pinning"):
        replace(MEAN, hub_id="owner/name")

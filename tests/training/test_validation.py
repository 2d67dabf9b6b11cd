import pytest
import torch
from torch import nn

from molre.adapters import AdapterConfig, GateMeter, attach
from molre.backbones import build
from molre.classifier import Classifier
from molre.training.validation import merged


@pytest.fixture(scope="module")
def classifier():
    classifier = Classifier(build("dinov3-tiny", weights="random"))
    model = attach(classifier, AdapterConfig(kind="molre", experts=4)).model
    torch.manual_seed(0)
    for name, value in model.named_parameters():
        if "gate_weight" in name:
            nn.init.normal_(value, std=3.0)
    return classifier


def metered(classifier, features):
    with GateMeter(classifier) as meter, torch.no_grad():
        classifier.classify(features)
    return meter.read()


def test_gates_of_parts_are_those_of_the_whole(classifier):
    features = torch.randn(7, 5, classifier.backbone.spec.width)
    (site,) = metered(classifier, features)
    whole = metered(classifier, features)[site]
    parts = merged([metered(classifier, part) for part in features.split([4, 2, 1])] + [{}])
    assert list(parts) == ["site"] == [site]
    assert parts[site]["entropy"] == pytest.approx(whole.entropy, rel=1e-6)
    assert parts[site]["effective"] == pytest.approx(whole.effective, rel=1e-6)
    assert parts[site]["experts"] == 4
    assert 1 < whole.effective < 4
    assert 0 < whole.entropy < 1


def test_no_router_no_gates():
    assert merged([{}, {}]) == {}

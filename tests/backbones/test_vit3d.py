"""FM-HCT: the published layout, orientation and readout, against its definition written out here."""

import pytest
import torch
from torch.nn import functional

from molre.adapters.sites import forms_at
from molre.backbones import build, fingerprint, outline
from molre.classifier import Classifier
from molre.volume import GRIDS

NAME = "fm-hct"


@pytest.fixture(scope="module")
def random():
    backbone = build(NAME, weights="random", seed=3)
    with torch.no_grad():
        backbone.vit.cls_token.normal_(generator=torch.Generator().manual_seed(0))
    return backbone


def published_names():
    """Keys of the published model_weights.pth, each with the backbone's own."""
    names = {"cls_token": "vit.cls_token"}
    for part in ("weight", "bias"):
        names[f"norm.{part}"] = f"vit.norm.{part}"
        names[f"patch_embedding.patch_embeddings.{part}"] = f"vit.patch_embedding.patch_embeddings.{part}"
    names["patch_embedding.position_embeddings"] = "vit.patch_embedding.position_embeddings"
    for block in range(12):
        at = f"blocks.{block}."
        names[f"{at}attn.qkv.weight"] = f"vit.{at}attn.qkv.weight"
        for part in ("weight", "bias"):
            names[f"{at}att_norm.{part}"] = f"vit.{at}norm1.{part}"
            names[f"{at}ffn_norm.{part}"] = f"vit.{at}norm2.{part}"
            names[f"{at}attn.proj.{part}"] = f"vit.{at}attn.out_proj.{part}"
            for half in (1, 2):
                names[f"{at}mlp.linear{half}.{part}"] = f"vit.{at}mlp.linear{half}.{part}"
    return names


def published(backbone):
    return {name: backbone.state_dict()[own] for name, own in published_names().items()}


def test_its_tensors_are_those_of_the_published_file():
    state = outline(NAME).state_dict()
    assert set(state) == set(published_names().values())
    assert state["vit.patch_embedding.position_embeddings"].shape == (1, 512, 768)


def test_the_published_file_loads_exactly(random, tmp_path):
    state = {f"module.{name}": value for name, value in published(random).items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "model_weights.pth")
    loaded = build(NAME, weights=str(tmp_path / "model_weights.pth"))
    assert loaded.provenance["fingerprint"] == fingerprint(random)
    assert (loaded.provenance["tensors"], loaded.provenance["left_out"]) == (len(state), 0)


@pytest.mark.parametrize("prefix", ["", "module.backbone.", "_orig_mod.module.backbone."])
def test_what_training_puts_around_the_network_is_taken_off(random, prefix):
    state = {f"{prefix}{name}": value for name, value in published(random).items()}
    head = f"{prefix.removesuffix('backbone.')}head.mlp.0.weight"
    translated, left_out = random.translated(state | {head: torch.zeros(2)})
    assert left_out == [head]
    assert translated.keys() == random.state_dict().keys()
    assert all(torch.equal(translated[key], value) for key, value in random.state_dict().items())


def by_definition(state, ras):
    """The published network on (n, 3, right, anterior, superior), from its own names."""

    def norm(x, name, eps):
        return functional.layer_norm(x, (768,), state[f"{name}.weight"], state[f"{name}.bias"], eps)

    def linear(x, name):
        return functional.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    at = "patch_embedding.patch_embeddings"
    patches = functional.conv3d(ras, state[f"{at}.weight"], state[f"{at}.bias"], stride=12).flatten(2).transpose(1, 2)
    patches = patches + state["patch_embedding.position_embeddings"]
    x = torch.cat([state["cls_token"].expand(len(ras), -1, -1), patches], 1)
    for block in range(12):
        at = f"blocks.{block}."
        q, k, v = linear(norm(x, f"{at}att_norm", 1e-5), f"{at}attn.qkv").unflatten(2, (3, 12, 64)).unbind(2)
        weights = (torch.einsum("nqhd,nkhd->nhqk", q, k) / 8).softmax(-1)
        x = x + linear(torch.einsum("nhqk,nkhd->nqhd", weights, v).flatten(2), f"{at}attn.proj")
        hidden = functional.gelu(linear(norm(x, f"{at}ffn_norm", 1e-5), f"{at}mlp.linear1"))
        x = x + linear(hidden, f"{at}mlp.linear2")
    return norm(x, "norm", 1e-6)[:, 0]


def test_features_are_the_class_token_of_the_published_network_on_ras_volumes(random):
    images = torch.rand(1, 3, 96, 96, 96, generator=torch.Generator().manual_seed(0))
    right_anterior_superior = images.flip(3, 4).permute(0, 1, 4, 3, 2)  # molre's columns run left, its rows back
    with torch.no_grad():
        assert torch.allclose(random(images), by_definition(published(random), right_anterior_superior), atol=1e-4)


def test_its_sites_are_the_linear_layers_of_attention():
    classifier = Classifier(outline(NAME), grid=GRIDS["demo"])
    at = "backbone.vit.blocks."
    assert list(forms_at(classifier.backbone, "last_block")) == [f"{at}11.attn.out_proj", f"{at}11.attn.qkv"]
    assert list(forms_at(classifier.backbone, "attention")) == [f"{at}{block}.attn.qkv" for block in range(12)]

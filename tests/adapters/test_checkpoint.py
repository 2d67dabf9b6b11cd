"""Gradient checkpoints: the same gradients, and gates that are told once."""

import copy

import peft
import pytest
import torch
from networks import KINDS, SIZES, adapted, gradients, inputs, shake, trained
from torch.utils.checkpoint import checkpoint
from transformers import DINOv3ViTConfig, DINOv3ViTModel, ViTConfig, ViTModel

from molre.adapters import GateMeter, MolreConfig, record_gates

SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}


class Checkpointed(torch.nn.Module):
    def __init__(self, model, use_reentrant):
        super().__init__()
        self.model, self.use_reentrant = model, use_reentrant

    def forward(self, x):
        return checkpoint(self.model, x, use_reentrant=self.use_reentrant)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("form", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_within_a_checkpoint_gradients_are_the_same_and_gates_are_told_once(kind, form, use_reentrant):
    model, x = adapted(kind, form), inputs(form).requires_grad_()
    _, wanted = gradients(model, x)
    with record_gates(model) as gates, GateMeter(model) as meter:
        _, got = gradients(Checkpointed(model, use_reentrant), x)
    for name, gradient in wanted.items():
        torch.testing.assert_close(got[f"model.{name}"], gradient)
    routed = kind in ("molre", "molre-token")
    assert {name: len(passes) for name, passes in gates.items()} == ({"first": 1, "second": 1} if routed else {})
    assert meter.read().keys() == gates.keys()
    if kind == "molre":
        assert {figures.rows for figures in meter.read().values()} == {len(x)}


def transformer(name):
    torch.manual_seed(0)
    if name == "vit":
        return ViTModel(ViTConfig(**SMALL, patch_size=16))
    return DINOv3ViTModel(DINOv3ViTConfig(**SMALL, patch_size=16, pos_embed_rescale=None))


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("name", ["vit", "dinov3"])
def test_transformers_own_checkpointing(name):
    base = transformer(name)
    targets = [suffix for suffix in ("query", "value", "q_proj", "v_proj") if suffix in str(base)]
    model = shake(peft.get_peft_model(base, MolreConfig(experts=3, rank=2, router_width=4, target_modules=targets)))
    plain = copy.deepcopy(model).train()
    model.train()
    model.gradient_checkpointing_enable()
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    results = []
    for network in (plain, model):
        with record_gates(network) as gates:
            network(pixel_values=images).last_hidden_state.square().sum().backward()
        results.append(({key: p.grad for key, p in trained(network).items()}, gates))
    (wanted, wanted_gates), (got, got_gates) = results
    assert wanted.keys() == got.keys()
    for key in wanted:
        torch.testing.assert_close(got[key], wanted[key])
    assert len(got_gates) == 4
    assert got_gates.keys() == wanted_gates.keys()
    assert all(len(passes) == 1 for passes in got_gates.values())

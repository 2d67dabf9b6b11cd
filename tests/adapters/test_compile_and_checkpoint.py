"""What training does to a network: torch.compile, gradient checkpoints, and gates that are told once."""

import copy

import peft
import pytest
import torch
from torch.utils.checkpoint import checkpoint
from transformers import DINOv3ViTConfig, DINOv3ViTModel, ViTConfig, ViTModel

from molre.adapters import GateMeter, MolreConfig, record_gates
from networks import KINDS, SIZES, adapted, inputs, shake, trained

SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}


def gradients(model, x):
    model.zero_grad()
    y = model(x)
    y.square().sum().backward()
    return y, {name: parameter.grad.clone() for name, parameter in trained(model).items()}


@pytest.mark.parametrize("form", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_whole_it_equals_eager_forward_and_backward(kind, form):
    torch.compiler.reset()
    model, x = adapted(kind, form), inputs(form)
    # aot_eager traces forward and backward as the default does, and leaves out only the slow making of kernels.
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    wanted, wanted_gradients = gradients(model, x)
    y, got = gradients(compiled, x)
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-5)
    for name, gradient in wanted_gradients.items():
        torch.testing.assert_close(got[f"_orig_mod.{name}"], gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_compiled_by_inductor_it_equals_eager():
    torch.compiler.reset()
    model, x = adapted("molre", "linear"), inputs("linear")
    wanted, wanted_gradients = gradients(model, x)
    y, got = gradients(torch.compile(model, fullgraph=True), x)
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-5)
    for name, gradient in wanted_gradients.items():
        torch.testing.assert_close(got[f"_orig_mod.{name}"], gradient, atol=1e-4, rtol=1e-4)


def test_compiled_and_observed_it_tells_every_pass_once():
    torch.compiler.reset()
    model, x = adapted("molre", "linear"), inputs("linear")
    compiled = torch.compile(model, backend="aot_eager")
    with record_gates(model) as wanted:
        model(x)
    compiled(x)
    with record_gates(model) as gates, GateMeter(model) as meter:
        for _ in range(3):
            compiled(x).sum().backward()
    assert {name: len(passes) for name, passes in gates.items()} == {"first": 3, "second": 3}
    assert {figures.rows for figures in meter.read().values()} == {3 * len(x)}
    torch.testing.assert_close(gates["first"][0], wanted["first"][0])
    torch.compile(model, fullgraph=True, backend="aot_eager")(x)


class Checkpointed(torch.nn.Module):
    def __init__(self, model, use_reentrant):
        super().__init__()
        self.model, self.use_reentrant = model, use_reentrant

    def forward(self, x):
        return checkpoint(self.model, x, use_reentrant=self.use_reentrant)


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


@pytest.mark.parametrize("name", ["vit", "dinov3"])
def test_transformers_own_checkpointing(name):
    targets = ["query", "value"] if name == "vit" else ["q_proj", "v_proj"]
    base = transformer(name)
    if name == "vit":
        found = {suffix for suffix in ("q_proj", "query") for path, _ in base.named_modules() if path.endswith(suffix)}
        targets = targets if "query" in found else ["q_proj", "v_proj"]
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

"""MoLRE's layer against the formula written out as a loop over experts."""

import math

import pytest
import torch
from torch.nn import functional

from molre.adapters import BottleneckConfig, BottleneckLinear, MolreConfig, MolreLinear
from molre.adapters.attachment import molre_size
from molre.errors import ConfigError

CONFIG = {"experts": 3, "rank": 4, "router_width": 5, "alpha": 8.0, "temperature": 0.7}


def layer_of(config=None, d_in=16, d_out=12, dtype=torch.float32, randomise=True):
    torch.manual_seed(0)
    layer = MolreLinear(torch.nn.Linear(d_in, d_out, dtype=dtype))
    layer.add("default", MolreConfig(**(CONFIG | (config or {}))))
    if randomise:
        for name in layer.adapter_layer_names:
            torch.nn.init.normal_(getattr(layer, name)["default"], std=0.5)
    return layer.eval()


def by_loop(layer, x):
    """The same as the formula says it: gates, then one expert after the other. x is (n, tokens, d)."""
    config = layer.settings["default"]
    packed, up = layer.molre_down["default"], layer.molre_up["default"]
    experts, rank = config.experts, config.rank
    hidden = functional.gelu(x.mean(1) @ packed[experts * rank :].T + layer.molre_hidden_bias["default"])
    logits = hidden @ layer.molre_gate_weight["default"].T + layer.molre_gate_bias["default"]
    gates = (logits / config.temperature).softmax(-1)
    y = layer.base_layer(x)
    for i in range(experts):
        a, b = packed[i * rank : (i + 1) * rank], up[:, i * rank : (i + 1) * rank]
        y = y + gates[:, None, i, None] * (config.alpha / rank) * (x @ a.T @ b.T)
    return y, gates


@pytest.mark.parametrize("shape", [(7, 16), (5, 9, 16)])
def test_one_pass_equals_the_loop_over_experts_forward_and_backward(shape):
    layer = layer_of()
    x = torch.randn(shape, requires_grad=True)
    tokens = x if x.ndim == 3 else x[:, None]
    wanted = by_loop(layer, tokens)[0].reshape(*shape[:-1], 12)
    torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-5)
    inputs = [x, *(getattr(layer, name)["default"] for name in layer.adapter_layer_names)]
    weight = torch.randn_like(wanted)
    for ours, theirs in zip(
        torch.autograd.grad((layer(x) * weight).sum(), inputs),
        torch.autograd.grad((wanted * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_slice_s_gate_is_its_own():
    layer, x = layer_of(), torch.randn(4, 16)
    assert torch.allclose(layer(x)[2], layer(x[2:3])[0], atol=1e-6)
    tokens = torch.randn(4, 9, 16)
    changed = tokens.clone()
    changed[0] += 1
    assert torch.allclose(layer(tokens)[1:], layer(changed)[1:], atol=1e-6)


def test_initial_values_are_those_documented():
    layer = layer_of(randomise=False)
    assert layer.molre_down["default"].abs().max() <= 1 / math.sqrt(16)
    assert layer.molre_down["default"].std().item() == pytest.approx(1 / math.sqrt(3 * 16), rel=0.2)
    for name in ("molre_up", "molre_hidden_bias", "molre_gate_weight", "molre_gate_bias"):
        assert not getattr(layer, name)["default"].any()
    layer.recorder = []
    layer(torch.randn(6, 16))
    assert torch.equal(layer.recorder[0], torch.full((6, 3), 1 / 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_output_at_initialisation_is_the_base_layer_s_to_the_bit(dtype):
    layer = layer_of(dtype=dtype, randomise=False)
    x = torch.randn(5, 7, 16, dtype=dtype)
    assert torch.equal(layer(x), layer.base_layer(x))


def test_a_bfloat16_base_with_a_float32_adapter_keeps_the_base_s_type_and_trains():
    layer = layer_of(dtype=torch.bfloat16)
    for name in layer.adapter_layer_names:
        getattr(layer, name)["default"] = torch.nn.Parameter(getattr(layer, name)["default"].float())
    y = layer(torch.randn(5, 16, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert all(getattr(layer, name)["default"].grad.isfinite().all() for name in layer.adapter_layer_names)


def test_autocast_runs_in_bfloat16_near_the_exact_result():
    layer, x = layer_of(), torch.randn(5, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y.float(), layer(x), atol=0.2, rtol=0.05)


@pytest.mark.parametrize(("experts", "rank", "width", "d_in", "d_out"), [(6, 8, 64, 32, 32), (1, 1, 4, 8, 24)])
def test_the_parameter_count_is_the_formula_s(experts, rank, width, d_in, d_out):
    layer = layer_of({"experts": experts, "rank": rank, "router_width": width}, d_in, d_out)
    made = sum(p.numel() for n, p in layer.named_parameters() if not n.startswith("base_layer"))
    by_hand = experts * rank * (d_in + d_out) + width * d_in + width + experts * width + experts
    assert made == by_hand == molre_size([(d_in, d_out)], experts, rank, width)


def test_temperature_sharpens_the_gate():
    cold, warm = layer_of({"temperature": 0.1}), layer_of({"temperature": 10.0})
    cold.recorder, warm.recorder, x = [], [], torch.randn(8, 16)
    cold(x), warm(x)
    assert cold.recorder[0].amax(1).mean() > warm.recorder[0].amax(1).mean()


def test_dropout_acts_in_training_only_and_spares_the_gate():
    layer, x = layer_of({"dropout": 0.5}), torch.randn(6, 16)
    assert torch.equal(layer(x), layer(x))
    layer.train().recorder = []
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(*layer.recorder)


def test_merging_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="depends on the input"):
        layer_of().merge()


def test_the_bottleneck_is_gelu_between_two_matrices():
    torch.manual_seed(0)
    layer = BottleneckLinear(torch.nn.Linear(16, 12))
    layer.add("default", BottleneckConfig(width=5))
    x = torch.randn(3, 4, 16)
    assert torch.equal(layer(x), layer.base_layer(x))
    torch.nn.init.normal_(layer.bottleneck_up["default"])
    added = functional.gelu(x @ layer.bottleneck_down["default"].T) @ layer.bottleneck_up["default"].T
    torch.testing.assert_close(layer(x), layer.base_layer(x) + added, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"experts": 0}, {"rank": 0}, {"alpha": 0.0}, {"temperature": -1.0}, {"dropout": 1.0}, {"router_width": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MolreConfig(**wrong)

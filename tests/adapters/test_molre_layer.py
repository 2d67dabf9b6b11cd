"""MoLRE's layers against the formula written out as a loop over experts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from molre.adapters import (
    BottleneckConfig,
    BottleneckConv3d,
    BottleneckLinear,
    MolreConfig,
    MolreConv2d,
    MolreConv3d,
    MolreLinear,
)
from molre.adapters.budget import molre_size
from molre.adapters.layer import Form
from molre.errors import ConfigError

CONFIG = {"experts": 3, "rank": 4, "router_width": 5, "alpha": 8.0, "temperature": 0.7}
CONV = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}
BASES = {
    "linear": (lambda: torch.nn.Linear(16, 12), (16,)),
    "tokens": (lambda: torch.nn.Linear(16, 12), (9, 16)),
    "map": (lambda: torch.nn.Linear(16, 12), (3, 4, 16)),
    "conv2d": (lambda: torch.nn.Conv2d(4, 6, **CONV), (4, 9, 8)),
    "conv2d, groups": (lambda: torch.nn.Conv2d(4, 6, groups=2, **CONV), (4, 9, 8)),
    "conv2d, reflecting": (lambda: torch.nn.Conv2d(4, 6, (3, 1), padding=(1, 0), padding_mode="reflect"), (4, 5, 6)),
    "conv2d, same": (lambda: torch.nn.Conv2d(4, 6, 3, padding="same"), (4, 5, 6)),
    "conv3d": (lambda: torch.nn.Conv3d(4, 6, (1, 3, 3), padding=(0, 1, 1)), (4, 3, 5, 4)),
    "conv3d, groups": (lambda: torch.nn.Conv3d(4, 8, 2, groups=4), (4, 3, 5, 4)),
}
LAYERS = {torch.nn.Linear: MolreLinear, torch.nn.Conv2d: MolreConv2d, torch.nn.Conv3d: MolreConv3d}


def wrapped(base, config=None, *, dtype=torch.float32, randomise=True):
    torch.manual_seed(0)
    layer = LAYERS[type(base)](base.to(dtype))
    layer.add("default", MolreConfig(**(CONFIG | (config or {}))))
    if randomise:
        for name in layer.adapter_layer_names:
            if "default" in getattr(layer, name):
                torch.nn.init.normal_(getattr(layer, name)["default"], std=0.5)
    return layer.eval()


def layer_of(config=None, d_in=16, d_out=12, **options):
    torch.manual_seed(1)
    return wrapped(torch.nn.Linear(d_in, d_out), config, **options)


def seen(layer):
    gates = []
    layer.observers = (lambda adapter, passed: gates.append(passed),)
    return gates


def apply(base, x, weight):
    """The base layer's operation with other weights, reading all channels."""
    if isinstance(base, torch.nn.Linear):
        return functional.linear(x, weight)
    made = type(base)(
        base.in_channels, len(weight), base.kernel_size, base.stride, base.padding, base.dilation, 1, False,
        base.padding_mode,
    )  # fmt: skip
    return torch.func.functional_call(made, {"weight": weight}, (x,))


def by_loop(layer, x):
    """The same as the formula says it: gates, then one expert after the other, a group after the other."""
    config, base = layer.settings["default"], layer.base_layer
    packed, up = layer.molre_down["default"], layer.molre_up["default"]
    experts, rank, groups = config.experts, config.rank, layer.groups
    last = isinstance(base, torch.nn.Linear)
    hidden = apply(base, x, packed[experts * rank :])
    hidden = hidden if last else hidden.movedim(1, -1)
    if config.gate == "row" and hidden.ndim > 2:
        hidden = hidden.mean(tuple(range(1, hidden.ndim - 1)))
    hidden = functional.gelu(hidden + layer.molre_hidden_bias["default"])
    logits = hidden @ layer.molre_gate_weight["default"].T + layer.molre_gate_bias["default"]
    gates = (logits / config.temperature).softmax(-1)
    y = base(x) if last else base(x).movedim(1, -1)
    down = packed[: experts * rank].unflatten(0, (groups, experts, rank // groups))
    up = up.flatten(1).unflatten(0, (groups, -1)).unflatten(2, (experts, rank // groups))
    for i in range(experts):
        parts = []
        for group in range(groups):
            activations = apply(base, x, down[group, i])
            activations = activations if last else activations.movedim(1, -1)
            parts.append(activations @ up[group, :, i].T)
        gate = gates[..., i, None]
        gate = gate.view(len(x), *(1,) * (y.ndim - 2), 1) if config.gate == "row" else gate
        y = y + gate * (config.alpha / rank) * torch.cat(parts, -1)
    return (y if last else y.movedim(-1, 1)), gates


@pytest.mark.parametrize("gate", ["row", "token"])
@pytest.mark.parametrize("base", BASES)
def test_one_pass_equals_the_loop_over_experts_forward_and_backward(base, gate):
    make, shape = BASES[base]
    layer = wrapped(make(), {"gate": gate})
    x = torch.randn(5, *shape, requires_grad=True)
    gates = seen(layer)
    wanted, wanted_gates = by_loop(layer, x)
    torch.testing.assert_close(layer(x), wanted, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(gates[0], wanted_gates, atol=1e-5, rtol=1e-5)
    inputs = [x, *(getattr(layer, name)["default"] for name in layer.adapter_layer_names)]
    weight = torch.randn_like(wanted)
    for ours, theirs in zip(
        torch.autograd.grad((layer(x) * weight).sum(), inputs),
        torch.autograd.grad((wanted * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=5e-4, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    experts=st.integers(2, 5), rank=st.integers(1, 4), width=st.integers(1, 6), n=st.integers(1, 3),
    middle=st.lists(st.integers(1, 3), max_size=2), gate=st.sampled_from(["row", "token"]),
)  # fmt: skip
def test_any_size_equals_the_loop(experts, rank, width, n, middle, gate):
    layer = layer_of({"experts": experts, "rank": rank, "router_width": width, "gate": gate})
    x = torch.randn(n, *middle, 16)
    torch.testing.assert_close(layer(x), by_loop(layer, x)[0], atol=5e-5, rtol=1e-4)


def test_a_slice_s_gate_is_its_own():
    layer, x = layer_of(), torch.randn(4, 16)
    assert torch.allclose(layer(x)[2], layer(x[2:3])[0], atol=1e-6)
    tokens = torch.randn(4, 9, 16)
    changed = tokens.clone()
    changed[0] += 1
    assert torch.allclose(layer(tokens)[1:], layer(changed)[1:], atol=1e-6)


@pytest.mark.parametrize(("gate", "spreads"), [("row", True), ("token", False)])
def test_a_token_moves_the_others_through_a_row_s_gate_only(gate, spreads):
    layer, tokens = layer_of({"gate": gate}), torch.randn(2, 9, 16)
    changed = tokens.clone()
    changed[:, 0] += 3
    assert torch.allclose(layer(tokens)[:, 1:], layer(changed)[:, 1:], atol=1e-5) is not spreads


def test_a_row_without_inner_positions_is_its_own_token():
    rows, tokens = layer_of({"gate": "row"}), layer_of({"gate": "token"})
    x = torch.randn(6, 16)
    assert torch.equal(rows(x), tokens(x))


def test_initial_values_are_those_documented():
    layer = layer_of(randomise=False)
    assert layer.molre_down["default"].abs().max() <= 1 / math.sqrt(16)
    assert layer.molre_down["default"].std().item() == pytest.approx(1 / math.sqrt(3 * 16), rel=0.2)
    for name in ("molre_up", "molre_hidden_bias", "molre_gate_weight", "molre_gate_bias"):
        assert not getattr(layer, name)["default"].any()
    gates = seen(layer)
    layer(torch.randn(6, 16))
    assert torch.equal(gates[0], torch.full((6, 3), 1 / 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("base", BASES)
def test_the_output_at_initialisation_is_the_base_layer_s_to_the_bit(base, dtype):
    make, shape = BASES[base]
    layer = wrapped(make(), dtype=dtype, randomise=False)
    x = torch.randn(5, *shape, dtype=dtype)
    assert torch.equal(layer(x), layer.base_layer(x))


@pytest.mark.parametrize(("experts", "rank", "width"), [(6, 8, 64), (1, 4, 8), (2, 4, 1)])
@pytest.mark.parametrize("base", BASES)
def test_the_parameter_count_is_the_formula_s(base, experts, rank, width):
    layer = wrapped(BASES[base][0](), {"experts": experts, "rank": rank, "router_width": width})
    made = sum(p.numel() for n, p in layer.named_parameters() if not n.startswith("base_layer"))
    assert made == molre_size(Form.of(layer.base_layer), experts, rank, width)


def test_the_parameter_count_of_a_linear_layer_by_hand():
    assert molre_size(Form(inputs=8, outputs=24), 6, 8, 64) == 6 * 8 * (8 + 24) + 64 * 8 + 64 + 6 * 64 + 6


def test_temperature_sharpens_the_gate():
    cold, warm = layer_of({"temperature": 0.1}), layer_of({"temperature": 10.0})
    sharp, flat, x = seen(cold), seen(warm), torch.randn(8, 16)
    cold(x), warm(x)
    assert sharp[0].amax(1).mean() > flat[0].amax(1).mean()


def test_dropout_acts_in_training_only_and_spares_the_gate():
    layer, x = layer_of({"dropout": 0.5}), torch.randn(6, 16)
    assert torch.equal(layer(x), layer(x))
    gates = seen(layer.train())
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(*gates)


def test_adapters_of_different_sizes_share_a_layer():
    layer, x = layer_of(), torch.randn(3, 4, 16)
    alone = layer(x) - layer.base_layer(x)
    layer.add("other", MolreConfig(experts=2, rank=1, router_width=3, gate="token"))
    torch.nn.init.normal_(layer.molre_up["other"])
    layer.set_adapter(["default", "other"])
    both = layer(x)
    layer.set_adapter("other")
    torch.testing.assert_close(both, layer(x) + alone, atol=1e-5, rtol=1e-5)


def test_merging_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="depends on the input"):
        layer_of().merge()
    grouped = wrapped(torch.nn.Conv2d(4, 4, 1, groups=2), {"experts": 1})
    with pytest.raises(ConfigError, match="grouped convolution cannot be merged"):
        grouped.merge()


def test_a_rank_that_groups_cannot_share_is_refused():
    with pytest.raises(ConfigError, match="choose a multiple of 3"):
        wrapped(torch.nn.Conv2d(6, 6, 1, groups=3))


def test_the_bottleneck_is_gelu_between_two_matrices():
    torch.manual_seed(0)
    layer = BottleneckLinear(torch.nn.Linear(16, 12))
    layer.add("default", BottleneckConfig(width=5))
    x = torch.randn(3, 4, 16)
    assert torch.equal(layer(x), layer.base_layer(x))
    torch.nn.init.normal_(layer.bottleneck_up["default"])
    added = functional.gelu(x @ layer.bottleneck_down["default"].T) @ layer.bottleneck_up["default"].T
    torch.testing.assert_close(layer(x), layer.base_layer(x) + added, atol=1e-5, rtol=1e-5)


def test_the_bottleneck_on_a_convolution_is_gelu_between_two():
    torch.manual_seed(0)
    layer = BottleneckConv3d(torch.nn.Conv3d(4, 6, 3, stride=2))
    layer.add("default", BottleneckConfig(width=5))
    torch.nn.init.normal_(layer.bottleneck_up["default"])
    x = torch.randn(2, 4, 7, 7, 7)
    hidden = functional.gelu(functional.conv3d(x, layer.bottleneck_down["default"], stride=2))
    added = torch.einsum("nwxyz,ow->noxyz", hidden, layer.bottleneck_up["default"].flatten(1))
    torch.testing.assert_close(layer(x), layer.base_layer(x) + added, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [{"experts": 0}, {"rank": 0}, {"alpha": 0.0}, {"temperature": -1.0}, {"dropout": 1.0}, {"router_width": 0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MolreConfig(**wrong)

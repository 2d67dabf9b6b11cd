"""The adapted linear layers: a mixture of low-rank experts, and the bottleneck it is compared with.

Both compute ``base(x) + something that starts at zero``, so that attaching one changes no output by a single bit.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn import functional

from molre.adapters.config import BottleneckConfig, MolreConfig
from molre.errors import ConfigError

Inputs = Float[Tensor, "n *t d"]
Outputs = Float[Tensor, "n *t e"]

NOT_MERGEABLE = (
    "this adapter cannot be merged into the base weights: what it adds depends on the input, "
    "so no single matrix stands for it; keep the adapter attached"
)


class AdapterLinear(nn.Module, BaseTunerLayer):
    """A linear layer and, by adapter name, what is added to its output."""

    other_param_names = ("settings",)

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        self.settings: dict[str, Any] = {}
        self.merged_adapters: list[str] = []
        for name in self.adapter_layer_names:
            self.add_module(name, nn.ParameterDict())

    def add(self, adapter_name: str, config: Any) -> None:
        """Create the parameters of one more adapter, at their initial values."""
        self.settings[adapter_name] = config
        for name, value in self.initial(config).items():
            getattr(self, name)[adapter_name] = nn.Parameter(value)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters)

    def initial(self, config: Any) -> dict[str, Tensor]:
        """Initial values of the parameters named in ``adapter_layer_names``."""
        raise NotImplementedError

    def added(self, x: Inputs, y: Outputs, adapter_name: str) -> Outputs:
        """The output with one adapter's part added to ``y``."""
        raise NotImplementedError

    def forward(self, x: Inputs, *args: Any, **kwargs: Any) -> Outputs:
        """The base layer's output plus that of every active adapter."""
        y = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters:
            for name in self.active_adapters:
                if name in self.settings:
                    y = self.added(x, y, name)
        return y

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refused.

        Raises:
            ConfigError: always, saying why.
        """
        raise ConfigError(NOT_MERGEABLE)

    def _dropped(self, activations: Tensor, adapter_name: str) -> Tensor:
        # Inside the adapter, not on its input, which the router reads through the same product (chosen).
        return functional.dropout(activations, self.settings[adapter_name].dropout, self.training)


def _kaiming(rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    weight = torch.empty(rows, columns)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))  # as nn.Linear and PEFT's LoRA do
    return weight


def _plus(y: Tensor, activations: Tensor, up: Tensor) -> Tensor:
    """The sum ``y + activations · upᵀ`` in one pass where the types allow it."""
    if y.dtype != up.dtype and not torch.is_autocast_enabled(y.device.type):
        return y + functional.linear(activations, up).to(y.dtype)
    flat = torch.addmm(y.flatten(0, -2), activations.flatten(0, -2), up.T)
    return flat.view(y.shape)


class MolreLinear(AdapterLinear):
    """h = W0 x + Σ_i g_i(x) (α/r) B_i A_i x, with gates g from a two-layer router; K experts of rank r.

    The gate is one a row of the leading dimension: at the feature site a row is a slice (the paper's level); inside a
    transformer a row is a slice's tokens, and the router reads the mean over them (chosen).

    The experts' A and the router's first layer are one matrix, so that a pass costs one product down and one up.

    Attributes:
        molre_down: (K·r + router width, in_features); the A_i, then the router's first layer.
        molre_up: (out_features, K·r); the B_i.
        molre_hidden_bias: (router width,); bias of the router's first layer, before GELU (chosen).
        molre_gate_weight: (K, router width); the router's last layer.
        molre_gate_bias: (K,).
        recorder: where each pass leaves its gates, if anywhere; see ``record_gates``.
    """

    adapter_layer_names = ("molre_down", "molre_up", "molre_hidden_bias", "molre_gate_weight", "molre_gate_bias")
    molre_down: nn.ParameterDict
    molre_up: nn.ParameterDict
    molre_hidden_bias: nn.ParameterDict
    molre_gate_weight: nn.ParameterDict
    molre_gate_bias: nn.ParameterDict

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__(base_layer)
        self.recorder: list[Float[Tensor, "n K"]] | None = None

    def initial(self, config: MolreConfig) -> dict[str, Tensor]:
        """A Kaiming-uniform; B zero, so that h = W0 x; the router's last layer zero, so that g = 1/K (chosen)."""
        ranks = config.experts * config.rank
        return {
            "molre_down": _kaiming(ranks + config.router_width, self.in_features),
            "molre_up": torch.zeros(self.out_features, ranks),
            "molre_hidden_bias": torch.zeros(config.router_width),
            "molre_gate_weight": torch.zeros(config.experts, config.router_width),
            "molre_gate_bias": torch.zeros(config.experts),
        }

    def added(self, x: Inputs, y: Outputs, adapter_name: str) -> Outputs:
        """``y`` plus the gated sum of the experts."""
        config: MolreConfig = self.settings[adapter_name]
        down, ranks = self.molre_down[adapter_name], config.experts * config.rank
        activations, hidden = functional.linear(x.to(down.dtype), down).split((ranks, config.router_width), -1)
        gates = self._gates(hidden, adapter_name)
        if self.recorder is not None:
            self.recorder.append(gates.detach())
        scale = (gates * (config.alpha / config.rank)).repeat_interleave(config.rank, 1).to(activations.dtype)
        scale = scale.view(x.shape[0], *(1,) * (x.ndim - 2), ranks)
        return _plus(y, self._dropped(activations, adapter_name) * scale, self.molre_up[adapter_name])

    def _gates(self, hidden: Float[Tensor, "n *t width"], adapter_name: str) -> Float[Tensor, "n K"]:
        if hidden.ndim > 2:
            # The first layer is linear, so its mean over tokens is its value at the tokens' mean.
            hidden = hidden.flatten(1, -2).mean(1)
        hidden = functional.gelu(hidden + self.molre_hidden_bias[adapter_name])
        logits = functional.linear(hidden, self.molre_gate_weight[adapter_name], self.molre_gate_bias[adapter_name])
        return (logits.float() / self.settings[adapter_name].temperature).softmax(-1)


class BottleneckLinear(AdapterLinear):
    """h = W0 x + B gelu(A x): the control that has a non-linearity as MoLRE has, but neither experts nor gate.

    Attributes:
        bottleneck_down: (width, in_features); A.
        bottleneck_up: (out_features, width); B.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    bottleneck_down: nn.ParameterDict
    bottleneck_up: nn.ParameterDict

    def initial(self, config: BottleneckConfig) -> dict[str, Tensor]:
        """A Kaiming-uniform, B zero."""
        return {
            "bottleneck_down": _kaiming(config.width, self.in_features),
            "bottleneck_up": torch.zeros(self.out_features, config.width),
        }

    def added(self, x: Inputs, y: Outputs, adapter_name: str) -> Outputs:
        """``y`` plus the bottleneck's output."""
        down = self.bottleneck_down[adapter_name]
        activations = functional.gelu(functional.linear(x.to(down.dtype), down))
        return _plus(y, self._dropped(activations, adapter_name), self.bottleneck_up[adapter_name])

"""MoLRE's layers: h = W0 x + Σ_i g_i(x) (α/r) B_i A_i x, with gates g from a two-layer router; K experts of rank r."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from molre.adapters.config import MolreConfig
from molre.adapters.layer import AdapterLayer, Conv2dForm, Conv3dForm, LinearForm

Observer = Callable[[str, Tensor], None]
"""Told the adapter's name and the gates of a pass: (n, K), or (n, positions…, K) with one a token."""


class MolreLayer(AdapterLayer):
    """A layer with a mixture of low-rank experts.

    A gate is one a row of the leading dimension, or one a position (``MolreConfig.gate``). At the feature site a row is
    a slice, the paper's level; inside a network a row is a slice's or volume's positions, and the router reads the mean
    over them (chosen). With one expert there is no router, and the layer is LoRA.

    The experts' A and the router's first layer are one weight, so that a pass costs one product down and one up. Only
    on a linear layer with a gate a row the router's product is taken apart, and read from the positions' mean. The
    ranks of a grouped convolution are ordered by group, then expert: each expert has its share in each group.

    Attributes:
        molre_down: (K·r + router width, inputs, *kernel); the A_i, then the router's first layer.
        molre_up: (outputs, K·r / groups, *ones); the B_i.
        molre_hidden_bias: (router width,); bias of the router's first layer, before GELU (chosen).
        molre_gate_weight: (K, router width); the router's last layer.
        molre_gate_bias: (K,).
        observers: who is told of every pass's gates; see ``record_gates`` and ``GateMeter``.
    """

    adapter_layer_names = ("molre_down", "molre_up", "molre_hidden_bias", "molre_gate_weight", "molre_gate_bias")
    molre_down: nn.ParameterDict
    molre_up: nn.ParameterDict
    molre_hidden_bias: nn.ParameterDict
    molre_gate_weight: nn.ParameterDict
    molre_gate_bias: nn.ParameterDict
    features_at: int
    down: Any
    up: Any
    product: Any

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__(base_layer)
        self.observers: tuple[Observer, ...] = ()

    def initial(self, config: MolreConfig) -> dict[str, Tensor]:
        """A Kaiming-uniform; B zero, so that h = W0 x; the router's last layer zero, so that g = 1/K (chosen)."""
        weights = {
            "molre_down": self._down_values(config.columns, config.rank),
            "molre_up": self._up_values(config.ranks),
        }
        if not config.routed:
            return weights
        return weights | {
            "molre_hidden_bias": torch.zeros(config.router_width),
            "molre_gate_weight": torch.zeros(config.experts, config.router_width),
            "molre_gate_bias": torch.zeros(config.experts),
        }

    def added(self, x: Tensor, y: Tensor, adapter_name: str) -> Tensor:
        """``y`` plus the gated sum of the experts."""
        config: MolreConfig = self.settings[adapter_name]
        down, up, scale = self.molre_down[adapter_name], self.molre_up[adapter_name], config.alpha / config.rank
        if not config.routed:
            return self.up(y, self._dropped(self.down(x, down), adapter_name), up, scale)
        activations, hidden = self._products(x, down, config)
        gates = self._gates(hidden, adapter_name)
        if self.observers:
            _tell(self.observers, adapter_name, gates)
        activations = self._weighted(self._dropped(activations, adapter_name), gates * scale, config)
        return self.up(y, activations, up)

    def _products(self, x: Tensor, down: Tensor, config: MolreConfig) -> tuple[Tensor, Tensor]:
        """The experts' product down, and the router's before its bias."""
        parts = (config.ranks, config.router_width)
        if config.gate == "token" or self.kernel or x.ndim == 2:
            activations, hidden = self.down(x, down).split(parts, self.features_at)
            return activations, hidden
        # Positions' mean first: it costs a reading of x, and the router's columns are often most of the product.
        x = self._cast_input_dtype(x, down.dtype)
        experts, router = down.split(parts)
        return self.down(x, experts), self.down(x.flatten(1, -2).mean(1), router)

    def _gates(self, hidden: Tensor, adapter_name: str) -> Float[Tensor, "n *t K"]:
        config: MolreConfig = self.settings[adapter_name]
        hidden = hidden.movedim(self.features_at, -1)
        if config.gate == "row" and hidden.ndim > 2:
            # The first layer is linear, so that its mean over positions is its value at the positions' mean.
            hidden = hidden.flatten(1, -2).mean(1)
        # As a matrix: products of more dimensions differ in their last bit with whether gradients are wanted.
        rows = functional.gelu(hidden.flatten(0, -2) + self.molre_hidden_bias[adapter_name])
        logits = functional.linear(rows, self.molre_gate_weight[adapter_name], self.molre_gate_bias[adapter_name])
        return (logits.float() / config.temperature).softmax(-1).view(*hidden.shape[:-1], config.experts)

    def _weighted(self, activations: Tensor, gates: Float[Tensor, "n *t K"], config: MolreConfig) -> Tensor:
        """Every activation times its expert's gate, without writing the gates out rank by rank."""
        at = self.features_at % activations.ndim
        shape = (self.groups, config.experts, config.rank // self.groups)
        between = activations.ndim - 2
        if config.gate == "row":
            gates = gates.view(len(gates), *(1,) * between, config.experts)
        gates = gates.to(activations.dtype).movedim(-1, at).unsqueeze(at + 1).unsqueeze(at)
        return (activations.unflatten(at, shape) * gates).flatten(at, at + 2)

    def mergeable(self, adapter_name: str) -> bool:
        """Whether there is one expert only."""
        return not self.settings[adapter_name].routed

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """(α/r) B A of a single expert.

        Raises:
            ConfigError: there are several, or the layer has groups.
        """
        self.refuse_merging([adapter_name])
        config = self.settings[adapter_name]
        up, down = self.molre_up[adapter_name].detach(), self.molre_down[adapter_name].detach()
        if down.dtype in (torch.float16, torch.bfloat16):
            up, down = up.float(), down.float()
        return self.product(up, down) * (config.alpha / config.rank)


@torch.compiler.disable
def _tell(observers: tuple[Observer, ...], adapter_name: str, gates: Float[Tensor, "n *t K"]) -> None:
    # Within the backward pass the layer runs again only to recompute what a checkpoint had dropped: no new pass.
    if torch._C._current_graph_task_id() == -1:
        for observer in observers:
            observer(adapter_name, gates.detach())


class MolreLinear(LinearForm, MolreLayer):
    """MoLRE on ``nn.Linear``."""


class MolreConv2d(Conv2dForm, MolreLayer):
    """MoLRE on ``nn.Conv2d``."""


class MolreConv3d(Conv3dForm, MolreLayer):
    """MoLRE on ``nn.Conv3d``."""

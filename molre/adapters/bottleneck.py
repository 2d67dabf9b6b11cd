"""The control's layers: h = W0 x + B gelu(A x), with a non-linearity as MoLRE has, but neither experts nor gate."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from molre.adapters.config import BottleneckConfig
from molre.adapters.layer import AdapterLayer, Conv2dForm, Conv3dForm, LinearForm


class BottleneckLayer(AdapterLayer):
    """A layer with a bottleneck beside it.

    Attributes:
        bottleneck_down: (width, inputs, *kernel); A.
        bottleneck_up: (outputs, width / groups, *ones); B.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    bottleneck_down: nn.ParameterDict
    bottleneck_up: nn.ParameterDict
    down: Any
    up: Any

    def initial(self, config: BottleneckConfig) -> dict[str, Tensor]:
        """A Kaiming-uniform, B zero."""
        return {
            "bottleneck_down": self._down_values(config.width, config.width),
            "bottleneck_up": self._up_values(config.width),
        }

    def added(self, x: Tensor, y: Tensor, adapter_name: str) -> Tensor:
        """``y`` plus the bottleneck's output."""
        activations = functional.gelu(self.down(x, self.bottleneck_down[adapter_name]))
        return self.up(y, self._dropped(activations, adapter_name), self.bottleneck_up[adapter_name])


class BottleneckLinear(LinearForm, BottleneckLayer):
    """A bottleneck beside ``nn.Linear``."""


class BottleneckConv2d(Conv2dForm, BottleneckLayer):
    """A bottleneck beside ``nn.Conv2d``."""


class BottleneckConv3d(Conv3dForm, BottleneckLayer):
    """A bottleneck beside ``nn.Conv3d``."""

"""What every adapted layer is: a base layer and, by adapter name, what is added to its output.

An adapter's addition starts at zero, so that attaching one changes no output by a single bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn
from torch.nn import functional

from molre.errors import ConfigError

NOT_MERGEABLE = (
    "this adapter cannot be merged into the base weights: what it adds depends on the input, "
    "so no single matrix stands for it; keep the adapter attached"
)
GROUPED = (
    "an adapter on a grouped convolution cannot be merged into the base weights: "
    "it reads all channels, and the weights of a group only its own"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What an adapter's size depends on.

    Attributes:
        inputs: features or channels that the layer reads.
        outputs: features or channels that it gives.
        kernel: of a convolution; empty for a linear layer.
        groups: of a grouped convolution, else 1.
    """

    inputs: int
    outputs: int
    kernel: tuple[int, ...] = ()
    groups: int = 1

    @classmethod
    def of(cls, layer: nn.Module) -> Form:
        """The form of a linear or convolutional layer."""
        if isinstance(layer, nn.Linear):
            return cls(inputs=layer.in_features, outputs=layer.out_features)
        assert isinstance(layer, nn.Conv2d | nn.Conv3d), f"no form of {type(layer).__name__}"
        return cls(
            inputs=layer.in_channels, outputs=layer.out_channels, kernel=tuple(layer.kernel_size), groups=layer.groups
        )

    @property
    def window(self) -> int:
        """Numbers that one output of the product down reads: inputs times the kernel's size."""
        return self.inputs * math.prod(self.kernel)

    @property
    def each(self) -> int:
        """Parameters of one rank or unit of width: down and up."""
        return self.window + self.outputs // self.groups


class AdapterLayer(nn.Module, BaseTunerLayer):
    """A layer with adapters; a subclass says what these compute, and a mixin (``LinearForm``, ``ConvForm``) on what.

    Attributes:
        base_layer: as it was found; frozen.
        settings: the PEFT configuration of each adapter, by name.
        groups: of a grouped convolution, else 1.
        kernel: shape of one input's weights; empty for a linear layer.
    """

    other_param_names = ("settings",)
    base_class: ClassVar[type[nn.Module]]

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        form = Form.of(base_layer)
        self.groups, self.kernel = form.groups, form.kernel
        self.in_features, self.out_features = form.inputs, form.outputs
        self.settings: dict[str, Any] = {}
        self.merged_adapters: list[str] = []
        for name in self.adapter_layer_names:
            self.add_module(name, nn.ParameterDict())

    def add(self, adapter_name: str, config: Any) -> None:
        """Create the parameters of one more adapter, at their initial values.

        Raises:
            ConfigError: its rank or width cannot be shared out among the layer's groups.
        """
        values = self.initial(config)
        self.settings[adapter_name] = config
        for name, value in values.items():
            getattr(self, name)[adapter_name] = nn.Parameter(value)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def initial(self, config: Any) -> dict[str, Tensor]:
        """Initial values of the adapter's parameters, by their names in ``adapter_layer_names``."""
        raise NotImplementedError

    def added(self, x: Tensor, y: Tensor, adapter_name: str) -> Tensor:
        """The output with one adapter's part added to ``y``."""
        raise NotImplementedError

    def mergeable(self, adapter_name: str) -> bool:
        """Whether an adapter adds the same linear map whatever the input is."""
        return False

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """What a mergeable adapter adds to the base weights, in their shape."""
        raise ConfigError(NOT_MERGEABLE)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The base layer's output plus that of every active adapter."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        if x.ndim == len(self.kernel) + 1:
            return self.forward(x[None], *args, **kwargs)[0]
        y = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters and not self.merged:
            for name in self.active_adapters:
                if name in self.settings:
                    y = self.added(x, y, name)
        return y

    def refuse_merging(self, adapter_names: Sequence[str] | None = None) -> None:
        """See to it that these adapters, or the active ones, can be merged.

        Raises:
            ConfigError: one cannot, saying why.
        """
        for name in self.active_adapters if adapter_names is None else adapter_names:
            if name in self.settings and not self.mergeable(name):
                raise ConfigError(NOT_MERGEABLE)
            if name in self.settings and self.groups > 1:
                raise ConfigError(GROUPED)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add adapters to the base weights, where that is exact.

        Args:
            safe_merge: look for NaN and infinity first, and leave the weights alone if there are any.
            adapter_names: the active ones by default.

        Raises:
            ConfigError: what an adapter adds depends on the input.
            ValueError: ``safe_merge`` found NaN or infinity.
        """
        self.refuse_merging(adapter_names)
        for name in check_adapters_to_merge(self, adapter_names):
            if name in self.settings:
                weight: Any = self.base_layer.weight
                merged = weight.data + self.get_delta_weight(name).to(weight.dtype)
                if safe_merge and not torch.isfinite(merged).all():
                    raise ValueError(f"the adapter {name} holds NaN or infinite values: nothing was merged")
                weight.data = merged
                self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Take merged adapters out of the base weights again."""
        while self.merged_adapters:
            weight: Any = self.base_layer.weight
            weight.data = weight.data - self.get_delta_weight(self.merged_adapters.pop()).to(weight.dtype)

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Whether PEFT may turn the adapter into a LoRA."""
        return adapter_name in self.settings and self.mergeable(adapter_name)

    def _down_values(self, columns: int, divided: int) -> Tensor:
        """A Kaiming-uniform matrix down, as nn.Linear and PEFT's LoRA have it.

        Raises:
            ConfigError: the ``divided`` rank or width is no multiple of the groups.
        """
        if divided % self.groups:
            raise ConfigError(
                f"rank or width {divided} on a convolution of {self.groups} groups: choose a multiple of {self.groups}"
            )
        weight = torch.empty(columns, self.in_features, *self.kernel)
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        return weight

    def _up_values(self, ranks: int) -> Tensor:
        return torch.zeros(self.out_features, ranks // self.groups, *(1 for _ in self.kernel))

    def _dropped(self, activations: Tensor, adapter_name: str) -> Tensor:
        # Inside the adapter, not on its input, which the router reads through the same product (chosen).
        dropout = self.settings[adapter_name].dropout
        return functional.dropout(activations, dropout, self.training) if dropout else activations


class LinearForm:
    """How an adapter's products are computed on ``nn.Linear``: features last, positions between."""

    base_class = nn.Linear
    features_at = -1

    def down(self, x: Float[Tensor, "n *t d"], weight: Float[Tensor, "columns d"]) -> Float[Tensor, "n *t columns"]:
        """The product down, in the adapter's type."""
        return functional.linear(self._cast_input_dtype(x, weight.dtype), weight)  # type: ignore[attr-defined]

    def up(
        self,
        y: Float[Tensor, "n *t e"],
        activations: Float[Tensor, "n *t ranks"],
        weight: Float[Tensor, "e ranks"],
        scale: float = 1.0,
    ) -> Float[Tensor, "n *t e"]:
        """``y`` plus the product up, in one pass where the types allow it."""
        if y.dtype != weight.dtype and not torch.is_autocast_enabled(y.device.type):
            return (y + scale * functional.linear(activations, weight)).to(y.dtype)
        flat = torch.addmm(y.flatten(0, -2), activations.flatten(0, -2), weight.T, alpha=scale)
        return flat.view(y.shape)

    def product(self, up: Float[Tensor, "e ranks"], down: Float[Tensor, "ranks d"]) -> Float[Tensor, "e d"]:
        """The one map that the product down and the product up are."""
        return up @ down


class ConvForm:
    """How an adapter's products are computed on convolutions: A with the base layer's kernel, B with one of size 1.

    As in PEFT's LoRA, A reads all channels, and B has the base layer's groups.
    """

    features_at = 1
    _convolve: Any

    def down(
        self, x: Float[Tensor, "n c *size"], weight: Float[Tensor, "columns c *kernel"]
    ) -> Float[Tensor, "n columns *out"]:
        """The product down, in the adapter's type."""
        base, x = self.base_layer, self._cast_input_dtype(x, weight.dtype)  # type: ignore[attr-defined]
        padding = base.padding
        if base.padding_mode != "zeros":
            x = functional.pad(x, base._reversed_padding_repeated_twice, mode=base.padding_mode)
            padding = 0
        return type(self)._convolve(x, weight, None, base.stride, padding, base.dilation)

    def up(
        self,
        y: Float[Tensor, "n e *out"],
        activations: Float[Tensor, "n ranks *out"],
        weight: Float[Tensor, "e part *ones"],
        scale: float = 1.0,
    ) -> Float[Tensor, "n e *out"]:
        """``y`` plus the product up."""
        added = type(self)._convolve(activations, weight, groups=self.groups)  # type: ignore[attr-defined]
        return torch.add(y, added, alpha=scale).to(y.dtype)

    def product(self, up: Float[Tensor, "e ranks *ones"], down: Float[Tensor, "ranks c *kernel"]) -> Tensor:
        """The one kernel that the product down and the product up are, where there are no groups."""
        return (up.flatten(1) @ down.flatten(1)).view(-1, *down.shape[1:])


class Conv2dForm(ConvForm):
    """On ``nn.Conv2d``."""

    base_class = nn.Conv2d
    _convolve = staticmethod(functional.conv2d)


class Conv3dForm(ConvForm):
    """On ``nn.Conv3d``."""

    base_class = nn.Conv3d
    _convolve = staticmethod(functional.conv3d)

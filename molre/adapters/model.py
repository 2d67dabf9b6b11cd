"""The tuners that put adapter layers in place of base layers, registered with PEFT under MOLRE and BOTTLENECK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import register_peft_method
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from molre.adapters.bottleneck import BottleneckConv2d, BottleneckConv3d, BottleneckLayer, BottleneckLinear
from molre.adapters.config import BottleneckConfig, MolreConfig
from molre.adapters.layer import AdapterLayer
from molre.adapters.mixture import MolreConv2d, MolreConv3d, MolreLayer, MolreLinear
from molre.errors import ConfigError


class AdapterModel(BaseTuner):
    """A PEFT tuner for linear and convolutional layers."""

    target_module_mapping: ClassVar[dict[str, list[str]]] = {}
    tuner_layer_cls: type[AdapterLayer]
    layers: ClassVar[tuple[type[AdapterLayer], ...]]

    def _create_and_replace(
        self,
        peft_config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, self.tuner_layer_cls):
            target.add(adapter_name, peft_config)
            return
        layer = self._layer_for(target, current_key)
        layer._active_adapter = adapter_name
        layer.add(adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _layer_for(self, target: nn.Module, name: str) -> AdapterLayer:
        if isinstance(target, NonDynamicallyQuantizableLinear):
            raise ConfigError(
                f"{name} is the projection of an nn.MultiheadAttention, which reads its weights without calling it: "
                "an adapter there would never run"
            )
        for layer in self.layers:
            if isinstance(target, layer.base_class):
                return layer(target)
        raise ConfigError(
            f"{name} is neither linear nor a 2D or 3D convolution, but {type(target).__name__}: choose other modules"
        )

    def _refuse_merging(self, adapter_names: Sequence[str] | None) -> None:
        """Before anything is merged, see to it that all of it can be."""
        for module in self.model.modules():
            if isinstance(module, AdapterLayer):
                module.refuse_merging(adapter_names)

    def merge_adapter(self, adapter_names: list[str] | None = None, safe_merge: bool = False) -> None:
        """Merge adapters into the base weights; they can be taken out again.

        Raises:
            ConfigError: what an adapter adds depends on the input.
        """
        self._refuse_merging(adapter_names)
        super().merge_adapter(adapter_names, safe_merge)

    def _unload_and_optionally_merge(
        self,
        merge: bool = True,
        progressbar: bool = False,
        safe_merge: bool = False,
        adapter_names: list[str] | None = None,
    ) -> Any:
        if merge:
            self._refuse_merging(adapter_names)
        return super()._unload_and_optionally_merge(merge, progressbar, safe_merge, adapter_names)


class MolreModel(AdapterModel):
    """A model whose target layers carry a mixture of low-rank experts."""

    prefix = "molre_"
    tuner_layer_cls = MolreLayer
    layers = (MolreLinear, MolreConv2d, MolreConv3d)


class BottleneckModel(AdapterModel):
    """A model whose target layers carry a bottleneck."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer
    layers = (BottleneckLinear, BottleneckConv2d, BottleneckConv3d)


register_peft_method(name="molre", config_cls=MolreConfig, model_cls=MolreModel)
register_peft_method(name="bottleneck", config_cls=BottleneckConfig, model_cls=BottleneckModel)

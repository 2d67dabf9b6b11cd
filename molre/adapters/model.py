"""The tuners that put adapter layers in place of linear ones, registered with PEFT under MOLRE and BOTTLENECK."""

from __future__ import annotations

from typing import Any, ClassVar

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import register_peft_method
from torch import nn

from molre.adapters.config import BottleneckConfig, MolreConfig
from molre.adapters.layer import NOT_MERGEABLE, AdapterLinear, BottleneckLinear, MolreLinear
from molre.errors import ConfigError


class AdapterModel(BaseTuner):
    """A PEFT tuner for linear layers whose adapters depend on their input."""

    target_module_mapping: ClassVar[dict[str, list[str]]] = {}
    tuner_layer_cls: type[AdapterLinear]

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
        if not isinstance(target, nn.Linear):
            raise ConfigError(f"{current_key} is no linear layer: choose a site whose modules are nn.Linear")
        layer = self.tuner_layer_cls(target)
        layer._active_adapter = adapter_name
        layer.add(adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _check_merge_allowed(self) -> Any:
        raise ConfigError(NOT_MERGEABLE)


class MolreModel(AdapterModel):
    """A model whose target layers carry a mixture of low-rank experts."""

    prefix = "molre_"
    tuner_layer_cls = MolreLinear


class BottleneckModel(AdapterModel):
    """A model whose target layers carry a bottleneck."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLinear


register_peft_method(name="molre", config_cls=MolreConfig, model_cls=MolreModel)
register_peft_method(name="bottleneck", config_cls=BottleneckConfig, model_cls=BottleneckModel)

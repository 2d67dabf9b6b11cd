"""An adapter on a classifier: its size fitted to the budget, its layers in place, and only the right weights open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from peft import LoraConfig, PeftConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from molre.adapters.budget import Plan, plan
from molre.adapters.config import AdapterConfig, BottleneckConfig, MolreConfig
from molre.adapters.sites import FEATURE, forms_at, target_regex
from molre.backbones import Backbone, BackboneSpec
from molre.classifier import Classifier
from molre.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapted:
    """A classifier with its adapter.

    Attributes:
        model: what training steps and saves: a ``peft.PeftModel``, or the classifier itself for none and full.
        classifier: the classifier within it.
        config: as given, with the fitted rank and router width filled in.
        added_parameters: that the adapter adds. Pooling and head are trained with every adapter and not counted.
        added_fraction: the same as a fraction of the backbone's parameters.
    """

    model: nn.Module
    classifier: Classifier
    config: AdapterConfig
    added_parameters: int
    added_fraction: float


def attach(classifier: Classifier, config: AdapterConfig, seed: int = 0) -> Adapted:
    """Put an adapter on a classifier, in place, and open exactly what is to be trained.

    Pooling and head are always trained. The adapter's initial output is zero, so that the classifier's is unchanged.

    Args:
        classifier: without an adapter so far.
        config: what and where.
        seed: of the adapter's initial weights. The global generator is left as it was.

    Raises:
        ConfigError: the site matches nothing, the adapter is larger than its budget, its gate is at no level that the
            backbone has at this site, or there is one already.
    """
    if config.kind in ("none", "full"):
        _open(classifier, whole=config.kind == "full")
        return Adapted(model=classifier, classifier=classifier, config=config, added_parameters=0, added_fraction=0.0)
    if any(isinstance(module, BaseTunerLayer) for module in classifier.modules()):
        raise ConfigError("the classifier has an adapter already: add another through its PeftModel.add_adapter")
    planned = planned_for(classifier.backbone, config)
    gate = gate_level(classifier.backbone.spec, config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = get_peft_model(classifier, peft_config(planned.config, list(planned.forms), gate))
    opened = adapter_parameters(model)
    assert opened == planned.added, f"planned {planned.added} adapter parameters, made {opened}"
    _open(classifier, whole=False)
    route(classifier, config)
    return Adapted(
        model=model,
        classifier=classifier,
        config=planned.config,
        added_parameters=planned.added,
        added_fraction=planned.fraction,
    )


def planned_for(backbone: Backbone, config: AdapterConfig) -> Plan:
    """What ``attach`` would add, layer by layer; the backbone may be an outline without weights.

    Raises:
        ConfigError: as ``attach`` does.
    """
    gate_level(backbone.spec, config)
    return plan(config, forms_at(backbone, config.site), backbone.parameter_count)


def gate_level(spec: BackboneSpec, config: AdapterConfig) -> Literal["row", "token"]:
    """What one gate of MoLRE is for, as ``MolreConfig`` says it.

    Raises:
        ConfigError: the backbone has no such level at this site.
    """
    if config.kind != "molre" or config.gate == "auto":
        return "row"
    if config.gate == "slice" and spec.dims == 3:
        raise ConfigError(f"{spec.name} reads whole volumes and has no slices to gate: choose gate volume or token")
    if config.gate == "volume" and spec.dims == 2 and config.site != FEATURE:
        raise ConfigError(
            f"{spec.name} reads slices one by one, so that within it no gate can be one a volume: "
            "choose gate slice or token, or the site feature"
        )
    return "token" if config.gate == "token" else "row"


def route(classifier: Classifier, config: AdapterConfig) -> None:
    """Tell the classifier whether its site is to see a volume's slices together, as a gate a volume needs it."""
    volumes = config.kind == "molre" and config.gate == "volume"
    classifier.routes_volumes = volumes and classifier.backbone.spec.dims == 2


def adapter_parameters(model: nn.Module) -> int:
    """Number of trainable parameters outside pooling and head."""
    return sum(
        value.numel()
        for name, value in model.named_parameters()
        if value.requires_grad and not _trained_with_every_adapter(name)
    )


def _trained_with_every_adapter(name: str) -> bool:
    return name.removeprefix("base_model.model.").startswith(("pooling.", "head."))


def _open(classifier: Classifier, *, whole: bool) -> None:
    classifier.pooling.requires_grad_(True)
    classifier.head.requires_grad_(True)
    if whole:
        for name, parameter in classifier.backbone.named_parameters():
            parameter.requires_grad_(name not in classifier.backbone.idle)


def peft_config(config: AdapterConfig, names: list[str], gate: Literal["row", "token"] = "row") -> PeftConfig:
    """The configuration that PEFT saves for a fitted adapter on the named modules."""
    assert config.rank is not None
    target = target_regex(names)
    if config.kind == "lora":
        return LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,  # type: ignore[arg-type]  # a scale: PEFT only divides it
            lora_dropout=config.dropout,
            target_modules=target,
        )
    if config.kind == "mlp":
        return BottleneckConfig(width=config.rank, dropout=config.dropout, target_modules=target)
    assert config.router_width is not None
    return MolreConfig(
        experts=config.experts,
        rank=config.rank,
        alpha=config.alpha,
        temperature=config.temperature,
        dropout=config.dropout,
        router_width=config.router_width,
        gate=gate,
        target_modules=target,
    )

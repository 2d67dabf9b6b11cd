"""An adapter on a classifier: its size fitted to the budget, its layers in place, and only the right weights open."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from peft import LoraConfig, PeftConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from molre.adapters.config import AdapterConfig, BottleneckConfig, MolreConfig
from molre.adapters.sites import modules_at, target_regex
from molre.classifier import Classifier
from molre.errors import ConfigError

# Rank 8 and width 64 are the default; narrower routers go with lower ranks, so that the router never outgrows the
# experts by much. The last step is there for backbones of a few million parameters.
LADDER = ((8, 64), (4, 32), (2, 16), (1, 8), (1, 4))
"""(rank, router width) that an unset rank is chosen from, largest first."""


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
        ConfigError: the site matches nothing, the adapter is larger than its budget, or there is one already.
    """
    if config.kind in ("none", "full"):
        _open(classifier, whole=config.kind == "full")
        return Adapted(model=classifier, classifier=classifier, config=config, added_parameters=0, added_fraction=0.0)
    if any(isinstance(module, BaseTunerLayer) for module in classifier.modules()):
        raise ConfigError("the classifier has an adapter already: add another through its PeftModel.add_adapter")
    layers = modules_at(classifier, config.site)
    shapes = [(layer.in_features, layer.out_features) for layer in layers.values()]
    fitted, added = fit(config, shapes, _size(classifier))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = get_peft_model(classifier, peft_config(fitted, list(layers)))
    opened = adapter_parameters(model)
    assert opened == added, f"planned {added} adapter parameters, made {opened}"
    _open(classifier, whole=False)
    return Adapted(
        model=model,
        classifier=classifier,
        config=fitted,
        added_parameters=added,
        added_fraction=added / _size(classifier),
    )


def adapter_parameters(model: nn.Module) -> int:
    """Number of trainable parameters outside pooling and head."""
    return sum(
        value.numel()
        for name, value in model.named_parameters()
        if value.requires_grad and not _trained_with_every_adapter(name)
    )


def _trained_with_every_adapter(name: str) -> bool:
    return name.removeprefix("base_model.model.").startswith(("pooling.", "head."))


def _size(classifier: Classifier) -> int:
    parameters = classifier.backbone.spec.parameters
    assert parameters is not None, "building counts what an entry does not state"
    return parameters


def _open(classifier: Classifier, *, whole: bool) -> None:
    classifier.pooling.requires_grad_(True)
    classifier.head.requires_grad_(True)
    if whole:
        for name, parameter in classifier.backbone.named_parameters():
            parameter.requires_grad_(name not in classifier.backbone.idle)


def molre_size(shapes: list[tuple[int, int]], experts: int, rank: int, width: int) -> int:
    """Parameters of MoLRE on layers of the given (in, out) features: experts, then the router with its biases."""
    ranks = experts * rank
    return sum((ranks + width) * d_in + d_out * ranks + width + experts * width + experts for d_in, d_out in shapes)


def fit(config: AdapterConfig, shapes: list[tuple[int, int]], backbone_parameters: int) -> tuple[AdapterConfig, int]:
    """The adapter with its size filled in, and the number of parameters that it adds.

    Args:
        config: of kind lora, mlp or molre.
        shapes: (in, out) features of the layers it goes on.
        backbone_parameters: what the budget is a fraction of.

    Raises:
        ConfigError: it would add more than its budget.
    """
    limit = int(config.budget * backbone_parameters)
    both_ways = sum(d_in + d_out for d_in, d_out in shapes)
    if config.kind == "molre":
        rank, width = _molre_step(config, shapes, limit)
        fitted, added = replace(config, rank=rank, router_width=width), molre_size(shapes, config.experts, rank, width)
    else:
        rank = config.rank or _matched(config, shapes, limit, both_ways)
        fitted, added = replace(config, rank=rank), rank * both_ways
    if added > limit and not config.over_budget:
        raise ConfigError(
            f"{config.kind} of rank {rank} at {len(shapes)} layers of {config.site!r} adds {added:,} parameters "
            f"({added / backbone_parameters:.2%} of the backbone), over the budget of {limit:,} ({config.budget:.2%}): "
            "choose a lower rank, fewer layers, or set over_budget"
        )
    return fitted, added


def _molre_step(config: AdapterConfig, shapes: list[tuple[int, int]], limit: int) -> tuple[int, int]:
    if config.rank is not None:
        return config.rank, config.router_width or min(8 * config.rank, 64)
    steps = [(rank, config.router_width or width) for rank, width in LADDER]
    if config.over_budget:
        return steps[0]
    within = [step for step in steps if molre_size(shapes, config.experts, *step) <= limit]
    return within[0] if within else steps[-1]


def _matched(config: AdapterConfig, shapes: list[tuple[int, int]], limit: int, both_ways: int) -> int:
    """Rank or width that makes the control comparable with the MoLRE that would stand in its place."""
    rank, width = _molre_step(config, shapes, limit)
    if config.kind == "lora":
        return config.experts * rank
    return max(molre_size(shapes, config.experts, rank, width) // both_ways, 1)


def peft_config(config: AdapterConfig, names: list[str]) -> PeftConfig:
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
        target_modules=target,
    )

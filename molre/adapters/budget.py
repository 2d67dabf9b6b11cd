"""How large an adapter gets: exact counts, and the rank that a budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from molre.adapters.config import AdapterConfig
from molre.adapters.layer import Form
from molre.errors import ConfigError

PAPER_RANK = 8
"""Rank of the paper's experts, and the highest that an unset rank takes where no budget is given."""

MOST_WIDTH = 64
"""Widest router that an unset width takes (chosen), so that the router stays smaller than the paper's experts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """An adapter's size before it is made.

    Attributes:
        config: with rank and router width filled in.
        parameters: that it adds to each layer, by name.
        forms: of these layers, by name.
        backbone_parameters: what ``fraction`` is of.
    """

    config: AdapterConfig
    parameters: dict[str, int]
    forms: dict[str, Form]
    backbone_parameters: int

    @property
    def added(self) -> int:
        """Parameters that the adapter adds."""
        return sum(self.parameters.values())

    @property
    def fraction(self) -> float:
        """The same as a fraction of the backbone's."""
        return self.added / self.backbone_parameters


def molre_size(form: Form, experts: int, rank: int, width: int) -> int:
    """Parameters of MoLRE on one layer: the experts, and with more than one of them the router with its biases."""
    router = width * form.window + width + experts * width + experts
    return experts * rank * form.each + (router if experts > 1 else 0)


def plan(config: AdapterConfig, forms: dict[str, Form], backbone_parameters: int) -> Plan:
    """The adapter with its size filled in.

    Args:
        config: of kind lora, mlp or molre.
        forms: of the layers it goes on, by name.
        backbone_parameters: what the budget is a fraction of.

    Raises:
        ConfigError: it would add more than its budget, or its rank cannot be shared out among a convolution's groups.
    """
    fitted = _fitted(config, list(forms.values()), int(config.allowed * backbone_parameters))
    parameters = {name: _size_on(form, fitted) for name, form in forms.items()}
    planned = Plan(config=fitted, parameters=parameters, forms=forms, backbone_parameters=backbone_parameters)
    _refuse_excess(planned)
    return planned


def _fitted(config: AdapterConfig, forms: Sequence[Form], limit: int) -> AdapterConfig:
    step = math.lcm(*(form.groups for form in forms))
    if config.rank is not None and config.rank % step:
        raise ConfigError(
            f"rank {config.rank} cannot be shared out among the groups of the convolutions at {config.site!r}: "
            f"choose a multiple of {step}"
        )
    if config.kind == "molre":
        rank, width = _molre_fit(config, forms, limit, step)
        return replace(config, rank=rank, router_width=width)
    return replace(config, rank=config.rank or _matched(config, forms, limit, step))


def _size_on(form: Form, config: AdapterConfig) -> int:
    assert config.rank is not None
    if config.kind == "molre":
        assert config.router_width is not None
        return molre_size(form, config.experts, config.rank, config.router_width)
    return config.rank * form.each


def _refuse_excess(planned: Plan) -> None:
    config, limit = planned.config, int(planned.config.allowed * planned.backbone_parameters)
    if planned.added > limit and not config.over_budget:
        raise ConfigError(
            f"{config.kind} of rank {config.rank} at {len(planned.forms)} layers of {config.site!r} adds "
            f"{planned.added:,} parameters ({planned.fraction:.2%} of the backbone), over the budget of {limit:,} "
            f"({config.allowed:.2%}): choose a lower rank, fewer layers, or set over_budget"
        )


def _molre_fit(config: AdapterConfig, forms: Sequence[Form], limit: int, step: int) -> tuple[int, int]:
    """Rank and router width: as given, or the largest within the limit; the smallest there are if nothing fits."""

    def width_at(rank: int) -> int:
        return config.router_width or min(MOST_WIDTH, 8 * rank)

    def fits(rank: int, width: int) -> bool:
        return sum(molre_size(form, config.experts, rank, width) for form in forms) <= limit

    if config.rank is not None:
        return config.rank, width_at(config.rank)
    paper = max(PAPER_RANK // step, 1)
    if config.budget is None and config.over_budget:
        return paper * step, width_at(paper * step)
    steps = _largest(lambda count: fits(count * step, width_at(count * step)), paper if config.budget is None else None)
    if steps:
        return steps * step, width_at(steps * step)
    # The last resort, for backbones of a few million parameters: a narrower router.
    width = 0 if config.router_width else _largest(lambda width: fits(step, width), width_at(step))
    return step, width or width_at(step)


def _largest(fits: Callable[[int], bool], most: int | None) -> int:
    """The largest count from 1 up to ``most`` that fits, where all below it do; 0 if none does."""
    low, high = 0, 1
    while (most is None or high <= most) and fits(high):
        low, high = high, 2 * high
    if most is not None:
        high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _matched(config: AdapterConfig, forms: Sequence[Form], limit: int, step: int) -> int:
    """Rank or width that makes the control comparable with the MoLRE that would stand in its place."""
    rank, width = _molre_fit(config, forms, limit, step)
    if config.kind == "lora":
        return config.experts * rank
    size = sum(molre_size(form, config.experts, rank, width) for form in forms)
    return max(size // sum(form.each for form in forms) // step, 1) * step

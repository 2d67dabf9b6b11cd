"""What an adapter is to be: molre's own setting, and the two configurations that PEFT saves and loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aenum import extend_enum
from peft import PeftConfig
from peft.utils.peft_types import PeftType

from molre.errors import ConfigError

for _name in ("MOLRE", "BOTTLENECK"):
    if _name not in PeftType.__members__:
        extend_enum(PeftType, _name, _name)

Kind = Literal["none", "lora", "mlp", "molre", "full"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterConfig:
    """Which adapter goes where, and how large it may be.

    Attributes:
        kind: ``none`` trains pooling and head alone; ``lora``, ``mlp`` (a bottleneck) and ``molre`` add an adapter;
            ``full`` trains the backbone too.
        site: ``feature`` (the slice feature), ``last_block`` (query, key, value and output of the last transformer
            block), ``attention`` (query and value of every block), or a regular expression over module names.
        experts: K of MoLRE; the paper's 6.
        rank: of each expert, of LoRA, or the bottleneck's width. None fits it: for molre the largest of 8 (the
            paper's), 4, 2 and 1 within the budget; for lora K times that; for mlp the same number of parameters.
        alpha: scale of an expert or of LoRA is alpha / rank.
        temperature: of the router's softmax.
        dropout: probability of dropping an activation inside the adapter during training.
        router_width: hidden units of the router. None takes 8 a rank up to 64, and 4 where rank 1 fits no other way.
        budget: most parameters that the adapter may add, as a fraction of the backbone's; the paper's 0.5 %.
        over_budget: go over the budget instead of refusing; an unset rank is then fitted to the paper's 8.
    """

    kind: Kind = "molre"
    site: str = "feature"
    experts: int = 6
    rank: int | None = None
    alpha: float = 16.0
    temperature: float = 1.0
    dropout: float = 0.0
    router_width: int | None = None
    budget: float = 0.005
    over_budget: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("none", "lora", "mlp", "molre", "full"):
            raise ConfigError(f"unknown adapter {self.kind!r}: choose none, lora, mlp, molre or full")
        if not self.site:
            raise ConfigError("the adapter's site is empty: choose feature, last_block, attention or a regex")
        _check(self.experts, self.rank, self.alpha, self.temperature, self.dropout, self.router_width)
        if not 0 < self.budget <= 1:
            raise ConfigError(f"the adapter's budget is {self.budget}: it is a fraction, above 0 up to 1")


def _check(
    experts: int, rank: int | None, alpha: float, temperature: float, dropout: float, router_width: int | None
) -> None:
    for name, count in (("experts", experts), ("rank", rank), ("router_width", router_width)):
        if count is not None and count < 1:
            raise ConfigError(f"the adapter's {name} is {count}: it must be at least 1")
    for name, value in (("alpha", alpha), ("temperature", temperature)):
        if not value > 0:
            raise ConfigError(f"the adapter's {name} is {value}: it must be above 0")
    if not 0 <= dropout < 1:
        raise ConfigError(f"the adapter's dropout is {dropout}: it must be from 0 to below 1")


@dataclass
class MolreConfig(PeftConfig):
    """MoLRE as PEFT saves it in ``adapter_config.json``; fields as in ``AdapterConfig``.

    Attributes:
        target_modules: regular expression over module names, matched whole.
    """

    target_modules: str | list[str] | None = field(default=None)
    exclude_modules: str | list[str] | None = field(default=None)
    experts: int = field(default=6)
    rank: int = field(default=8)
    alpha: float = field(default=16.0)
    temperature: float = field(default=1.0)
    dropout: float = field(default=0.0)
    router_width: int = field(default=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["MOLRE"]
        _check(self.experts, self.rank, self.alpha, self.temperature, self.dropout, self.router_width)


@dataclass
class BottleneckConfig(PeftConfig):
    """The ``mlp`` control as PEFT saves it.

    Attributes:
        target_modules: regular expression over module names, matched whole.
        width: of the bottleneck.
        dropout: probability of dropping a bottleneck activation during training.
    """

    target_modules: str | list[str] | None = field(default=None)
    exclude_modules: str | list[str] | None = field(default=None)
    width: int = field(default=64)
    dropout: float = field(default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["BOTTLENECK"]
        _check(1, self.width, 1.0, 1.0, self.dropout, None)

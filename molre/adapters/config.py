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
Gate = Literal["auto", "slice", "volume", "token"]

LIMIT = 0.005
"""The paper's limit of added parameters, as a fraction of the backbone's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterConfig:
    """Which adapter goes where, and how large it may be.

    Attributes:
        kind: ``none`` trains pooling and head alone; ``lora``, ``mlp`` (a bottleneck) and ``molre`` add an adapter;
            ``full`` trains the backbone too.
        site: ``feature`` (the slice feature), ``last_block`` (query, key, value and output of the last transformer
            block), ``attention`` (query and value of every block), or a regular expression over module names.
        experts: K of MoLRE; the paper's 6.
        rank: of each expert, of LoRA, or the bottleneck's width. None fits it: for molre the largest within the budget,
            and at most the paper's 8 where no budget is given; for lora K times that; for mlp the same number of
            parameters.
        alpha: scale of an expert or of LoRA is alpha / rank.
        temperature: of the router's softmax.
        dropout: probability of dropping an activation inside the adapter during training.
        router_width: hidden units of the router. None takes 8 a rank up to 64, fewer where rank 1 fits no other way.
        gate: what MoLRE's router decides on: ``slice``, ``volume``, ``token``, or ``auto``, which is the paper's level,
            a slice for 2D backbones and a volume for 3D ones. With one expert there is no router.
        budget: most parameters that the adapter may add, as a fraction of the backbone's. None is the paper's 0.5 %.
        over_budget: go over the budget instead of refusing. An unset rank is then the paper's 8, or, where a budget is
            given, the largest that fits it and 1 if none does.
    """

    kind: Kind = "molre"
    site: str = "feature"
    experts: int = 6
    rank: int | None = None
    alpha: float = 16.0
    temperature: float = 1.0
    dropout: float = 0.0
    router_width: int | None = None
    gate: Gate = "auto"
    budget: float | None = None
    over_budget: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("none", "lora", "mlp", "molre", "full"):
            raise ConfigError(f"unknown adapter {self.kind!r}: choose none, lora, mlp, molre or full")
        if not self.site:
            raise ConfigError("the adapter's site is empty: choose feature, last_block, attention or a regex")
        _check(self.experts, self.rank, self.alpha, self.temperature, self.dropout, self.router_width)
        if self.gate not in ("auto", "slice", "volume", "token"):
            raise ConfigError(f"unknown gate {self.gate!r}: choose auto, slice, volume or token")
        if self.budget is not None and not 0 < self.budget <= 1:
            raise ConfigError(f"the adapter's budget is {self.budget}: it is a fraction, above 0 up to 1")

    @property
    def allowed(self) -> float:
        """The budget that holds, given or the paper's."""
        return LIMIT if self.budget is None else self.budget


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
class AdditiveConfig(PeftConfig):
    """What the configurations of both tuners share, as in every PEFT method.

    Attributes:
        target_modules: names of modules to adapt, matched at the end of theirs, or a regular expression over whole
            names.
        exclude_modules: the same, for modules to leave alone.
        modules_to_save: names of further modules that are trained and saved with the adapter.
    """

    target_modules: str | list[str] | None = field(default=None)
    exclude_modules: str | list[str] | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("target_modules", "exclude_modules"):
            if isinstance(getattr(self, name), list):
                setattr(self, name, set(getattr(self, name)))


@dataclass
class MolreConfig(AdditiveConfig):
    """MoLRE as PEFT saves it in ``adapter_config.json``; fields as in ``AdapterConfig`` and ``AdditiveConfig``.

    Attributes:
        gate: ``row`` for one gate a row of the input's leading dimension, whose router reads the mean over everything
            between that and the features; ``token`` for one gate a position.
    """

    experts: int = field(default=6)
    rank: int = field(default=8)
    alpha: float = field(default=16.0)
    temperature: float = field(default=1.0)
    dropout: float = field(default=0.0)
    router_width: int = field(default=64)
    gate: Literal["row", "token"] = field(default="row")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["MOLRE"]
        _check(self.experts, self.rank, self.alpha, self.temperature, self.dropout, self.router_width)
        if self.gate not in ("row", "token"):
            raise ConfigError(f"unknown gate {self.gate!r}: choose row or token")

    @property
    def ranks(self) -> int:
        """Of all experts together."""
        return self.experts * self.rank

    @property
    def routed(self) -> bool:
        """Whether there is a router; a single expert, which is LoRA, has none."""
        return self.experts > 1

    @property
    def columns(self) -> int:
        """Outputs of the product down: the ranks, and the router's hidden units."""
        return self.ranks + (self.router_width if self.routed else 0)


@dataclass
class BottleneckConfig(AdditiveConfig):
    """The ``mlp`` control as PEFT saves it; targets as in ``AdditiveConfig``.

    Attributes:
        width: of the bottleneck.
        dropout: probability of dropping a bottleneck activation during training.
    """

    width: int = field(default=64)
    dropout: float = field(default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["BOTTLENECK"]
        _check(1, self.width, 1.0, 1.0, self.dropout, None)

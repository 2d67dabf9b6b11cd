"""The space of a search: what fits the adapter's budget, as Optuna asks for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from molre.errors import ConfigError
from molre.training.trainee import make
from molre.tuning.config import FROM_ZERO, RANGES, TuneConfig
from molre.volume import Grid

SIZES = ("experts", "rank", "router_width")
ALONE = ("router_width", "temperature")
"""What only a router has; with one expert there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Asked for settings by Optuna, trial by trial.

    Attributes:
        config: of the search.
        affordable: by site, the sizes within the budget, each a value for every name of ``sizes``.
        sizes: which sizes the adapter has.
    """

    config: TuneConfig
    affordable: dict[str, list[tuple[int, ...]]]
    sizes: tuple[str, ...]

    def __call__(self, trial: Any) -> dict[str, Any]:
        """Settings of a trial.

        Args:
            trial: of Optuna, or what stands for one.

        Returns:
            The number of the trial and its ``chosen`` settings, as ``TuneConfig.training`` takes them.
        """
        chosen: dict[str, Any] = {}
        if "site" in self.config.searched:
            sites = list(self.affordable)
            chosen["site"] = sites[0] if len(sites) == 1 else trial.suggest_categorical("site", sites)
        left = self.affordable[chosen.get("site", next(iter(self.affordable)))]
        for at, name in enumerate(self.sizes):
            values = sorted({sizes[at] for sizes in left})
            # A position and not the value: ranks and widths double, and Optuna takes another range from trial to trial.
            place = 0 if len(values) == 1 else trial.suggest_int(f"{name}_at", 0, len(values) - 1)
            chosen[name] = values[place]
            left = [sizes for sizes in left if sizes[at] == values[place]]
        for name in RANGES:
            if name in self.config.searched and not (chosen.get("experts") == 1 and name in ALONE):
                chosen[name] = self._drawn(trial, name)
        return {"number": trial.number, "chosen": chosen}

    def _drawn(self, trial: Any, name: str) -> float:
        ends = getattr(self.config, name)
        if len(ends) == 1:
            return ends[0]
        return trial.suggest_float(name, *ends, log=name not in FROM_ZERO)


def space_of(config: TuneConfig, grid: Grid) -> Space:
    """The space of a search on a store.

    Raises:
        ConfigError: a site or the backbone does not fit, or at a site no size is within the budget.
    """
    sizes = tuple(name for name in SIZES if name in config.searched)
    sites = config.site if "site" in config.searched else config.site[:1]
    affordable = {site: _affordable(config, grid, site, sizes) for site in sites}
    return Space(config=config, affordable=affordable, sizes=sizes)


def _affordable(config: TuneConfig, grid: Grid, site: str, sizes: tuple[str, ...]) -> list[tuple[int, ...]]:
    found, refusal = [], None
    for values in itertools.product(*(getattr(config, name) for name in sizes)):
        training = config.training({"site": site, **dict(zip(sizes, values, strict=True))}, config.out)
        try:
            make(training, grid, cached=training.cacheable)
        except ConfigError as fault:
            refusal = refusal or fault  # of the smallest
        else:
            found.append(values)
    if not found:
        assert refusal is not None
        raise refusal
    return found

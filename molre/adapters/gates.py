"""What the routers decide: every gate of some passes, or running figures of many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molre.adapters.mixture import MolreLayer, Observer

PENDING = 2**18
"""Gates that a meter lets wait before it adds them up: 1 MB, and for a ViT-B with 48 sites some hundred passes."""


@contextmanager
def record_gates(model: nn.Module) -> Iterator[dict[str, list[Float[Tensor, "n *t K"]]]]:
    """Record every gate while the block runs. What a checkpoint recomputes for the backward pass is not told twice.

    Yields:
        by site, such as ``site`` or ``backbone.vit.…q_proj``, the gates of each pass: (n, K) with a row a slice or
        volume, (n, positions…, K) where the gate is a token's. Empty for a model without routers. Of a layer that has
        several adapters the sites are named ``site:adapter``.
    """
    gates: dict[str, list[Tensor]] = {site: [] for site in _sites(model)}

    def observer(key: str, passed: Tensor) -> None:
        gates.setdefault(key, []).append(passed)

    with _observed(model, observer):
        yield gates


@dataclass(frozen=True, kw_only=True, slots=True)
class GateFigures:
    """What a site's router did.

    Attributes:
        rows: how many gates there were.
        mean: the mean gate, one number an expert; sums to 1.
        entropy: mean entropy of a gate over log K: 0 where one expert is chosen, 1 where all count the same.
        effective: exp of the mean gate's entropy, how many experts are in use over all rows: from 1 to K.
    """

    rows: int
    mean: tuple[float, ...]
    entropy: float
    effective: float


class GateMeter:
    """Running figures of every router's gates while the block runs: ``with GateMeter(model) as meter``.

    A pass only leaves its gates, already computed, in a list; they are added up on the device once there are enough,
    and brought to the CPU by ``read`` alone.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._observing = ExitStack()
        self._pending: dict[str, list[Tensor]] = {}
        self._waiting = 0
        self._sums: dict[str, tuple[int, Tensor]] = {}

    def __enter__(self) -> GateMeter:
        self._observing.enter_context(_observed(self._model, self._note))
        return self

    def __exit__(self, *fault: object) -> None:
        self._observing.close()

    def read(self) -> dict[str, GateFigures]:
        """The figures so far, by site as in ``record_gates``; a site without any gate is left out."""
        self._add_up()
        return {key: _figures(rows, sums.cpu()) for key, (rows, sums) in self._sums.items() if rows}

    def reset(self) -> None:
        """Start again from nothing, such as for the next epoch."""
        self._pending, self._waiting, self._sums = {}, 0, {}

    def _note(self, key: str, gates: Tensor) -> None:
        self._pending.setdefault(key, []).append(gates.flatten(0, -2))
        self._waiting += gates.numel()
        if self._waiting > PENDING:
            self._add_up()

    @torch.no_grad()
    def _add_up(self) -> None:
        for key, parts in self._pending.items():
            gates = torch.cat(parts)
            exact = torch.float64 if gates.device.type != "mps" else torch.float32
            entropy = torch.special.entr(gates).sum(dtype=exact)
            sums = torch.cat([gates.sum(0, dtype=exact), entropy[None]])
            rows, before = self._sums.get(key, (0, torch.zeros_like(sums)))
            self._sums[key] = rows + len(gates), before + sums
        self._pending, self._waiting = {}, 0


def _figures(rows: int, sums: Float[Tensor, "K_and_entropy"]) -> GateFigures:
    mean = sums[:-1] / rows
    return GateFigures(
        rows=rows,
        mean=tuple(mean.tolist()),
        entropy=float(sums[-1]) / rows / math.log(len(mean)),
        effective=math.exp(float(torch.special.entr(mean).sum())),
    )


def _sites(model: nn.Module) -> dict[str, tuple[MolreLayer, str]]:
    """Every active router: its site's key, to layer and adapter name."""
    return {
        _key(name, layer, adapter): (layer, adapter)
        for name, layer in model.named_modules()
        if isinstance(layer, MolreLayer)
        for adapter in layer.active_adapters
        if adapter in layer.settings and layer.settings[adapter].routed
    }


def _key(name: str, layer: MolreLayer, adapter: str) -> str:
    site = name.removeprefix("base_model.model.")
    return site if len(layer.settings) == 1 else f"{site}:{adapter}"


@contextmanager
def _observed(model: nn.Module, told: Observer) -> Iterator[None]:
    """Have every MoLRE layer tell its gates, under the key of their site."""
    added: list[tuple[MolreLayer, Observer]] = []
    for name, layer in model.named_modules():
        if isinstance(layer, MolreLayer):
            observer = _of_site(name, layer, told)
            layer.observers += (observer,)
            added.append((layer, observer))
    try:
        yield
    finally:
        for layer, observer in added:
            layer.observers = tuple(other for other in layer.observers if other is not observer)


def _of_site(name: str, layer: MolreLayer, told: Observer) -> Observer:
    def observer(adapter: str, gates: Tensor) -> None:
        told(_key(name, layer, adapter), gates)

    return observer

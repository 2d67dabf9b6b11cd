"""What the routers decide: gates recorded during passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from molre.adapters.layer import MolreLinear


@contextmanager
def record_gates(model: nn.Module) -> Iterator[dict[str, list[Float[Tensor, "n K"]]]]:
    """Record every gate while the block runs.

    Yields:
        by site, such as ``site`` or ``backbone.vit.…q_proj``, the gates of each pass, one row a slice; empty for a
        model without MoLRE.
    """
    layers = {_site(name): layer for name, layer in model.named_modules() if isinstance(layer, MolreLinear)}
    gates: dict[str, list[Tensor]] = {name: [] for name in layers}
    for name, layer in layers.items():
        layer.recorder = gates[name]
    try:
        yield gates
    finally:
        for layer in layers.values():
            layer.recorder = None


def _site(name: str) -> str:
    return name.removeprefix("base_model.model.")

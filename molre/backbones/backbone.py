"""What every backbone is: a network from images to one feature vector each, and the facts a user asks about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from molre.errors import ConfigError
from molre.windows import Windows


class Backbone(nn.Module):
    """A network from images to features.

    Attributes:
        spec: its registry entry.
        provenance: where its weights come from; goes into every summary and bundle.
        sites: regular expressions, over module names within the backbone, of the adapter sites that it knows by name.
        idle: names of parameters that the forward pass never uses, which full fine-tuning therefore leaves frozen.
    """

    sites: Mapping[str, str] = {}
    idle: frozenset[str] = frozenset()

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.spec = spec
        self.provenance: dict[str, Any] = {}

    def forward(self, images: Float[Tensor, "n c p p"]) -> Float[Tensor, "n width"]:
        """One feature vector an image."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """The registry entry of a backbone.

    Attributes:
        name: what ``--backbone`` takes.
        make: the family's builder: (spec, weights, seed) to a backbone with its weights and provenance set.
        dims: 2 where it reads slices, 3 where it reads volumes.
        width: length of its feature vector.
        image_px: side of the square image it reads.
        patch_px: side of one token's patch.
        parameters: how many it has; checked when it is built, and what an adapter's budget is a fraction of.
        windows: how HU become its input.
        licence: of the published weights.
        access: what a user has to do to get them.
        hub_id: where they are published, if on the Hugging Face hub.
        revision: the commit of that repository whose weights are loaded.
        packaged: file with weights that come with molre.
        settings: what the family's builder needs besides.
    """

    name: str
    make: Callable[[BackboneSpec, str | None, int], Backbone]
    dims: int = 2
    width: int
    image_px: int
    patch_px: int
    parameters: int
    windows: Windows
    licence: str
    access: str
    hub_id: str | None = None
    revision: str | None = None
    packaged: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ConfigError(f"backbone {self.name!r} has dims={self.dims}: it must be 2 or 3")
        if self.image_px % self.patch_px:
            raise ConfigError(
                f"backbone {self.name!r}: {self.image_px} px are no whole number of {self.patch_px} px patches"
            )
        if self.hub_id and not self.revision:
            raise ConfigError(f"backbone {self.name!r} names {self.hub_id} without pinning its revision")

"""What every backbone is: a network from slices or volumes to one feature vector each, and the facts about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # of every norm that keeps running statistics

from molre.backbones.inputs import SliceInput, VolumeInput
from molre.errors import ConfigError
from molre.windows import Windows

StateDict = Mapping[str, Tensor]
"""Tensors by name; those of a file are read only when they are asked for."""


class Backbone(nn.Module):
    """A network from images to features; a family of networks is a subclass.

    A family's constructor takes the registry entry and builds the network from it with random weights. It makes no
    tensor by itself that is not a parameter or a buffer, so that it can be built without memory.

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

    @property
    def parameter_count(self) -> int:
        """How many parameters it has."""
        assert self.spec.parameters is not None, "building counts what an entry does not state"
        return self.spec.parameters

    def forward(self, images: Float[Tensor, "n c *grid"]) -> Float[Tensor, "n width"]:
        """One feature vector an image: of a slice in 2D, of a volume in 3D."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> Backbone:
        """Training mode for what is trained; what is frozen stays in evaluation mode.

        A frozen BatchNorm in training mode would normalise by its batch and move its running statistics, so that
        frozen features depended on the mode and on their neighbours. Full fine-tuning opens it, and may move them.
        """
        super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))
        for norm in self.modules():
            if isinstance(norm, _NormBase) and not any(own.requires_grad for own in norm.parameters()):
                norm.eval()
        return self

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """A published checkpoint in the backbone's own names.

        Args:
            state: as it is in the file.

        Returns:
            The tensors under the names of ``state_dict()``, unknown ones as they are; and the names of those that are
            known to be no part of this network, such as a text tower's.
        """
        return dict(state), []

    @classmethod
    def from_remote_code(cls, spec: BackboneSpec, source: str, revision: str | None) -> Backbone:
        """A backbone whose architecture is published as code beside its weights; that code is run.

        Args:
            spec: its registry entry.
            source: folder or hub id.
            revision: commit of the hub's repository; None for a folder.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """The registry entry of a backbone.

    Attributes:
        name: what ``--backbone`` takes.
        title: what it is, in a few words.
        family: the class that builds it.
        width: length of its feature vector.
        input: what it wants to be fed.
        windows: how HU become its input.
        parameters: how many it has, and what an adapter's budget is a fraction of; checked when it is built. None where
            the architecture is known only to remote code.
        published: the count that its authors state, exact or rounded as they print it.
        count_source: where that count stands, and what any difference is.
        forward_mib: memory that one slice (2D) or volume (3D) takes in a frozen forward pass, in MiB beyond the
            weights, in 32-bit floats, its windowing included, from a store's slice of 512 x 512; measured.
        licence: of the published weights.
        access: what a user has to do to get them.
        hub_id: where they are published, if on the Hugging Face hub.
        revision: the commit of that repository whose weights are loaded.
        hub_file: the one file of it that holds them, where it is not in transformers format.
        tower: what the names of its tensors start with where the file holds more than the network; several where
            releases differ.
        remote_code: its architecture is code that comes with the weights, run only when the user says so.
        packaged: file with weights that come with molre.
        settings: what the family's constructor needs besides.
    """

    name: str
    title: str
    family: type[Backbone]
    width: int
    input: SliceInput | VolumeInput
    windows: Windows
    parameters: int | None
    published: str
    count_source: str
    forward_mib: float
    licence: str
    access: str
    hub_id: str | None = None
    revision: str | None = None
    hub_file: str | None = None
    tower: str | tuple[str, ...] = ""
    remote_code: bool = False
    packaged: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.parameters is None and not self.remote_code:
            raise ConfigError(f"backbone {self.name!r} states no number of parameters")

    @property
    def dims(self) -> int:
        """2 where it reads slices, 3 where it reads volumes."""
        return 2 if isinstance(self.input, SliceInput) else 3

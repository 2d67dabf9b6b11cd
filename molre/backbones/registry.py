"""The backbones by name. To add one: a file with its specs beside this one, and one line below."""

from __future__ import annotations

from molre.backbones import dinov3
from molre.backbones.backbone import Backbone, BackboneSpec
from molre.backbones.weights import fingerprint
from molre.errors import ConfigError, WeightsError

BACKBONES: dict[str, BackboneSpec] = {}
"""Every backbone that ``--backbone`` takes."""


def register(*specs: BackboneSpec) -> None:
    """Add backbones to the registry.

    Raises:
        ConfigError: a name is taken.
    """
    for spec in specs:
        if spec.name in BACKBONES:
            raise ConfigError(f"there is already a backbone {spec.name!r}: choose another name")
        BACKBONES[spec.name] = spec


register(*dinov3.SPECS)


def spec_named(name: str) -> BackboneSpec:
    """The registry entry of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in BACKBONES:
        raise ConfigError(f"unknown backbone {name!r}: choose from {', '.join(BACKBONES)}")
    return BACKBONES[name]


def build(name: str, weights: str | None = None, seed: int = 0) -> Backbone:
    """A backbone with its weights, in evaluation mode, on the CPU, in 32-bit floats.

    Args:
        name: its registry name.
        weights: None for the weights that come with molre, or random ones where none do; ``random``; a local folder
            in transformers format or a .safetensors, .pt or .pth file; or a hub id, with ``@revision`` to choose
            another commit than the pinned one.
        seed: of random weights. The global generator is left as it was.

    Raises:
        ConfigError: the name is unknown.
        WeightsError: the weights cannot be found, read, or matched to the backbone.
    """
    spec = spec_named(name)
    backbone = spec.make(spec, weights, seed).eval()
    count = sum(parameter.numel() for parameter in backbone.parameters())
    if count != spec.parameters:
        raise WeightsError(
            f"{name} has {count:,} parameters here and {spec.parameters:,} in its registry entry: "
            "the installed transformers builds another network; use a version that pyproject.toml allows"
        )
    backbone.provenance["fingerprint"] = fingerprint(backbone)
    return backbone

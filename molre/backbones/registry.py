"""The backbones by name. To add one: a file with its family and specs beside this one, and one line below."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights

from molre.backbones import davit, densenet, dinov3, pillar, segresnet, siglip, vit3d
from molre.backbones import weights as stored
from molre.backbones.backbone import Backbone, BackboneSpec
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
register(*siglip.SPECS)
register(*davit.SPECS)
register(*pillar.SPECS)
register(*densenet.SPECS)
register(*segresnet.SPECS)
register(*vit3d.SPECS)


def spec_named(name: str) -> BackboneSpec:
    """The registry entry of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in BACKBONES:
        raise ConfigError(f"unknown backbone {name!r}: choose from {', '.join(BACKBONES)}")
    return BACKBONES[name]


def outline(name: str) -> Backbone:
    """A backbone with every name and shape and without weights, for counting and wiring; it takes no memory.

    Raises:
        ConfigError: the name is unknown, or the architecture comes only with its weights.
    """
    spec = spec_named(name)
    if spec.remote_code:
        raise ConfigError(f"the architecture of {name} is code that comes with its weights: nothing stands for it here")
    # Some layers draw their first values before their memory is taken away: the global generator stays as it was.
    with torch.random.fork_rng(devices=[]), init_empty_weights(include_buffers=False):
        return spec.family(spec).eval()


def build(name: str, weights: str | None = None, seed: int = 0, *, remote_code: bool = False) -> Backbone:
    """A backbone with its weights, in evaluation mode, on the CPU, in 32-bit floats.

    Args:
        name: its registry name.
        weights: None for the weights that come with molre, or random ones where none do; ``random``; a local folder
            in transformers format or a .safetensors, .pt or .pth file; or a hub id, with ``@revision`` to choose
            another commit than the pinned one.
        seed: of random weights. The global generator is left as it was.
        remote_code: run code that comes with the weights, for the backbones that need it.

    Raises:
        ConfigError: the name is unknown, or remote code is needed and not allowed.
        WeightsError: the weights cannot be found, read, or matched to the backbone.
    """
    spec = spec_named(name)
    if spec.remote_code:
        backbone = _from_remote_code(spec, weights, remote_code)
    elif weights == "random" or (weights is None and (spec.packaged is None or not spec.packaged.exists())):
        backbone = _random(spec, seed)
    else:
        backbone = _from_source(spec, _source(spec, weights))
    backbone.eval()
    count = sum(parameter.numel() for parameter in backbone.parameters())
    if spec.parameters is not None and count != spec.parameters:
        raise WeightsError(
            f"{name} has {count:,} parameters here and {spec.parameters:,} in its registry entry: "
            "the installed libraries build another network; use versions that pyproject.toml allows"
        )
    backbone.spec = replace(spec, parameters=count)  # remote code has no count before it is loaded
    backbone.provenance |= {"parameters": count, "fingerprint": stored.fingerprint(backbone)}
    return backbone


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where weights are read from.

    Attributes:
        path: file or folder.
        told: what the provenance says of it.
    """

    path: Path
    told: dict[str, Any]


def _source(spec: BackboneSpec, weights: str | None) -> Source:
    if weights is None:
        assert spec.packaged is not None
        told = {"source": "packaged", "description": "phantom-pretrained, packaged"}
        return Source(path=spec.packaged, told=told)
    path = stored.local(weights)
    if path is not None:
        told = {"source": "local", "description": f"local weights {path.name}", "path": str(path.resolve())}
        copied = path / spec.hub_file if spec.hub_file else path  # a copy of the whole repository
        return Source(path=copied if copied.is_file() else path, told=told)
    name, revision = _revision(spec, weights)
    folder = stored.fetch(name, revision, spec)
    commit = folder.name  # the cache names a snapshot by its commit, which does not move as a branch does
    told = {"source": "hub", "description": f"{name}@{commit}", "hub_id": name, "revision": commit}
    return Source(path=folder / spec.hub_file if spec.hub_file and name == spec.hub_id else folder, told=told)


def _revision(spec: BackboneSpec, weights: str) -> tuple[str, str]:
    """A hub repository and the commit of it that is meant.

    Raises:
        WeightsError: the registry pins none for this repository, and none was given.
    """
    name, _, chosen = weights.partition("@")
    revision = chosen or (spec.revision if name == spec.hub_id else None)
    if not revision:
        raise WeightsError(f"no revision of {name} is pinned: give {name}@COMMIT, so that the weights stay the same")
    return name, revision


def _random(spec: BackboneSpec, seed: int) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        backbone = spec.family(spec)
    backbone.provenance = {"source": "random", "description": f"random, seed {seed}", "seed": seed}
    return backbone


def _from_source(spec: BackboneSpec, source: Source) -> Backbone:
    backbone = outline(spec.name)
    state = stored.read(source.path, spec.tower)
    left_out: list[str] = []
    if state.keys() != backbone.state_dict().keys():  # a fine-tuned backbone is saved under its own names
        state, left_out = backbone.translated(state)
    stored.load_strictly(backbone, state, f"{source.path} for {spec.name}")
    backbone.provenance = {
        **source.told,
        "sha256": stored.sha256_of_files(stored.files_of(source.path, spec.tower)),
        "tensors": len(state),
        "left_out": len(left_out),
    }
    return backbone


def _from_remote_code(spec: BackboneSpec, weights: str | None, allowed: bool) -> Backbone:
    if weights is None or weights == "random":
        raise ConfigError(
            f"{spec.name} cannot be built without its weights, since its architecture is code that comes with them: "
            f"give --weights with a local folder of {spec.hub_id}, or that id ({spec.access})"
        )
    if not allowed:
        raise ConfigError(
            f"{spec.name} runs code that comes with its weights: read that code, then allow it with --remote-code"
        )
    path = stored.local(weights)
    if path is not None:
        backbone = spec.family.from_remote_code(spec, str(path), None)
        told = {"source": "local", "description": f"local weights {path.name}", "path": str(path.resolve())}
    else:
        name, revision = _revision(spec, weights)
        backbone = spec.family.from_remote_code(spec, name, revision)
        told = {"source": "hub", "description": f"{name}@{revision}", "hub_id": name, "revision": revision}
    backbone.provenance = {**told, "remote_code": True}
    return backbone

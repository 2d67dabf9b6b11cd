"""DINOv3 vision transformers (Siméoni et al., arXiv 2508.10104), by way of ``transformers.DINOv3ViTModel``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from molre.backbones import weights as stored
from molre.backbones.backbone import Backbone, BackboneSpec
from molre.windows import CT_RGB

REGISTERS = 4
PREFIX = 1 + REGISTERS
"""Tokens before the first patch: CLS, then the registers."""


class DinoV3(Backbone):
    """A DINOv3 transformer and how one vector is read from its tokens.

    Attributes:
        vit: the transformer.
        readout: ``cls`` for the CLS token, ``patches`` for the mean of the patch tokens, both after the last norm.
    """

    idle = frozenset({"vit.embeddings.mask_token"})  # only DINOv3's own pre-training masks patches

    def __init__(self, spec: BackboneSpec, vit: nn.Module) -> None:
        super().__init__(spec)
        self.vit = vit
        self.readout: str = spec.settings["readout"]
        last = spec.settings["layers"] - 1
        self.sites = {
            "last_block": rf"vit\.(model\.)?layer\.{last}\.attention\.[qkvo]_proj",
            "attention": r"vit\.(model\.)?layer\.\d+\.attention\.[qv]_proj",
        }

    def forward(self, images: Float[Tensor, "n c p p"]) -> Float[Tensor, "n width"]:
        """One feature vector an image."""
        tokens = self.vit(pixel_values=images).last_hidden_state
        return tokens[:, 0] if self.readout == "cls" else tokens[:, PREFIX:].mean(1)


def make(spec: BackboneSpec, weights: str | None, seed: int) -> DinoV3:
    """Build a DINOv3 of the registry; see ``molre.backbones.build``."""
    if weights is None and spec.packaged is not None and spec.packaged.exists():
        return _from_path(spec, spec.packaged, {"source": "packaged", "description": "phantom-pretrained, packaged"})
    if weights is None or weights == "random":
        return _random(spec, seed)
    path = stored.local(weights)
    if path is None:
        return _from_hub(spec, weights)
    told = {"source": "local", "description": f"local weights {path.name}", "path": str(path.resolve())}
    return _from_path(spec, path, told)


def configuration(spec: BackboneSpec) -> DINOv3ViTConfig:
    """The transformers configuration of a registry entry."""
    settings = spec.settings
    return DINOv3ViTConfig(
        patch_size=spec.patch_px,
        image_size=spec.image_px,
        hidden_size=settings["hidden"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        intermediate_size=settings["mlp"],
        num_register_tokens=REGISTERS,
        key_bias=False,
        rope_theta=100.0,
        # transformers would stretch positions at random in training mode; features must not depend on the mode.
        pos_embed_rescale=None,
    )


def _empty(spec: BackboneSpec) -> DINOv3ViTModel:
    """The network with shapes and no memory; only what is not in a checkpoint, the rotary frequencies, has values."""
    with torch.device("meta"):
        vit = DINOv3ViTModel(configuration(spec))
    vit.rope_embeddings.to_empty(device="cpu")
    vit._init_weights(vit.rope_embeddings)
    return vit


def _random(spec: BackboneSpec, seed: int) -> DinoV3:
    vit = _empty(spec).to_empty(device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in vit.modules():
            vit._init_weights(module)
    return _finished(spec, vit, {"source": "random", "description": f"random, seed {seed}", "seed": seed})


def _from_path(spec: BackboneSpec, path: Path, provenance: dict[str, Any]) -> DinoV3:
    vit = _empty(spec)
    stored.load_strictly(vit, _renamed(stored.read(path), vit), f"{path} for {spec.name}")
    provenance["sha256"] = stored.sha256_of_files(stored.files_of(path))
    return _finished(spec, vit, provenance)


def _renamed(state: stored.StateDict, vit: nn.Module) -> stored.StateDict:
    """Keys as the installed transformers has them.

    Taken are transformers' own layouts, whose releases differ in ``layer.N`` and ``model.layer.N``; the same under
    ``vit.``, as molre saves a fine-tuned backbone; and that of Meta's own checkpoints.
    """
    plain = {key.removeprefix("vit."): value for key, value in state.items()}
    if any(key.startswith("blocks.") for key in plain):
        plain = _from_original(plain)
    plain = {re.sub(r"^model\.(?=layer\.)", "", key): value for key, value in plain.items()}
    nested = any(key.startswith("model.layer.") for key in vit.state_dict())
    return {f"model.{key}" if nested and key.startswith("layer.") else key: value for key, value in plain.items()}


_ORIGINAL = (
    (r"^(cls_token|mask_token)$", r"embeddings.\1"),
    (r"^storage_tokens$", "embeddings.register_tokens"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings."),
    (r"^blocks\.", "layer."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.ls(\d)\.gamma$", r".layer_scale\1.lambda1"),
    (r"\.mlp\.fc1\.", ".mlp.up_proj."),
    (r"\.mlp\.fc2\.", ".mlp.down_proj."),
)
"""Names in github.com/facebookresearch/dinov3 and what transformers calls the same tensors."""


def _from_original(state: stored.StateDict) -> stored.StateDict:
    """Meta's layout in transformers' names: q, k and v apart; the key bias, which Meta masks to zero, left out."""
    renamed: stored.StateDict = {}
    for name, value in state.items():
        if name.endswith("bias_mask") or name.startswith("rope_embed."):
            continue
        key = name
        for old, new in _ORIGINAL:
            key = re.sub(old, new, key)
        if ".attn.qkv." in key:
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                if (letter, key.rsplit(".", 1)[1]) != ("k", "bias"):
                    renamed[key.replace(".attn.qkv.", f".attention.{letter}_proj.")] = part
        else:
            renamed[key] = value[None] if key == "embeddings.mask_token" and value.ndim == 2 else value
    return renamed


def _from_hub(spec: BackboneSpec, hub_id: str) -> DinoV3:
    name, _, chosen = hub_id.partition("@")
    folder = stored.fetch(name, chosen or (spec.revision if name == spec.hub_id else None) or "main", spec.access)
    commit = folder.name  # the cache names a snapshot by its commit, which does not move as a branch does
    told = {"source": "hub", "description": f"{name}@{commit}", "hub_id": name, "revision": commit}
    return _from_path(spec, folder, told)


def _finished(spec: BackboneSpec, vit: nn.Module, provenance: dict[str, Any]) -> DinoV3:
    backbone = DinoV3(spec, vit)
    backbone.provenance = provenance
    return backbone


VIT_B16 = BackboneSpec(
    name="dinov3-vitb16",
    make=make,
    width=768,
    image_px=224,
    patch_px=16,
    parameters=85_660_416,
    windows=CT_RGB,
    licence="DINOv3 License (Meta); see https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
    access="gated on the Hugging Face hub: accept the DINOv3 License there, then log in with a token",
    hub_id="facebook/dinov3-vitb16-pretrain-lvd1689m",
    revision="5931719e67bbdb9737e363e781fb0c67687896bc",
    settings={"hidden": 768, "layers": 12, "heads": 12, "mlp": 3072, "readout": "cls"},
)
"""DINOv3 ViT-B/16, the paper's DINOv3-Base."""

VIT_L16 = replace(
    VIT_B16,
    name="dinov3-vitl16",
    width=1024,
    parameters=303_129_600,
    hub_id="facebook/dinov3-vitl16-pretrain-lvd1689m",
    revision="ea8dc2863c51be0a264bab82070e3e8836b02d51",
    settings={"hidden": 1024, "layers": 24, "heads": 16, "mlp": 4096, "readout": "cls"},
)
"""DINOv3 ViT-L/16, the paper's DINOv3-Large."""

TINY = BackboneSpec(
    name="dinov3-tiny",
    make=make,
    width=192,
    image_px=112,
    patch_px=16,
    parameters=2_819_520,
    windows=CT_RGB,
    licence="Apache-2.0",
    access="comes with molre",
    packaged=Path(__file__).parent / "weights" / "dinov3-tiny.safetensors",
    settings={"hidden": 192, "layers": 6, "heads": 3, "mlp": 768, "readout": "patches"},
)
"""The same architecture, small enough for two CPU cores, so that every step of molre runs without a download."""

SPECS = (TINY, VIT_B16, VIT_L16)

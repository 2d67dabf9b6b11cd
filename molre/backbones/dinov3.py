"""DINOv3 vision transformers (Siméoni et al., arXiv 2508.10104), by way of ``transformers.DINOv3ViTModel``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import SliceInput
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

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__(spec)
        self.vit = DINOv3ViTModel(configuration(spec))
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

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """Names as the installed transformers has them.

        Taken are transformers' own layouts, whose releases differ in ``layer.N`` and ``model.layer.N``, and that of
        Meta's own checkpoints.
        """
        left_out = [key for key in state if key.endswith("bias_mask") or key.startswith("rope_embed.")]
        plain = {key: state[key] for key in state if key not in left_out}
        if any(key.startswith("blocks.") for key in plain):
            plain = _from_original(plain)
        nested = any(key.startswith("vit.model.layer.") for key in self.state_dict())
        layers = "model.layer." if nested else "layer."
        return {f"vit.{_LAYERS.sub(layers, key)}": value for key, value in plain.items()}, left_out


def configuration(spec: BackboneSpec) -> DINOv3ViTConfig:
    """The transformers configuration of a registry entry."""
    settings = spec.settings
    assert isinstance(spec.input, SliceInput)
    return DINOv3ViTConfig(
        patch_size=spec.input.patch_px,
        image_size=spec.input.image_px,
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


_LAYERS = re.compile(r"^(model\.)?layer\.")


def _from_original(state: StateDict) -> dict[str, Tensor]:
    """Meta's layout in transformers' names: q, k and v apart; the key bias, which Meta masks to zero, left out."""
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
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


VIT_B16 = BackboneSpec(
    name="dinov3-vitb16",
    title="DINOv3 ViT-B/16, natural images; the paper's DINOv3-Base",
    family=DinoV3,
    width=768,
    input=SliceInput(image_px=224, patch_px=16),
    windows=CT_RGB,
    parameters=85_660_416,
    published="86M",
    count_source="DINOv3 model card (arXiv 2508.10104, table 1), rounded",
    forward_mib=8.0,
    licence="DINOv3 License (Meta); see https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
    access="gated on the Hugging Face hub: accept the DINOv3 License there, then log in with a token",
    hub_id="facebook/dinov3-vitb16-pretrain-lvd1689m",
    revision="5931719e67bbdb9737e363e781fb0c67687896bc",
    settings={"hidden": 768, "layers": 12, "heads": 12, "mlp": 3072, "readout": "cls"},
)

VIT_L16 = replace(
    VIT_B16,
    name="dinov3-vitl16",
    title="DINOv3 ViT-L/16, natural images; the paper's DINOv3-Large",
    width=1024,
    parameters=303_129_600,
    published="300M",
    forward_mib=11.0,
    hub_id="facebook/dinov3-vitl16-pretrain-lvd1689m",
    revision="ea8dc2863c51be0a264bab82070e3e8836b02d51",
    settings={"hidden": 1024, "layers": 24, "heads": 16, "mlp": 4096, "readout": "cls"},
)

TINY = BackboneSpec(
    name="dinov3-tiny",
    title="DINOv3's architecture, small enough for two CPU cores; the demo's",
    family=DinoV3,
    width=192,
    input=SliceInput(image_px=112, patch_px=16),
    windows=CT_RGB,
    parameters=2_819_520,
    published="2.8M",
    count_source="this project's own network",
    forward_mib=5.5,
    licence="Apache-2.0",
    access="comes with molre",
    packaged=Path(__file__).parent / "weights" / "dinov3-tiny.safetensors",
    settings={"hidden": 192, "layers": 6, "heads": 3, "mlp": 768, "readout": "patches"},
)

SPECS = (TINY, VIT_B16, VIT_L16)

"""MedImageInsight's image tower (Codella et al., arXiv 2410.06542): a DaViT (Ding et al., arXiv 2204.03645).

``transformers`` has this architecture as Florence-2's vision backbone, under other names.
"""

from __future__ import annotations

import re

from jaxtyping import Float
from torch import Tensor, nn
from transformers import Florence2VisionConfig
from transformers.models.florence2.modeling_florence2 import Florence2VisionBackbone

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import SliceInput
from molre.windows import CT_RGB


class DaViT(Backbone):
    """A DaViT: stages of blocks, each with attention within windows and then between channels.

    The feature is the last map's average after a norm. MedImageInsight's ``encode_image`` goes on to project it, by a
    matrix, into the space it shares with text, and divides it by its length. That is left out (chosen): a trained head
    reads the feature, which a linear map before it gives nothing.

    DaViT makes q, k and v by one fused layer, ``qkv``, so an adapter at the ``attention`` site changes all three.

    Attributes:
        davit: the stages.
        norm: layer norm of the averaged map.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__(spec)
        self.davit = Florence2VisionBackbone(configuration(spec))
        self.norm = nn.LayerNorm(spec.width)
        stage, block = len(spec.settings["depths"]) - 1, spec.settings["depths"][-1] - 1
        attention = r"\.(spatial_block\.window|channel_block\.channel)_attn\."
        self.sites = {
            "last_block": rf"davit\.blocks\.{stage}\.{block}{attention}(qkv|proj)",
            "attention": rf"davit\.blocks\.\d+\.\d+{attention}qkv",
        }

    def forward(self, images: Float[Tensor, "n c p p"]) -> Float[Tensor, "n width"]:
        """One feature vector an image."""
        return self.norm(self.davit(images).last_hidden_state.mean((2, 3)))

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """MedImageInsight's layout, the tower's names with or without ``visual.``, in transformers' names."""
        left_out = [key for key in state if _OTHERS.match(key)]
        others = set(left_out)
        return {_renamed(key): state[key] for key in state if key not in others}, left_out


def configuration(spec: BackboneSpec) -> Florence2VisionConfig:
    """The transformers configuration of a registry entry; what it leaves open is DaViT's and Florence-2's alike."""
    settings = spec.settings
    return Florence2VisionConfig(
        embed_dim=list(settings["embed_dim"]),
        depths=list(settings["depths"]),
        num_heads=list(settings["heads"]),
        num_groups=list(settings["heads"]),
        window_size=12,
        # Whole branches would drop out in training mode; features must not depend on the mode.
        drop_path_rate=0.0,
    )


_OTHERS = re.compile(r"^text\.|^(text_projection|vision_projection|logit_scale)$")
"""Tensors of the published file that are no part of the image tower."""

_PUBLISHED = (
    (r"^(visual\.)?norms\.", "norm."),
    (r"^(visual\.)?(convs|blocks)\.", r"davit.\2."),
    (r"^(davit\.convs\.\d+)\.proj\.", r"\1.conv."),
    (r"\.(conv\d)\.fn\.dw\.", r".\1."),
    (r"\.(window|channel)_attn\.norm\.", ".norm1."),
    (r"\.(window|channel)_attn\.fn\.", r".\1_attn."),
    (r"\.ffn\.norm\.", ".norm2."),
    (r"\.ffn\.fn\.net\.", ".ffn."),
)
"""Names in MedImageInsight's file and what they are called here."""


def _renamed(key: str) -> str:
    for old, new in _PUBLISHED:
        key = re.sub(old, new, key)
    return key


MEDIMAGEINSIGHT = BackboneSpec(
    name="medimageinsight",
    title="MedImageInsight's image tower, medical images",
    family=DaViT,
    width=2048,
    # Four stages halve the image 5 times in all: 480 px become a map of 15 x 15.
    input=SliceInput(image_px=480, patch_px=32, interpolation="bicubic"),
    windows=CT_RGB,  # chosen: MedImageInsight publishes a size, a mean and a std for RGB images, and no CT windows
    parameters=360_636_416,
    published="360,636,416",
    count_source="the published file's image tower, its last norm included; the report (arXiv 2410.06542) says 360M",
    forward_mib=175.0,
    licence="MIT",
    access=(
        "open on the Hugging Face hub; no revision of it could be verified, so none is pinned: "
        "give lion-ai/MedImageInsights@COMMIT, or the file itself"
    ),
    hub_id="lion-ai/MedImageInsights",
    hub_file="2024.09.27/vision_model/medimageinsigt-v1.0.0.pt",
    tower="visual.",
    settings={
        "embed_dim": (256, 512, 1024, 2048),
        "depths": (1, 1, 9, 1),
        "heads": (8, 16, 32, 64),
    },
)

SPECS = (MEDIMAGEINSIGHT,)

"""SigLIP vision towers (Zhai et al., arXiv 2303.15343) of MedGemma and MedSigLIP, as transformers has them.

Sellergren et al., arXiv 2507.05201, is the report of both; which tower the MoLRE paper counts as 431M it does not say.
"""

from __future__ import annotations

import re
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor
from transformers import SiglipVisionConfig, SiglipVisionModel

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import SliceInput
from molre.windows import MEDSIGLIP


class Siglip(Backbone):
    """A SigLIP vision tower and how one vector is read from it.

    Where the tower has its attention pooling head, that head's output is the feature; MedGemma's has none, since the
    language model reads every token, and there it is the mean of the patch tokens after the last norm (chosen).

    Attributes:
        vit: the tower.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__(spec)
        self.vit = SiglipVisionModel(configuration(spec))
        layers = r"vit\.(vision_model\.)?encoder\.layers\."
        self.sites = {
            "last_block": rf"{layers}{spec.settings['layers'] - 1}\.self_attn\.([qkv]|out)_proj",
            "attention": rf"{layers}\d+\.self_attn\.[qv]_proj",
        }

    def forward(self, images: Float[Tensor, "n c p p"]) -> Float[Tensor, "n width"]:
        """One feature vector an image."""
        told = self.vit(pixel_values=images)
        return told.pooler_output if self.spec.settings["head"] else told.last_hidden_state.mean(1)

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """The tower's tensors, as the installed transformers names them.

        Taken are the layouts of MedGemma's releases (``vision_tower.vision_model.``, the same under ``model.``, and
        ``model.vision_tower.``), of a SigLIP model with both towers (``vision_model.``), and of the tower alone.
        """
        nested = any(key.startswith("vit.vision_model.") for key in self.state_dict())
        prefix = "vit.vision_model." if nested else "vit."
        left_out = [key for key in state if _OTHERS.search(key)]
        others = set(left_out)
        return {prefix + _TOWER.sub("", key): state[key] for key in state if key not in others}, left_out


def configuration(spec: BackboneSpec) -> SiglipVisionConfig:
    """The transformers configuration of a registry entry."""
    settings = spec.settings
    assert isinstance(spec.input, SliceInput)
    return SiglipVisionConfig(
        patch_size=spec.input.patch_px,
        image_size=spec.input.image_px,
        hidden_size=settings["hidden"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        intermediate_size=settings["mlp"],
        vision_use_head=settings["head"],
    )


_TOWER = re.compile(r"^(model\.)?(vision_tower\.)?(vision_model\.)?")
"""What a file puts before the names of the tower's tensors."""

_OTHERS = re.compile(
    r"^(model\.)?(language_model|multi_modal_projector|text_model)\."  # MedGemma's, and MedSigLIP's text tower
    r"|^lm_head\.|^logit_(scale|bias)$"
    r"|\.position_ids$"  # 0, 1, 2, …: older releases saved them
)
"""Tensors that are known to be no part of the tower."""


MEDSIGLIP_448 = BackboneSpec(
    name="medsiglip-448",
    title="MedSigLIP's vision tower with its pooling head, medical images",
    family=Siglip,
    width=1152,
    # 85 slices a volume is what MedGemma 1.5's CT input takes; resizing is bilinear as in SigLIP's own evaluation.
    input=SliceInput(image_px=448, patch_px=14, most_slices=85),
    windows=MEDSIGLIP,
    parameters=428_565_440,
    published="400M",
    count_source=(
        "MedSigLIP model card, rounded. The paper's 431M for a MedGemma tower is none of: this one (428,565,440), "
        "medgemma-4b without a head (416,866,032), 896 px with a head (432,104,384, the nearest)"
    ),
    forward_mib=55.0,
    licence="Health AI Developer Foundations terms; https://developers.google.com/health-ai-developer-foundations/terms",
    access="gated on the Hugging Face hub: accept the Health AI Developer Foundations terms, then log in with a token",
    hub_id="google/medsiglip-448",
    # The snapshot that public code pins or has in its cache.
    revision="9cea28a1a1195f665105faa6e8544c112fd960a4",
    tower="vision_model.",
    settings={"hidden": 1152, "layers": 27, "heads": 16, "mlp": 4304, "head": True},
)

MEDGEMMA_4B = replace(
    MEDSIGLIP_448,
    name="medgemma-4b",
    title="MedGemma 4B's vision tower, medical images; the paper's MedGemma vision tower",
    input=SliceInput(image_px=896, patch_px=14, most_slices=85),
    parameters=416_866_032,
    published="417M",
    count_source=(
        "Gemma 3 report (arXiv 2503.19786, table 1), rounded: the tower has no pooling head. The paper's 431M is none "
        "of: this one, 896 px with a head (432,104,384, the nearest), medsiglip-448 (428,565,440)"
    ),
    forward_mib=220.0,
    hub_id="google/medgemma-4b-it",
    revision="290cda5eeccbee130f987c4ad74a59ae6f196408",
    tower=("vision_tower.", "model.vision_tower."),
    settings={"hidden": 1152, "layers": 27, "heads": 16, "mlp": 4304, "head": False},
)

SPECS = (MEDGEMMA_4B, MEDSIGLIP_448)

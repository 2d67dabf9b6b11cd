"""FM-HCT, a 3D vision transformer pre-trained by DINO on 361,663 head CTs, by way of MONAI's ViT.

Its code is at github.com/NYUMedML/headCT_foundation; what stands below about it was read there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor, nn

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import VolumeInput
from molre.windows import Windows

if TYPE_CHECKING:
    from monai.networks.nets.vit import ViT

LAST_NORM_EPS = 1e-6
"""Of the norm behind the last block; the blocks' own have PyTorch's 1e-5."""


class ViT3D(Backbone):
    """MONAI's 3D ViT with a classification token, which is its feature.

    Attributes:
        vit: the transformer.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__(spec)
        self.vit = transformer(spec)
        last = spec.settings["layers"] - 1
        # One matrix holds q, k and v, so that k comes with q and v.
        self.sites = {
            "last_block": rf"vit\.blocks\.{last}\.attn\.(qkv|out_proj)",
            "attention": r"vit\.blocks\.\d+\.attn\.qkv",
        }

    def forward(self, images: Float[Tensor, "n c d h w"]) -> Float[Tensor, "n width"]:
        """One feature vector a volume.

        The network reads RAS, (right, anterior, superior), where molre has (up, back, left).
        """
        tokens, _ = self.vit(images.permute(0, 1, 4, 3, 2).flip(2, 3))
        return tokens[:, 0]

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """The published names in MONAI's, less what DINO and parallel training put around the network."""
        left_out = [key for key in state if _AROUND.sub("", key).startswith("head.")]
        renamed = {}
        for key in state:
            own = _AROUND.sub("", key)
            for published, monai in _PUBLISHED:
                own = re.sub(published, monai, own)
            renamed[key] = f"vit.{own}"
        return {renamed[key]: state[key] for key in state if key not in left_out}, left_out


_AROUND = re.compile(r"^((module|_orig_mod|backbone)\.)+")

_PUBLISHED = (
    (r"\.att_norm\.", ".norm1."),
    (r"\.ffn_norm\.", ".norm2."),
    (r"\.attn\.proj\.", ".attn.out_proj."),
)
"""Names in the published file and what MONAI calls the same tensors; the others are alike."""


def transformer(spec: BackboneSpec) -> ViT:
    """MONAI's ViT as the published one is: without what MONAI adds to it, and with its last norm."""
    from monai.networks.blocks.selfattention import SABlock  # MONAI takes two seconds to import
    from monai.networks.nets.vit import ViT

    assert isinstance(spec.input, VolumeInput)
    settings = spec.settings
    vit = ViT(
        in_channels=spec.windows.channels,
        img_size=spec.input.shape,
        patch_size=settings["patch"],
        hidden_size=spec.width,
        mlp_dim=settings["mlp"],
        num_layers=settings["layers"],
        num_heads=settings["heads"],
        # The published one starts from sines and cosines and keeps them as a parameter; the file holds their values.
        pos_embed_type="learnable",
        classification=True,  # for the token
        qkv_bias=False,
    )
    del vit.classification_head
    vit.norm.eps = LAST_NORM_EPS
    for block in vit.blocks:
        block.norm_cross_attn = nn.Identity()  # of a cross-attention that is not there
        assert isinstance(block.attn, SABlock)
        block.attn.use_flash_attention = True  # the same sums without the matrix of all pairs of tokens
    return vit


FM_HCT = BackboneSpec(
    name="fm-hct",
    title="FM-HCT, a 3D ViT-B for head CT",
    family=ViT3D,
    width=768,
    # The published pipeline crops to what is above 0 HU at 1 mm, which is about the head, and resizes that to 96³
    # whatever its shape. Here the field is fixed, about an adult head's 168 x 216 x 180 mm (chosen).
    input=VolumeInput(shape=(96, 96, 96), spacing_mm=(1.75, 2.25, 1.875)),
    windows=Windows(
        name="fm-hct",
        centre_width=((40.0, 80.0), (80.0, 200.0), (600.0, 2800.0)),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    ),
    parameters=89_404_416,
    published="89,404,416",
    count_source="printed in notebooks/extract_feature_sample.ipynb of its repository",
    forward_mib=104.0,
    licence="by agreement with its authors; their repository names none",
    access="ask its authors (github.com/NYUMedML/headCT_foundation) for model_weights.pth and give that file",
    settings={"patch": 12, "mlp": 3072, "layers": 12, "heads": 12},
)

SPECS = (FM_HCT,)

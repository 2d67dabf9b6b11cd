"""CT-FM (Pai et al., arXiv 2501.09001): a SegResNet encoder pre-trained on 148,000 CT scans, by way of MONAI."""

from __future__ import annotations

import re

from jaxtyping import Float
from torch import Tensor, nn

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import VolumeInput
from molre.windows import Windows


class SegResNet(Backbone):
    """MONAI's SegResNet encoder, read as the global average of its coarsest map.

    Attributes:
        encoder: the encoder; with BatchNorm, which is MONAI's default and the published file's.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        from monai.networks.nets.segresnet_ds import SegResEncoder  # MONAI takes two seconds to import

        super().__init__(spec)
        self.encoder = SegResEncoder(
            spatial_dims=3,
            in_channels=spec.windows.channels,
            init_filters=spec.settings["filters"],
            blocks_down=spec.settings["blocks"],
        )

    def forward(self, images: Float[Tensor, "n c d h w"]) -> Float[Tensor, "n width"]:
        """One feature vector a volume."""
        features = self.encoder.conv_init(images)
        for level in self.encoder.layers:  # MONAI's own forward would keep the maps of every level in memory
            assert isinstance(level, nn.ModuleDict)
            features = level["downsample"](level["blocks"](features))
        return features.mean((2, 3, 4))

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """Bare names as on the hub, or those of a file that holds more than the encoder.

        That is ``backbone.`` in the pre-training checkpoint, beside its projection head, and ``encoder.`` in the
        published SegResNet, beside its decoder.
        """
        if not any(_WITHIN.match(key) for key in state):
            return {f"encoder.{key}": value for key, value in state.items()}, []
        inside = {key: f"encoder.{_WITHIN.sub('', key)}" for key in state if _WITHIN.match(key)}
        return {own: state[key] for key, own in inside.items()}, [key for key in state if key not in inside]


_WITHIN = re.compile(r"^(model\.)?(backbone|encoder)\.")


CT_FM = BackboneSpec(
    name="ct-fm",
    title="CT-FM, a SegResNet encoder for CT of the whole body",
    family=SegResNet,
    width=512,
    # Slices of 3 x 1 x 1 mm, as it was pre-trained, run up, rows back and columns left: SPL, which is molre's own
    # order. The shape is chosen: it holds a head, and is a multiple of 16, the encoder's stride.
    input=VolumeInput(shape=(64, 224, 224), spacing_mm=(3.0, 1.0, 1.0)),
    # [-1024, 2048] HU to [0, 1]: the model card's preprocessing.
    windows=Windows(name="ct-fm", centre_width=((512.0, 3072.0),), mean=(0.0,), std=(1.0,)),
    parameters=77_760_992,
    published="77M",
    count_source="rounded, arXiv 2501.09001; the hub's 311 MB of 32-bit floats are 77.76M with the norms' statistics",
    forward_mib=1640.0,
    licence="Apache-2.0",
    access="open on the Hugging Face hub",
    hub_id="project-lighter/ct_fm_feature_extractor",
    revision="23e05e9c3398ed305339d144e3642bbcf9ccc46f",
    settings={"filters": 32, "blocks": (1, 2, 2, 4, 4)},
)

SPECS = (CT_FM,)

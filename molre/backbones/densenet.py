"""A 3D DenseNet of about 7 million parameters (Huang et al., arXiv 1608.06993), by way of MONAI.

The paper's smallest model, DeepCNTD, is a 3D CNN of that size whose code and weights are not public. This network
stands in the same place and is not that one.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import VolumeInput
from molre.windows import CT_RGB, Windows


class MonaiDenseNet(Backbone):
    """MONAI's 3D DenseNet without its classification layer.

    Attributes:
        features: its convolutions.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        from monai.networks.nets.densenet import DenseNet  # MONAI takes two seconds to import

        super().__init__(spec)
        network = DenseNet(
            spatial_dims=3,
            in_channels=spec.windows.channels,
            out_channels=1,
            init_features=spec.settings["first"],
            growth_rate=spec.settings["growth"],
            block_config=spec.settings["blocks"],
        )
        self.features = network.features

    def forward(self, images: Float[Tensor, "n c d h w"]) -> Float[Tensor, "n width"]:
        """One feature vector a volume: what MONAI's network hands to its classification layer."""
        return functional.relu(self.features(images)).mean((2, 3, 4))

    def translated(self, state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
        """A state dict of MONAI's network, whose classification layer is left out."""
        left_out = [key for key in state if key.startswith("class_layers.")]
        return {key: state[key] for key in state if key not in left_out}, left_out


DENSENET_7M = BackboneSpec(
    name="monai-densenet-7m",
    title="MONAI 3D DenseNet of 7M parameters, untrained; in the place of the paper's DeepCNTD, which is not public",
    family=MonaiDenseNet,
    width=800,
    # Chosen: about the 5 mm of a reported head CT, a field of 160 x 205 x 205 mm that holds a head, and a multiple of
    # 32, the network's stride.
    input=VolumeInput(shape=(32, 128, 128), spacing_mm=(5.0, 1.6, 1.6)),
    windows=Windows(name="ct-reading", centre_width=CT_RGB.centre_width, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    parameters=7_032_256,
    published="7M",
    count_source="the size that the paper gives DeepCNTD, to which the settings here are chosen to come near",
    forward_mib=64.0,
    licence="none: no weights are published; MONAI's code is under Apache-2.0",
    access="random weights, for full fine-tuning, or a file of your own",
    settings={"first": 64, "growth": 32, "blocks": (6, 8, 12, 16)},
)

SPECS = (DENSENET_7M,)

"""HU to network input: CT windows as image channels, on whatever device the voxels are on.

Training, embedding and serving all call ``to_images``, so that a network never sees a study prepared in two ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.nn import functional

from molre.errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Channel means that DINOv3's ImageNet-style preprocessing subtracts."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Channel standard deviations that it divides by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """One CT window a channel, then a normalisation.

    Attributes:
        name: what bundles record.
        centre_width: (centre, width) in HU of each channel's window.
        mean: subtracted from each channel once it is scaled to [0, 1].
        std: what each channel is then divided by.
        quantise: round each channel to the 256 levels of an 8-bit image first, as a network was trained with.
    """

    name: str
    centre_width: tuple[tuple[float, float], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quantise: bool = False

    def __post_init__(self) -> None:
        if not len(self.centre_width) == len(self.mean) == len(self.std) or not self.centre_width:
            raise ConfigError(f"windows {self.name!r} need one window, mean and std a channel")
        if any(width <= 0 for _, width in self.centre_width):
            raise ConfigError(f"windows {self.name!r} have a width of 0 HU or less")
        if any(value <= 0 for value in self.std):
            raise ConfigError(f"windows {self.name!r} have a std of 0 or less")


CT_RGB = Windows(
    name="ct-rgb",
    # Chosen by this project, since DINOv3 knows no CT: the brain window, the wider one in which a subdural stands out
    # from bone, and bone. They are the usual reading windows (centre/width) 40/80, 75/215 and 600/2800 HU.
    centre_width=((40.0, 80.0), (75.0, 215.0), (600.0, 2800.0)),
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)
"""Three reading windows for a network trained on natural RGB images."""

MEDSIGLIP = Windows(
    name="medsiglip",
    # R [-1024, 1024], G [-135, 215], B [0, 80] HU: the preprocessing published with MedGemma and MedSigLIP.
    centre_width=((0.0, 2048.0), (40.0, 350.0), (40.0, 80.0)),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    quantise=True,
)
"""The windows that MedGemma's vision tower and MedSigLIP were trained with."""


def to_images(
    hu: Num[Tensor, "b d h w"], windows: Windows, image_px: int
) -> Float[Tensor, "b d {len(windows.centre_width)} {image_px} {image_px}"]:
    """Slices as normalised images, one channel a window, on the device of ``hu``.

    Windows are applied before resizing, as an 8-bit viewer or the published preprocessing of MedSigLIP does it.

    Args:
        hu: (volumes, slices, rows, columns) in HU, of any numeric type.
        windows: the windows and normalisation.
        image_px: side of the square image; rows and columns are resized to it, bilinear, only where they differ.
    """
    scaled = torch.stack([_window(hu, centre, width) for centre, width in windows.centre_width], dim=2)
    if windows.quantise:
        scaled = (scaled * 255).round() / 255
    resized = _resize(scaled, image_px)
    mean = torch.tensor(windows.mean, device=hu.device)[:, None, None]
    std = torch.tensor(windows.std, device=hu.device)[:, None, None]
    return (resized - mean) / std


def _window(hu: Num[Tensor, "b d h w"], centre: float, width: float) -> Float[Tensor, "b d h w"]:
    return ((hu.float() - (centre - width / 2)) / width).clamp(0, 1)


def _resize(images: Float[Tensor, "b d c h w"], image_px: int) -> Float[Tensor, "b d c p p"]:
    *lead, rows, columns = images.shape
    if (rows, columns) == (image_px, image_px):
        return images
    # Without antialias a shrunken slice would keep one row in n and drop thin bleeds with the others.
    shrinks = rows > image_px or columns > image_px
    flat = images.flatten(0, 1)
    flat = functional.interpolate(flat, (image_px, image_px), mode="bilinear", align_corners=False, antialias=shrinks)
    return flat.reshape(*lead, image_px, image_px)

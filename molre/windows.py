"""HU to network input: CT windows as image channels, on whatever device the voxels are on.

Training, embedding and serving all call the same two functions, so that a network never sees a study prepared in two
ways: ``to_images`` for networks that read slices, ``to_volumes`` for those that read volumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor
from torch.nn import functional

from molre.errors import ConfigError
from molre.resampling import line_weights
from molre.volume import AIR_HU

Interpolation = Literal["bilinear", "bicubic"]

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
        whole_range: a last channel holds the volume scaled from its lowest to its highest voxel.
    """

    name: str
    centre_width: tuple[tuple[float, float], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quantise: bool = False
    whole_range: bool = False

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return len(self.centre_width) + self.whole_range

    def __post_init__(self) -> None:
        if not self.channels == len(self.mean) == len(self.std) or not self.centre_width:
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
    hu: Num[Tensor, "b d h w"], windows: Windows, image_px: int, interpolation: Interpolation = "bilinear"
) -> Float[Tensor, "b d {windows.channels} {image_px} {image_px}"]:
    """Slices as normalised images, one channel a window, on the device of ``hu``.

    Windows are applied before resizing, as an 8-bit viewer or the published preprocessing of MedSigLIP does it.

    Args:
        hu: (volumes, slices, rows, columns) in HU, of any numeric type.
        windows: the windows and normalisation.
        image_px: side of the square image; rows and columns are resized to it only where they differ.
        interpolation: of the resizing; averaged over what a pixel covers where slices shrink.
    """
    scaled = windowed(hu, windows, dim=2)
    if windows.quantise:
        scaled = (scaled * 255).round() / 255
    return _normalised(_resize(scaled, image_px, interpolation), windows, (1, 1))


def to_volumes(
    hu: Num[Tensor, "b d h w"],
    windows: Windows,
    spacing_mm: tuple[float, float, float],
    shape: tuple[int, int, int],
    wanted_mm: tuple[float, float, float],
    padding: float = float(AIR_HU),
) -> Float[Tensor, "b {windows.channels} {shape[0]} {shape[1]} {shape[2]}"]:
    """Volumes on another grid about the same centre, one channel a window, on the device of ``hu``.

    HU are resampled first and windowed then, as 3D pipelines such as MONAI's do it: linear where the wanted voxels
    are finer, averaged over a voxel where they are coarser, by the same weights as ingestion (``line_weights``).
    Beyond the field of ``hu`` lie air at the sides and ``padding`` above and below; both pass through the windows.

    Args:
        hu: (volumes, slices, rows, columns) in HU, of any numeric type.
        windows: the windows and normalisation.
        spacing_mm: of ``hu`` along (z, y, x).
        shape: voxels wanted along (z, y, x).
        wanted_mm: their spacing.
        padding: HU of slices above and below the field of ``hu``.
    """
    lines = [_line(*each) for each in zip(hu.shape[1:], spacing_mm, shape, wanted_mm, strict=True)]
    (z, in_z), (y, in_y), (x, in_x) = ((weights.to(hu.device), inside.to(hu.device)) for weights, inside in lines)
    # In 16-bit floats, which autocast would choose, HU of bone are off by several units.
    with torch.autocast(hu.device.type, enabled=False):
        in_plane = y @ (hu.float() @ x.T)
        moved = (z @ in_plane.flatten(2)).unflatten(2, shape[1:])
    moved.masked_fill_(~(in_y[:, None] & in_x), AIR_HU).masked_fill_(~in_z[:, None, None], padding)
    return _normalised(windowed(moved, windows, dim=1), windows, (1, 1, 1))


COVERED = 0.5
"""Share of a wanted voxel that must lie in the field for it to be tissue and not padding."""


@lru_cache(maxsize=32)  # the same three lines for every batch of a run
def _line(count: int, step_mm: float, wanted: int, wanted_mm: float) -> tuple[Float[Tensor, "m n"], Bool[Tensor, " m"]]:
    """Weights from one line of voxels to another about the same middle, and which of the latter lie in the field.

    Weights that are missing at the rim of the field belong to its outermost voxels, not to 0 HU.
    """
    source, target = (step * (np.arange(n) - (n - 1) / 2) for n, step in ((count, step_mm), (wanted, wanted_mm)))
    weights = line_weights(source, target, wanted_mm).toarray()
    total = weights.sum(1, keepdims=True)
    return torch.from_numpy(weights / np.maximum(total, COVERED)), torch.from_numpy(total[:, 0] > COVERED)


def windowed(hu: Num[Tensor, "b *g"], windows: Windows, dim: int) -> Float[Tensor, "..."]:
    """HU in [0, 1], one channel a window, along a new dimension.

    Args:
        hu: of any numeric type; volumes come first.
        windows: which.
        dim: where the channels go.
    """
    # Written channel by channel: eleven channels of a whole volume need not be held twice.
    scaled = torch.empty((*hu.shape[:dim], windows.channels, *hu.shape[dim:]), device=hu.device)
    for channel, (centre, width) in enumerate(windows.centre_width):
        scaled.select(dim, channel).copy_(_window(hu, centre, width))
    if windows.whole_range:
        scaled.select(dim, -1).copy_(_ranged(hu.float()))
    return scaled


def _window(hu: Num[Tensor, "*g"], centre: float, width: float) -> Float[Tensor, "*g"]:
    return ((hu.float() - (centre - width / 2)) / width).clamp(0, 1)


def _ranged(hu: Float[Tensor, "b *g"]) -> Float[Tensor, "b *g"]:
    """Each volume scaled from its lowest to its highest voxel."""
    low, high = (bound.view(-1, *(1,) * (hu.ndim - 1)) for bound in (hu.flatten(1).amin(1), hu.flatten(1).amax(1)))
    return (hu - low) / (high - low).clamp_min(1)


def _normalised(images: Float[Tensor, "..."], windows: Windows, ones: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Images less their mean over their deviation, in place."""
    mean, std = (torch.tensor(value, device=images.device).view(-1, *ones) for value in (windows.mean, windows.std))
    return images.sub_(mean).div_(std)


def _resize(
    images: Float[Tensor, "b d c h w"], image_px: int, interpolation: Interpolation
) -> Float[Tensor, "b d c p p"]:
    *lead, rows, columns = images.shape
    if (rows, columns) == (image_px, image_px):
        return images
    # Without antialias a shrunken slice would keep one row in n and drop thin bleeds with the others.
    shrinks = rows > image_px or columns > image_px
    flat = images.flatten(0, 1)
    flat = functional.interpolate(
        flat, (image_px, image_px), mode=interpolation, align_corners=False, antialias=shrinks
    )
    return flat.reshape(*lead, image_px, image_px)

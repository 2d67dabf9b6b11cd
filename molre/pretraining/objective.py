"""The objective: masked image modelling whose targets are HU bands, of each cell and of each zone of a slice.

As in SimMIM (Xie et al. 2022, arXiv 2111.09886) hidden patches are a mask token and a linear layer tells what they
held. Told is not every voxel, which would spend a small network on noise, but what MaskFeat (Wei et al. 2022, arXiv
2112.09133) found to do better: a histogram of each cell. And since what the platform reads is the mean of the patch
tokens, that mean has to tell how much of each band lies in each zone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn
from torch.nn import functional

from molre.backbones.dinov3 import PREFIX, DinoV3
from molre.backbones.inputs import SliceInput
from molre.pretraining.bands import BANDS, shares

CELL_PX = 4
"""Side of the cells whose bands are told: fine enough for a thin subdural, coarse enough for a linear layer."""

ZONES = 4
"""Zones along each side of the slice whose volumes the mean of the patches has to tell."""

ZONE_WEIGHT = 2.0
"""Weight of the zones' error beside the cells' two cross-entropies, which are near one."""

MOST_WEIGHT = 12.0
"""Largest weight of a band: metal is so rare that the root of its rarity would drown all others."""


SURVEYED_AT_ONCE = 64
"""Slices whose bands are held at the same time while their rarity is told."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What one batch costs.

    Attributes:
        hidden: weighted cross-entropy of the cells in hidden patches; 0 where none is hidden.
        seen: that of the cells in patches that the network sees.
        zones: weighted error of the zones' logarithmic volumes, told by the mean of all patches.
    """

    hidden: Float[Tensor, ""]
    seen: Float[Tensor, ""]
    zones: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """What is minimised. A hidden patch weighs more than a seen one, for there are fewer of them."""
        return self.hidden + self.seen + ZONE_WEIGHT * self.zones


class Objective(nn.Module):
    """The backbone, and what reads bands from its tokens while it learns; the latter is thrown away afterwards.

    Args:
        backbone: the student.
        weights: of the bands; rare ones count more.
    """

    weights: Float[Tensor, "bands"]

    def __init__(self, backbone: DinoV3, weights: Float[Tensor, "bands"]) -> None:
        super().__init__()
        assert isinstance(backbone.spec.input, SliceInput)
        self.backbone, self.input = backbone, backbone.spec.input
        self.cells = self.input.patch_px // CELL_PX
        self.of_patch = nn.Linear(backbone.spec.width, self.cells**2 * len(BANDS))
        self.of_mean = nn.Linear(backbone.spec.width, ZONES**2 * len(BANDS))
        self.register_buffer("weights", weights)

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.input.image_px // self.input.patch_px) ** 2

    def forward(self, hu: Float[Tensor, "n rows columns"], hidden: Bool[Tensor, "n patches"]) -> Losses:
        """The losses of square slices, some of whose patches are hidden from the network."""
        hu = resized(hu, self.input.image_px)
        tokens = self.tokens(hu, hidden)
        cells = functional.avg_pool2d(shares(hu), CELL_PX)
        dense = self._dense(tokens, cells)
        return Losses(hidden=_mean(dense, hidden), seen=_mean(dense, ~hidden), zones=self._zones(tokens.mean(1), cells))

    def tokens(
        self, hu: Float[Tensor, "n rows columns"], hidden: Bool[Tensor, "n patches"]
    ) -> Float[Tensor, "n patches width"]:
        """The patch tokens after the last norm."""
        images = self.input.of(hu, self.backbone.spec.windows)
        return self.backbone.vit(pixel_values=images, bool_masked_pos=hidden).last_hidden_state[:, PREFIX:]

    def _dense(
        self, tokens: Float[Tensor, "n patches width"], cells: Float[Tensor, "n bands rows columns"]
    ) -> Float[Tensor, "n patches"]:
        told = self.of_patch(tokens).unflatten(2, (self.cells**2, len(BANDS))).log_softmax(-1)
        # unfold lists each patch's cells row by row, and patches row by row, as the network lists its tokens
        wanted = functional.unfold(cells, self.cells, stride=self.cells).unflatten(1, (len(BANDS), -1))
        return -(told * wanted.permute(0, 3, 2, 1) * self.weights).sum(-1).mean(-1)

    def _zones(
        self, means: Float[Tensor, "n width"], cells: Float[Tensor, "n bands rows columns"]
    ) -> Float[Tensor, ""]:
        volumes = functional.adaptive_avg_pool2d(cells, ZONES) * (self.input.image_px / ZONES) ** 2
        told = self.of_mean(means).unflatten(1, (len(BANDS), ZONES, ZONES))
        error = functional.smooth_l1_loss(told, torch.log1p(volumes), reduction="none")
        return (error * self.weights[:, None, None].sqrt()).mean()


def _mean(losses: Float[Tensor, "n patches"], chosen: Bool[Tensor, "n patches"]) -> Float[Tensor, ""]:
    return (losses * chosen).sum() / chosen.sum().clamp_min(1)


def resized(hu: Float[Tensor, "n rows columns"], image_px: int) -> Float[Tensor, "n p p"]:
    """Slices at the network's size, so that input and targets are of the same voxels."""
    if hu.shape[1:] == (image_px, image_px):
        return hu
    size = (image_px, image_px)
    return functional.interpolate(hu[:, None], size, mode="bilinear", align_corners=False, antialias=True)[:, 0]


def masks(count: int, patches: int, most: float, generator: torch.Generator) -> Bool[Tensor, "n patches"]:
    """Which patches of each image are hidden: a share drawn evenly up to ``most``, and none in a quarter of the images.

    Adapters get features of whole images, so the network has to see some of these while it learns, too.
    """
    drawn = torch.rand(count, 1, generator=generator, device=generator.device)
    share = (drawn * (4 / 3) - 1 / 3).clamp_min(0) * most
    rank = torch.rand(count, patches, generator=generator, device=generator.device).argsort(1).argsort(1)
    return rank < (share * patches).round()


def band_weights(slices: Num[Tensor, "n rows columns"], image_px: int) -> Float[Tensor, "bands"]:
    """Weights by the root of rarity, so that a bleed counts beside the air around the head.

    Args:
        slices: in HU, of any numeric type.
        image_px: side at which the network sees them.
    """
    parts = [shares(resized(part.float(), image_px)).mean((2, 3)) for part in slices.split(SURVEYED_AT_ONCE)]
    held = torch.cat(parts).double().mean(0)
    return (1 / (held * len(BANDS)).clamp_min(MOST_WEIGHT**-2)).sqrt().float()

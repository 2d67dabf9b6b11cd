"""Small changes to volumes in live training, on the device: what a head would look like turned, scaled or noisier.

Labels are kept. A flip swaps left and right, and no finding of ``molre/findings.csv`` has a side; the day one gets a
side, a test fails here. Ranges were chosen to stay within what a scanner and a technician do: a head lies a little
askew, heads differ in size, HU drift by a few units between scanners (the usual tolerance of water is ±4 HU), and doses
differ in noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor
from torch.nn import functional

from molre.classifier import EMPTY_HU
from molre.volume import AIR_HU


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """How far a volume is changed at most; each is drawn evenly, once a volume.

    Attributes:
        flip: how often left and right are swapped.
        rotation_deg: in plane, either way.
        scale: larger or smaller, as a fraction.
        shift: along each axis of the plane, as a fraction of the field.
        offset_hu: added to everything that is not air, either way.
        noise_hu: standard deviation of the noise, from 0 on.
    """

    flip: float = 0.5
    rotation_deg: float = 8.0
    scale: float = 0.08
    shift: float = 0.05
    offset_hu: float = 3.0
    noise_hu: float = 4.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is done to each volume of a batch; the same in all its slices.

    Attributes:
        flipped: whether left and right are swapped.
        rotation_deg: of what is in the picture, clockwise on a screen.
        scale: by which it grows.
        shift: by which it then moves to the right and down, as a fraction of the field.
        offset_hu: added to everything that is not air.
        noise_hu: standard deviation of the noise.
    """

    flipped: Bool[Tensor, " b"]
    rotation_deg: Float[Tensor, " b"]
    scale: Float[Tensor, " b"]
    shift: Float[Tensor, "b 2"]
    offset_hu: Float[Tensor, " b"]
    noise_hu: Float[Tensor, " b"]

    @classmethod
    def drawn(cls, count: int, ranges: Ranges, generator: torch.Generator) -> Change:
        """A change of each of ``count`` volumes, on the generator's device."""
        even = torch.rand((count, 7), generator=generator, device=generator.device)
        either_way = 2 * even - 1
        return cls(
            flipped=even[:, 0] < ranges.flip,
            rotation_deg=either_way[:, 1] * ranges.rotation_deg,
            scale=1 + either_way[:, 2] * ranges.scale,
            shift=either_way[:, 3:5] * ranges.shift,
            offset_hu=either_way[:, 5] * ranges.offset_hu,
            noise_hu=even[:, 6] * ranges.noise_hu,
        )


def augmented(
    hu: Num[Tensor, "b d h w"],
    seed: int,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    ranges: Ranges | None = None,
) -> Num[Tensor, "b d h w"]:
    """Changed copies of volumes, the same for the same seed on the same kind of device.

    Args:
        hu: int16 or floats.
        seed: of everything that is drawn.
        pixel_mm: distance between rows and between columns.
        ranges: how far; without it the defaults.

    Returns:
        Whole HU of the same type. Air stays air: a slice without a voxel above ``EMPTY_HU`` has none afterwards.
    """
    generator = torch.Generator(hu.device).manual_seed(seed)
    change = Change.drawn(len(hu), ranges or Ranges(), generator)
    # In 16-bit floats, which autocast would choose, HU of bone are off by several units.
    with torch.autocast(hu.device.type, enabled=False):
        moved_hu = moved(hu.float(), change, pixel_mm)
        return _regrained(moved_hu, change, generator).to(hu.dtype)


def moved(hu: Float[Tensor, "b d h w"], change: Change, pixel_mm: tuple[float, float]) -> Float[Tensor, "b d h w"]:
    """Volumes flipped, turned, scaled and shifted in plane, in whole HU; beyond the field lies air."""
    grid = functional.affine_grid(_backward(change, hu.shape, pixel_mm), list(hu.shape), align_corners=False)
    # Sampling pads with zeros, hence HU above air. Rounding keeps sums of weights from lifting air by a millionth.
    above_air = functional.grid_sample(hu - AIR_HU, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return above_air.round_().add_(AIR_HU)


def _backward(change: Change, shape: torch.Size, pixel_mm: tuple[float, float]) -> Float[Tensor, "b 2 3"]:
    """For each place (x, y, 1) of the result, in halves of the field, the place of the source it is taken from."""
    height_mm, breadth_mm = shape[2] * pixel_mm[0], shape[3] * pixel_mm[1]
    angle = change.rotation_deg * (math.pi / 180)
    cosine, sine = torch.cos(angle) / change.scale, torch.sin(angle) / change.scale
    # Angles are those of the head, so that a field that is no square must not shear it.
    turn = torch.stack(
        [
            torch.stack([cosine, sine * (height_mm / breadth_mm)], -1),
            torch.stack([-sine * (breadth_mm / height_mm), cosine], -1),
        ],
        -2,
    )
    # A shift is a fraction of the field, which is 2 wide in these units.
    back = -(turn @ (2 * change.shift)[..., None])
    sides = torch.where(change.flipped, -1.0, 1.0)
    mirror = torch.stack([sides, torch.ones_like(sides)], -1)[..., None]
    return torch.cat([turn, back], -1) * mirror


def _regrained(hu: Float[Tensor, "b d h w"], change: Change, generator: torch.Generator) -> Float[Tensor, "b d h w"]:
    """Volumes with an offset and noise, in whole HU, wherever there is something."""
    noise = torch.randn(hu.shape, generator=generator, device=hu.device)
    noise.mul_(change.noise_hu.view(-1, 1, 1, 1)).add_(change.offset_hu.view(-1, 1, 1, 1))
    grained = noise.add_(hu).round_().clamp_(min=EMPTY_HU + 1, max=torch.iinfo(torch.int16).max)
    return torch.where(hu > EMPTY_HU, grained, hu)

"""What a slice is made of, read from its HU alone: shares of bands, the targets of pre-training."""

from __future__ import annotations

from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

CENTRES_HU = MappingProxyType({
    "air": -1000.0, "between_air_and_fat": -500.0, "fat": -95.0, "fluid": 6.0, "oedema": 18.0, "white": 27.0,
    "grey": 38.0, "flowing_blood": 50.0, "fresh_blood": 62.0, "clot": 78.0, "faint_calcification": 120.0,
    "spongy_bone": 300.0, "bone": 1000.0, "metal": 2500.0,
})  # fmt: skip
"""HU in the middle of each band at 120 kV.

White matter 20-34, grey matter 37-41, fluid 0-15, fresh blood 50-80 with the densest clot at the top of it (Osborn's
Brain, 2nd ed., 2018); fat, flowing blood, spongy and compact bone (Prokop and Galanski 2003, Spiral and Multislice CT
of the Body, ch. 5). Oedema and infarct lie between fluid and white matter. Metal is the first value that no bone has.
"""

SLOPE_HU = 60.0
"""A voxel with a neighbour this much below and another this much above lies on a border; no two soft tissues differ so
much, and noise of the demo's scanners is a tenth of it."""

BANDS = (*CENTRES_HU, "slope")
"""The bands, and last the borders: what a border voxel holds is a mixture, whose HU would be taken for a tissue's."""


def shares(hu: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n bands rows columns"]:
    """Each voxel's share in each band: two neighbouring bands share it by its distance from their middles.

    Shares are linear in HU between two middles, so that over a few voxels noise cancels out, as it would not in a
    histogram with edges.
    """
    centres = torch.tensor(list(CENTRES_HU.values()), device=hu.device)
    inside = hu.clamp(centres[0], centres[-1])
    below = (torch.bucketize(inside, centres, right=True) - 1).clamp(max=len(centres) - 2)
    part = (inside - centres[below]) / (centres[below + 1] - centres[below])
    slope = sloped(hu)
    whole = hu.new_zeros(len(hu), len(BANDS), *hu.shape[1:])
    whole.scatter_(1, below[:, None], ((1 - part) * ~slope)[:, None])
    whole.scatter_(1, below[:, None] + 1, (part * ~slope)[:, None])
    whole[:, -1] = slope
    return whole


def sloped(hu: Float[Tensor, "n rows columns"]) -> Tensor:
    """True where a voxel lies between two others, one much denser and one much less dense."""
    above = functional.max_pool2d(hu[:, None], 3, stride=1, padding=1)[:, 0] - hu
    below = hu + functional.max_pool2d(-hu[:, None], 3, stride=1, padding=1)[:, 0]
    return torch.minimum(above, below) > SLOPE_HU

"""Smooth noise inside a head, another in every head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from molre.phantom.shapes import Coordinates
from molre.phantom.template import NOISE_SIDE, NOISE_STEP_MM, NOISE_STEPS, template


@dataclass(frozen=True, kw_only=True, slots=True)
class Texture:
    """How a head is laid into the one periodic noise: moved, turned about and mirrored, so that no two are alike.

    Attributes:
        shift: samples along each axis of the noise.
        order: which axis of the head runs along each axis of the noise.
        signs: 1 or -1 for each axis of the head.
    """

    shift: tuple[float, float, float]
    order: tuple[int, int, int]
    signs: tuple[int, int, int]

    def at(self, points: Coordinates) -> Float32[np.ndarray, "*points"]:
        """Noise of unit deviation at points in mm, interpolated to first order."""
        index = np.zeros(points[0].shape, np.int32)
        offsets = []
        for axis, shift in zip((2, 1, 0), self.shift, strict=True):
            head = self.order[axis]
            along = points[head] * np.float32(self.signs[head] / NOISE_STEP_MM) + np.float32(shift + 0.5 + NOISE_SIDE)
            sample = along.astype(np.int32)
            along -= sample + np.float32(0.5)
            offsets.append(along)
            sample &= NOISE_SIDE - 1
            index *= NOISE_SIDE
            index += sample
        rows = template().noise.take(index).view(np.int8).reshape(*index.shape, 4)
        value = np.zeros(index.shape, np.float32)
        for axis, offset in zip((2, 1, 0), offsets, strict=True):
            value += rows[..., 1 + axis] * offset
        value *= np.float32(0.5)
        value += rows[..., 0]
        return value * np.float32(1 / NOISE_STEPS)


def draw_texture(rng: np.random.Generator) -> Texture:
    """A random way of laying a head into the noise."""
    order = [int(axis) for axis in rng.permutation(3)]
    signs = [int(sign) for sign in rng.choice((-1, 1), 3)]
    shift = [float(one) for one in rng.uniform(0, NOISE_SIDE, 3)]
    return Texture(
        shift=(shift[0], shift[1], shift[2]), order=(order[0], order[1], order[2]), signs=(signs[0], signs[1], signs[2])
    )

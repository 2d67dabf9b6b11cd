"""The folds of one person's cortex: those that all brains share, bent, and between them those of nobody else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from molre.phantom.shapes import Coordinates, smooth_noise
from molre.phantom.standard.cortex import FOLD_LOW_MM, FOLD_SHAPE, FOLD_STEP_MM
from molre.phantom.template import template

Grids = Float32[np.ndarray, "hemispheres z y x"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Folds:
    """Fields on a coarse grid of each hemisphere, left and right, to be read on the brain's surface.

    Attributes:
        distance_mm: signed distance to the nearest fold.
        depth_mm: how deep the folds are cut.
    """

    distance_mm: Grids
    depth_mm: Grids

    def at(self, surface: Coordinates) -> tuple[Float32[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
        """Distance to the nearest fold and depth of the folds at points of the surface, both in mm."""
        flat = (surface[0] < 0) * np.int32(np.prod(FOLD_SHAPE))
        share = []
        strides = (FOLD_SHAPE[1] * FOLD_SHAPE[2], FOLD_SHAPE[2], 1)
        for axis, stride in zip((2, 1, 0), strides, strict=True):
            along = np.abs(surface[axis]) if axis == 0 else surface[axis]
            along = (along - np.float32(FOLD_LOW_MM[axis])) * np.float32(1 / FOLD_STEP_MM)
            along = np.clip(along, 0, np.float32(FOLD_SHAPE[2 - axis] - 1.001))
            sample = along.astype(np.int32)
            share.append(along - sample)
            flat = flat + sample * np.int32(stride)
        return _trilinear(self.distance_mm, flat, share), _trilinear(self.depth_mm, flat, share)


def _trilinear(grid: Grids, flat: np.ndarray, share: list[np.ndarray]) -> Float32[np.ndarray, "n"]:
    """A grid at ``share`` of the way from the sample ``flat`` to the next along (z, y, x)."""
    held, planes = grid.reshape(-1), []
    for plane in (0, FOLD_SHAPE[1] * FOLD_SHAPE[2]):
        rows = []
        for row in (plane, plane + FOLD_SHAPE[2]):
            value = held.take(flat + np.int32(row))
            value += (held.take(flat + np.int32(row + 1)) - value) * share[2]
            rows.append(value)
        rows[0] += (rows[1] - rows[0]) * share[1]
        planes.append(rows[0])
    planes[0] += (planes[1] - planes[0]) * share[0]
    return planes[0]


def _waves(rng: np.random.Generator, spacing_mm: float) -> Grids:
    """Noise of nearly one wavelength, twice the spacing of its zeros: k^4 exp(-k^2 s^2 / 2) peaks at k = 2 / s."""
    sigma = 2 * spacing_mm / np.pi / FOLD_STEP_MM
    both = rng.standard_normal((2, *FOLD_SHAPE), np.float32)
    noise = ndimage.gaussian_filter(both, sigma, mode="wrap", truncate=3, axes=(1, 2, 3))
    for _ in range(2):
        noise = sum(np.roll(noise, way, axis) for axis in (1, 2, 3) for way in (-1, 1)) - 6 * noise
    return noise / np.float32(noise.std())


def _slope(field: Grids) -> Grids:
    """Steepness of a field per mm along a surface, which on average holds two thirds of the squared slope in space."""
    along = np.gradient(field, np.float32(FOLD_STEP_MM), axis=(1, 2, 3))
    return np.sqrt(sum(g * g for g in along) * np.float32(2 / 3))


def draw_folds(rng: np.random.Generator) -> Folds:
    """A person's folds: narrow-band noise drawn to zero along the named folds, so that those lie where they should.

    Gyri are some 11 mm wide, folds 5 to 28 mm deep (Ono, Kubik and Abernathey 1990, Atlas of the Cerebral Sulci).
    Where the noise is flat near zero, two folds are about to meet; there the gyri stay joined, or a pit would open.
    """
    shared, weight, named_mm = template().sulci
    field = _waves(rng, float(rng.uniform(9.5, 11.5))) * (1 - np.float32(0.8) * weight)
    field += shared * weight * np.float32(2.0)
    slope = _slope(field)
    distance = np.clip(field / (slope + np.float32(0.05)), -7, 7)
    coarse = smooth_noise(rng, (2, *(n // 2 + 1 for n in FOLD_SHAPE)), 1.7)
    depth = coarse.repeat(2, 1).repeat(2, 2).repeat(2, 3)[:, : FOLD_SHAPE[0], : FOLD_SHAPE[1], : FOLD_SHAPE[2]]
    depth = ndimage.uniform_filter(depth, (0, 3, 3, 3)) * np.float32(7) + np.float32(19.5)
    depth += (named_mm + np.float32(6) - depth) * weight * np.float32(0.75)
    depth *= np.clip(slope * np.float32(9) - np.float32(0.35), 0, 1)
    return Folds(distance_mm=distance.astype(np.float32), depth_mm=np.clip(depth, 0, 28).astype(np.float32))

"""One person: what differs between heads, and what a lesion does to the tissue around it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from molre.phantom.motion import Layer, Push, Sheet, Slide
from molre.phantom.shapes import Point, smooth_noise
from molre.phantom.stroke import Infarct
from molre.phantom.swelling import Swelling
from molre.phantom.template import AZIMUTH, POLAR, template
from molre.phantom.tissue import CSF, GREY

LEFT, RIGHT = 0, 1
"""Positions of the hemispheres in per-side settings."""


@dataclass(kw_only=True, slots=True)
class Body:
    """A head before it is scanned; lesions change it before its tissue is laid out.

    Attributes:
        age_years: 18 to 92; drives atrophy and calcification.
        atrophy: 0 none to 1 severe; borderline values are not drawn, so that the label is sure.
        cerebellar_atrophy: the same for the cerebellum.
        scale: size of the head relative to the standard one along (x, y, z).
        skull_mm: mean thickness of the vault.
        grey_hu: grey matter; ``white_hu`` and ``csf_hu`` alike.
        ventricle_mm: outward shift of the ventricles' walls on each side.
        sulcus_mm: half-width of the furrows on each side.
        gap_mm: fluid between brain and skull.
        cistern_mm: outward shift of the walls of cisterns and of the Sylvian fissure.
        contrast: factor on the difference between grey and white matter.
        shift_mm: displacement of the septum pellucidum, positive to the patient's left.
        claims: findings about displaced tissue that the drawn lesions bring about.
        pushes: swelling balls.
        slides: tissue moved along a vector.
        layers: what lies between vault and brain.
        sheets: what lies beside the falx.
        folds_mm: distance to the nearest furrow by hemisphere and direction.
        fold_depth_mm: depth of the furrows by hemisphere and direction.
        bone: relative change of skull thickness by hemisphere and direction.
        sex: F or M; heads of men are larger.
        waves: of the gentle bending by which the head's shape and its two halves differ from the standard head's.
        phases: of the waves.
        amplitudes_mm: of the waves along (x, y, z).
        impact: direction from the middle of the head to where a blow would meet it; the findings of one trauma lie
            about it and opposite to it.
        swellings: soft tissue lifted off the skull.
        stroke_seed: of the vessel that strokes of this person occlude.
        infarct: of hours to weeks, once a lesion has chosen it.
    """

    age_years: float
    atrophy: float
    cerebellar_atrophy: float
    scale: tuple[float, float, float]
    skull_mm: float
    grey_hu: float
    white_hu: float
    csf_hu: float
    ventricle_mm: list[float]
    sulcus_mm: list[float]
    gap_mm: float
    cistern_mm: float
    contrast: float = 1.0
    pineal_calcified: bool = False
    choroid_calcified: bool = False
    third_mm: float = 0.0
    fourth_mm: float = 0.8
    shift_mm: float = 0.0
    claims: set[str] = field(default_factory=set)
    pushes: list[Push] = field(default_factory=list)
    slides: list[Slide] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    folds_mm: Float32[np.ndarray, "both"]
    fold_depth_mm: Float32[np.ndarray, "both"]
    bone: Float32[np.ndarray, "both"]
    sex: str = "F"
    waves: Float64[np.ndarray, "waves 3"]
    phases: Float64[np.ndarray, "waves"]
    amplitudes_mm: Float64[np.ndarray, "waves 3"]
    impact: Point = (0.0, -1.0, 0.0)
    swellings: list[Swelling] = field(default_factory=list)
    stroke_seed: int = 0
    infarct: Infarct | None = None

    def push(self, centre: Point, radius_mm: float, share: float) -> float:
        """Let a ball swell at ``centre`` (head coordinates, mm); ``share`` 0-0.8 of its volume displaces tissue.

        A negative share draws tissue towards the centre, as a scar does.

        Returns:
            The ball's radius in tissue coordinates, in which lesions are painted.
        """
        self.pushes.append(Push(centre=centre, radius_mm=radius_mm, share=share))
        return radius_mm * (1 - share) ** (1 / 3)

    def slide(self, centre: Point, vector_mm: Point, radius_mm: float) -> None:
        """Move the tissue about ``centre`` along a vector; the motion fades with distance and at the skull."""
        self.slides.append(Slide(centre=centre, vector_mm=vector_mm, radius_mm=radius_mm))

    def press(self, layer: Layer | Sheet) -> None:
        """Let the brain recede from the vault, or from the falx, to make room for a collection."""
        if isinstance(layer, Layer):
            self.layers.append(layer)
        else:
            self.sheets.append(layer)

    def shift(self, mm: float, from_side: int) -> None:
        """Displace the midline away from a side; the largest displacement of several lesions stays."""
        signed = -mm if from_side == LEFT else mm
        if abs(signed) > abs(self.shift_mm):
            self.shift_mm = signed

    def efface(self, side: int, amount: float) -> None:
        """Narrow the furrows and the ventricle of a side; ``amount`` 1 closes the furrows."""
        self.sulcus_mm[side] -= amount * (self.sulcus_mm[side] + 0.6)
        self.ventricle_mm[side] -= amount * 2.2

    def age_brain(self, atrophy: float) -> None:
        """Set the general atrophy: wider furrows, ventricles and cisterns (de Leon et al. 1987, AJNR 8:297)."""
        self.atrophy = atrophy
        for side in (LEFT, RIGHT):
            self.sulcus_mm[side] += 1.15 * atrophy
            self.ventricle_mm[side] += 3.2 * atrophy
        self.third_mm += 1.6 * atrophy
        self.gap_mm += 2.2 * atrophy
        self.cistern_mm += 1.4 * atrophy


def _furrows(rng: np.random.Generator, wave: float) -> Float32[np.ndarray, "both"]:
    """Distance in mm, 70 mm from the middle, to the zero set of a noise on the sphere of directions: the furrows."""
    noise = smooth_noise(rng, (64, 64, 64), wave)
    slope = np.sqrt(sum(g * g for g in np.gradient(noise)))
    # The signed distance is interpolated: its absolute value would not reach zero between the noise's samples.
    distance = np.clip(noise / (slope + np.float32(0.12 / wave)), -8, 8)
    return np.abs(_by_direction(distance, 31.5)) * np.float32(70 / 30.5)


def _by_direction(noise: Float32[np.ndarray, "a b c"], middle: float = 19.5) -> Float32[np.ndarray, "both"]:
    x, y, z = template().directions * np.float32(middle - 1)
    sides = [ndimage.map_coordinates(noise, [middle + z, middle + y, middle + sx], order=1) for sx in (x, -x)]
    return np.concatenate(sides).astype(np.float32)


def _impact(rng: np.random.Generator) -> Point:
    """A random direction of a blow: any side of the head, most often about the hat brim and somewhat above it."""
    azimuth = float(rng.uniform(-np.pi, np.pi))
    height = float(np.clip(rng.normal(0.32, 0.28), -0.2, 0.95))
    return float(np.cos(azimuth) * np.cos(height)), float(np.sin(azimuth) * np.cos(height)), float(np.sin(height))


def draw_body(rng: np.random.Generator, age_years: float) -> Body:
    """A random person of an age, without findings."""
    age = age_years
    sex = "F" if rng.random() < 0.5 else "M"
    ripe = float(np.clip((age - 45) / 45, 0, 1))
    size = float(rng.normal(0.94 if sex == "F" else 0.97, 0.022))
    scale = (size * rng.normal(1, 0.022), size * rng.normal(1, 0.02), size * rng.normal(0.99, 0.02))
    body = Body(
        age_years=age,
        sex=sex,
        waves=rng.normal(0, 1, (5, 3)) / 45,
        phases=rng.uniform(0, 2 * np.pi, 5),
        amplitudes_mm=rng.normal(0, 0.8, (5, 3)) * (0.7, 1.0, 0.8),
        atrophy=0.0,
        cerebellar_atrophy=0.0,
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        skull_mm=float(np.clip(rng.normal(6.3, 0.9), 4.5, 8.5)),
        grey_hu=float(rng.normal(GREY, 0.8)),
        white_hu=0.0,
        csf_hu=float(np.clip(rng.normal(CSF, 1.2), 4, 12)),
        ventricle_mm=[0.7, 0.7],
        sulcus_mm=[0.95, 0.95],
        gap_mm=0.5,
        cistern_mm=0.0,
        pineal_calcified=bool(rng.random() < 0.25 + 0.45 * ripe),
        choroid_calcified=bool(rng.random() < 0.2 + 0.5 * ripe),
        folds_mm=_furrows(rng, float(rng.uniform(1.15, 1.4))),
        fold_depth_mm=np.float32(16) + 5 * _by_direction(smooth_noise(rng, (40, 40, 40), 3.0)),
        bone=0.14 * _by_direction(smooth_noise(rng, (40, 40, 40), 5.0)),
    )
    body.white_hu = body.grey_hu - float(rng.uniform(10.5, 13))
    body.age_brain(float(np.clip(0.05 + 0.35 * ripe + rng.normal(0, 0.06), 0, 0.42)))
    asymmetry = float(rng.normal(0, 0.35))
    body.ventricle_mm = [body.ventricle_mm[0] + asymmetry, body.ventricle_mm[1] - asymmetry]
    body.impact = _impact(rng)
    body.stroke_seed = int(rng.integers(2**31))
    return body


NORMAL_FOLDS = POLAR * AZIMUTH
"""Directions of one hemisphere; the right hemisphere's follow the left's."""

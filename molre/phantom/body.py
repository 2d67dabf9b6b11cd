"""One person: what differs between heads, and what a lesion does to the tissue around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from molre.phantom.cranium import Cranium, draw_cranium
from molre.phantom.folds import Folds, draw_folds
from molre.phantom.motion import Layer, Push, Sheet, Slide
from molre.phantom.operation import Operation, draw_operation
from molre.phantom.shapes import Point, smooth_noise
from molre.phantom.standard.skull import MEAN_MM, thickness_mm
from molre.phantom.stroke import Infarct
from molre.phantom.swelling import Swelling
from molre.phantom.template import directions
from molre.phantom.texture import Texture, draw_texture
from molre.phantom.tissue import BLOOD_HU_BY_HAEMATOCRIT, CONTRAST_HU, CSF, GREY

LEFT, RIGHT = 0, 1
"""Positions of the hemispheres in per-side settings."""
SIZE = {"F": (0.935, 0.02), "M": (0.972, 0.02)}
"""Mean and deviation of a head's size relative to the standard one: brains of men are about a tenth larger by volume
(Ruigrok et al. 2014, Neurosci Biobehav Rev 39:34)."""
TORQUE_WAVES = ((1 / 40, 0.0, 0.0), (0.0, 1 / 60, 0.0))
"""Waves by which the two halves of the head are skewed, and the midline bent."""


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
        cavum_mm: half-width of a cavum septi pellucidi, 0 in most.
        blood_hu: blood in sinuses and arteries.
        shift_mm: displacement of the septum pellucidum, positive to the patient's left.
        claims: findings about displaced tissue that the drawn lesions bring about.
        pushes: swelling balls.
        slides: tissue moved along a vector.
        layers: what lies between vault and brain.
        sheets: what lies beside the falx.
        folds: where the furrows run and how deep they are.
        texture: the noise that makes outlines irregular.
        bone: relative change of skull thickness by hemisphere and direction.
        cranium: sutures, sinuses, scalp.
        sex: F or M; heads of men are larger.
        waves: of the gentle bending by which the head's shape and its two halves differ from the standard head's.
        phases: of the waves.
        amplitudes_mm: of the waves along (x, y, z).
        impact: direction from the middle of the head to where a blow would meet it; the findings of one trauma lie
            about it and opposite to it.
        swellings: soft tissue lifted off the skull.
        stroke_seed: of the vessel that strokes of this person occlude.
        infarct: of hours to weeks, once a lesion has chosen it.
        operation: opening of the vault that all findings of an operation share.
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
    falx_calcified: bool = False
    third_mm: float = 0.0
    fourth_mm: float = 0.0
    cavum_mm: float = 0.0
    blood_hu: float = 48.0
    shift_mm: float = 0.0
    claims: set[str] = field(default_factory=set)
    pushes: list[Push] = field(default_factory=list)
    slides: list[Slide] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    folds: Folds
    texture: Texture
    bone: Float32[np.ndarray, "both"]
    cranium: Cranium
    sex: str = "F"
    waves: Float64[np.ndarray, "waves 3"]
    phases: Float64[np.ndarray, "waves"]
    amplitudes_mm: Float64[np.ndarray, "waves 3"]
    impact: Point = (0.0, -1.0, 0.0)
    swellings: list[Swelling] = field(default_factory=list)
    stroke_seed: int = 0
    infarct: Infarct | None = None
    operation: Operation = field(default_factory=lambda: draw_operation(np.random.default_rng(0)))

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

    def herniate(self, side: int, mm: float) -> None:
        """Slide the uncus of a side over the tentorium's edge, against the midbrain (Osborn's Brain, 2nd ed., 2018)."""
        sign = -1 if side == RIGHT else 1
        self.slide((sign * 17.0, -6.0, -18.0), (-sign * mm, 0.5 * mm, -0.2 * mm), 9.5)
        self.slide((sign * 4.0, 4.0, -16.0), (-sign * 0.35 * mm, 0.0, 0.0), 10.0)
        self.cistern_mm -= 0.12 * mm
        self.ventricle_mm[1 - side] += 0.15 * mm
        self.claims |= {"transtentorial_herniation", "sulcal_or_cisternal_effacement", "mass_effect"}

    def efface(self, side: int, amount: float) -> None:
        """Narrow the furrows and the ventricle of a side; ``amount`` 1 closes the furrows."""
        self.sulcus_mm[side] -= amount * (self.sulcus_mm[side] + 0.6)
        self.ventricle_mm[side] -= amount * 2.2

    def age_brain(self, atrophy: float) -> None:
        """Set the general atrophy: wider furrows, ventricles and cisterns (de Leon et al. 1987, AJNR 8:297)."""
        self.atrophy = atrophy
        for side in (LEFT, RIGHT):
            self.sulcus_mm[side] += 1.55 * atrophy
            self.ventricle_mm[side] += 5.0 * atrophy
        self.third_mm += 1.6 * atrophy
        self.gap_mm += 2.2 * atrophy
        self.cistern_mm += 1.4 * atrophy


def _by_direction(noise: Float32[np.ndarray, "a b c"], middle: float = 19.5) -> Float32[np.ndarray, "both"]:
    x, y, z = directions() * np.float32(middle - 1)
    sides = [ndimage.map_coordinates(noise, [middle + z, middle + y, middle + sx], order=1) for sx in (x, -x)]
    return np.concatenate(sides).astype(np.float32)


def _impact(rng: np.random.Generator) -> Point:
    """A random direction of a blow: any side of the head, most often about the hat brim and somewhat above it."""
    azimuth = float(rng.uniform(-np.pi, np.pi))
    height = float(np.clip(rng.normal(0.32, 0.28), -0.2, 0.95))
    return float(np.cos(azimuth) * np.cos(height)), float(np.sin(azimuth) * np.cos(height)), float(np.sin(height))


def _thickness(noise: Float32[np.ndarray, "both"]) -> Float32[np.ndarray, "both"]:
    """Relative thickness of the skull by direction: that of the standard skull, with a person's own share of change."""
    return _standard_thickness() * (1 + noise) - 1


@cache
def _standard_thickness() -> Float32[np.ndarray, "both"]:
    return np.tile(thickness_mm(directions()) / np.float32(MEAN_MM), 2)


def draw_body(rng: np.random.Generator, age_years: float) -> Body:
    """A random person of an age, without findings."""
    age = age_years
    sex = "F" if rng.random() < 0.5 else "M"
    ripe = float(np.clip((age - 35) / 55, 0, 1)) ** 1.4
    size = float(rng.normal(*SIZE[sex]))
    # Broad heads are short: the cephalic index, 78 +- 4 (Bushby et al. 1992, J Med Genet 29:484), varies by the ratio.
    broad = float(rng.normal(0, 0.028))
    scale = (size * (1 + broad), size * (1 - 0.8 * broad), size * rng.normal(0.99, 0.02))
    body = Body(
        age_years=age,
        sex=sex,
        waves=np.vstack([rng.normal(0, 1, (5, 3)) / 45, TORQUE_WAVES]),
        phases=np.concatenate([rng.uniform(0, 2 * np.pi, 5), [0, 0]]),
        amplitudes_mm=np.vstack([rng.normal(0, 0.8, (5, 3)) * (0.7, 1.0, 0.8), _torque_mm(rng)]),
        atrophy=0.0,
        cerebellar_atrophy=0.0,
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        skull_mm=float(np.clip(rng.normal(6.3, 0.9), 4.5, 8.5)),
        grey_hu=float(rng.normal(GREY, 0.8)),
        white_hu=0.0,
        csf_hu=float(np.clip(rng.normal(CSF, 1.2), 4, 12)),
        ventricle_mm=[0.4, 0.4],
        sulcus_mm=[0.72, 0.72],
        gap_mm=0.35,
        cistern_mm=0.0,
        pineal_calcified=bool(rng.random() < 0.25 + 0.45 * ripe),
        choroid_calcified=bool(rng.random() < 0.2 + 0.5 * ripe),
        folds=draw_folds(rng),
        texture=draw_texture(rng),
        bone=_thickness(np.float32(0.12) * _by_direction(smooth_noise(rng, (40, 40, 40), 5.0))),
        cranium=draw_cranium(rng, age),
    )
    body.white_hu = body.grey_hu - float(rng.uniform(*CONTRAST_HU))
    body.age_brain(float(np.clip(0.03 + 0.35 * ripe + rng.normal(0, 0.06), 0, 0.42)))
    _vary_fluid(rng, body)
    body.impact = _impact(rng.spawn(1)[0])
    body.stroke_seed = int(rng.integers(2**31))
    body.operation = draw_operation(rng)
    return body


def _torque_mm(rng: np.random.Generator) -> Float64[np.ndarray, "2 3"]:
    """Petalia: the left occipital pole reaches farther back, the right frontal one farther forwards, in most people.

    Source: Toga and Thompson 2003, Nat Rev Neurosci 4:37.
    """
    return np.array([[0, -rng.normal(0.9, 0.9), 0], [rng.normal(0, 0.6), 0, 0]])


def _vary_fluid(rng: np.random.Generator, body: Body) -> None:
    """What differs between healthy people of an age: ventricles, their asymmetry, cavum septi, blood."""
    size, asymmetry = float(rng.normal(0, 0.45)), float(rng.normal(0, 0.4))
    body.ventricle_mm = [body.ventricle_mm[LEFT] + size + asymmetry, body.ventricle_mm[RIGHT] + size - asymmetry]
    body.third_mm += 0.4 * size
    body.sulcus_mm = [float(each * rng.normal(1, 0.07)) for each in body.sulcus_mm]
    # A calcified falx and a cavum septi pellucidi are chance findings (Osborn's Brain, 2nd ed., 2018).
    body.falx_calcified = bool(rng.random() < 0.03 + 0.002 * max(body.age_years - 40, 0))
    if rng.random() < 0.06:
        body.cavum_mm = float(rng.uniform(0.8, 2.2))
    first, second = BLOOD_HU_BY_HAEMATOCRIT
    haematocrit = float(np.clip(rng.normal(41 if body.sex == "F" else 45, 3.5), 30, 54))
    body.blood_hu = first + second * haematocrit

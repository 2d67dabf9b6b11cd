"""Which brain each artery feeds, as distances in the standard head.

Boundaries after Damasio 1983, Arch Neurol 40:138, Tatu et al. 1998, Neurology 50:1699 and Tatu et al. 1996, Neurology
47:1125; they vary between people (van der Zwan et al. 1992, J Neurosurg 77:927), which ``Infarct`` adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from molre.phantom.shapes import Coordinates, Field, Number, Point, ellipsoid

TENTORIUM_MM = -16.0
"""Height, in the standard head, about which forebrain gives way to cerebellum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Territory:
    """A part of the brain that one artery feeds.

    Attributes:
        key: as in the places of the table.
        inside: depth in mm inside the territory at points of one side (x positive), negative outside.
        stem: point of the artery from which the branches fan out: infarcts are wedges with their tip there.
        low: corner of the box from which an infarct's middle is drawn, x positive.
        high: the opposite corner.
        artery: the occluded artery, a key of ``course.ARTERIES``.
        widest_mm: extent of an infarct of the whole territory.
        region: ``forebrain``, ``cerebellum`` or ``brainstem``.
        wedge: whether infarcts are wedges; others are round.
    """

    key: str
    inside: Callable[[Coordinates], Field]
    stem: Point
    low: Point
    high: Point
    artery: str
    widest_mm: Number
    region: str = "forebrain"
    wedge: bool = True


def anterior(at: Coordinates) -> Field:
    """Depth in the territory of the anterior cerebral artery: a band along the falx as far as the cuneus."""
    x, y, z = at
    reach = np.hypot(np.minimum(y, 40) * np.float32(0.85), np.maximum(z, 0))
    above = np.hypot((y - 2) / np.float32(1.35), z + 4) - 25
    front = np.where(y < -20, np.float32(40), above)
    cuneus = (z - 10 - np.float32(0.68) * (y - 26)) * np.float32(0.8)
    behind = np.where(y < 26, np.float32(40), cuneus)
    band = (4 + np.float32(0.34) * reach - x) * np.float32(0.95)
    return np.minimum(np.minimum(band, front), behind).astype(np.float32)


def posterior(at: Coordinates) -> Field:
    """Depth in the territory of the posterior cerebral artery: occipital lobe and the lower inner temporal lobe."""
    x, y, z = at
    slope = np.where(y > 30, np.float32(0.6), np.float32(0.35))
    plane = slope * (y - 30) - np.float32(0.55) * (x - 28) - np.float32(0.55) * (z - 2)
    return np.minimum(np.minimum(plane, -anterior(at)), y + 6).astype(np.float32)


def deep(at: Coordinates) -> Field:
    """Depth in the bed of the lenticulostriate arteries: lentiform nucleus, capsule, body of the caudate nucleus."""
    x, y, z = at
    lean = x - np.float32(0.12) * np.maximum(z, 0)
    bed = ellipsoid((lean, y, z), (22, -15, 8), (10.5, 21, 19))
    return np.minimum(bed, x - 10 - np.float32(0.3) * np.maximum(y + 8, 0)).astype(np.float32)


def middle(at: Coordinates) -> Field:
    """Depth in the whole territory of the middle cerebral artery, its deep branches included."""
    x, y, _ = at
    inward = x - 22 - np.float32(0.25) * np.abs(y + 10)
    cortical = np.minimum(np.minimum(-anterior(at), -posterior(at)), inward)
    return np.maximum(cortical, deep(at)).astype(np.float32)


def _cortical(at: Coordinates) -> Field:
    x, y, _ = at
    inward = x - 29 - np.float32(0.15) * np.abs(y + 10)
    return np.minimum(np.minimum(middle(at), -deep(at)), inward).astype(np.float32)


def _above_fissure(at: Coordinates) -> Field:
    """Height above the Sylvian fissure, whose end turns up towards the angular gyrus."""
    _, y, z = at
    return (z + 2 - np.float32(0.3) * (y + 14) - np.float32(1.2) * np.maximum(y - 18, 0)) * np.float32(0.9)


def superior(at: Coordinates) -> Field:
    """Depth in the field of the middle cerebral artery's superior division: frontal and anterior parietal convexity."""
    return np.minimum(_cortical(at), _above_fissure(at) + 3).astype(np.float32)


def inferior(at: Coordinates) -> Field:
    """Depth in the field of the inferior division: lateral temporal and posterior parietal cortex."""
    return np.minimum(_cortical(at), 3 - _above_fissure(at)).astype(np.float32)


def _border_front(at: Coordinates) -> Field:
    """Half-width of the strip between the anterior and the middle cerebral artery."""
    return np.minimum(7 - np.abs(anterior(at)), 20 - at[1]).astype(np.float32)


def _border_back(at: Coordinates) -> Field:
    """The corner in which all three territories meet."""
    return (9 - np.abs(np.maximum(anterior(at), posterior(at)))).astype(np.float32)


def _border_deep(at: Coordinates) -> Field:
    """Islands in a row through the corona radiata and the centrum semiovale."""
    x, y, z = at
    islands = 2.5 * np.cos(y * np.float32(2 * np.pi / 17))
    row = np.hypot(x - 25 - np.float32(0.002) * y * y, (z - 30) * np.float32(0.6))
    return np.minimum(5.5 + islands - row, 34 - np.abs(y)).astype(np.float32)


def _thalamus(at: Coordinates) -> Field:
    x, y, z = at
    return ellipsoid((x - np.float32(0.3) * (y - 2), y, z), (10.5, 2, 6), (8, 13, 8))


def _upper_cerebellum(at: Coordinates) -> Field:
    x, y, z = at
    return np.minimum(x - 1, z + 33 + np.float32(0.15) * (y - 45)).astype(np.float32)


def _lower_cerebellum(at: Coordinates) -> Field:
    x, y, z = at
    return np.minimum.reduce([x - 1, -36 - z, y - 30]).astype(np.float32)


def _front_cerebellum(at: Coordinates) -> Field:
    x, y, z = at
    return ellipsoid((x, y - np.float32(0.25) * (x - 30), z), (30, 30, -42), (15, 13, 11))


def _pons(at: Coordinates) -> Field:
    x, y, z = at
    return np.minimum.reduce([x - 0.3, 9.5 - x, 13 - y, 13 - np.abs(z + 34)]).astype(np.float32)


TERRITORIES: Mapping[str, Territory] = {
    one.key: one
    for one in (
        Territory(key="mca_complete", inside=middle, stem=(24, -10, 4), low=(52, -30, 0), high=(58, 16, 22),
                  artery="m1", widest_mm=130),
        Territory(key="mca_superior", inside=superior, stem=(30, -10, 8), low=(44, -46, 12), high=(54, 12, 40),
                  artery="m2", widest_mm=90),
        Territory(key="mca_inferior", inside=inferior, stem=(32, 0, 4), low=(50, -12, -18), high=(58, 44, 14),
                  artery="m2", widest_mm=85),
        Territory(key="mca_deep", inside=deep, stem=(22, -14, 6), low=(20, -20, 2), high=(24, -6, 14),
                  artery="m1", widest_mm=45, wedge=False),
        Territory(key="aca", inside=anterior, stem=(2, -18, 18), low=(4, -64, 16), high=(14, 20, 60),
                  artery="a2", widest_mm=90),
        Territory(key="pca", inside=posterior, stem=(20, 18, -4), low=(10, 58, -6), high=(26, 74, 12),
                  artery="p1", widest_mm=80),
        Territory(key="thalamus", inside=_thalamus, stem=(10, 2, 6), low=(8, -4, 4), high=(13, 6, 8),
                  artery="p1", widest_mm=24, wedge=False),
        Territory(key="watershed_anterior", inside=_border_front, stem=(16, -14, 18), low=(22, -56, 24),
                  high=(32, -10, 54), artery="ica", widest_mm=60),
        Territory(key="watershed_posterior", inside=_border_back, stem=(24, 24, 16), low=(26, 48, 26),
                  high=(36, 58, 38), artery="ica", widest_mm=55),
        Territory(key="watershed_deep", inside=_border_deep, stem=(26, 0, 30), low=(26, -14, 30), high=(26, 14, 32),
                  artery="ica", widest_mm=70, wedge=False),
        Territory(key="sca", inside=_upper_cerebellum, stem=(10, 30, -26), low=(16, 44, -26), high=(28, 60, -20),
                  artery="basilar", widest_mm=55, region="cerebellum", wedge=False),
        Territory(key="aica", inside=_front_cerebellum, stem=(24, 24, -40), low=(28, 28, -44), high=(34, 36, -40),
                  artery="basilar", widest_mm=30, region="cerebellum", wedge=False),
        Territory(key="pica", inside=_lower_cerebellum, stem=(10, 40, -46), low=(12, 48, -52), high=(26, 60, -42),
                  artery="vertebral", widest_mm=60, region="cerebellum", wedge=False),
        Territory(key="pons", inside=_pons, stem=(4, 4, -34), low=(3, 0, -38), high=(5, 8, -28),
                  artery="basilar", widest_mm=22, region="brainstem", wedge=False),
    )
}  # fmt: skip
"""The territories by name."""

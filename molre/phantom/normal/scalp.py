"""Normal soft tissue outside the skull: skin, fat with its septa, galea, muscles, glands."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from molre.phantom.head import Head
from molre.phantom.shapes import ramp
from molre.phantom.standard.structures import S
from molre.phantom.tissue import FAT, MUSCLE, SKIN, T

Values = Float32[np.ndarray, "m"]
GLAND_HU = 18.0
"""The parotid is part fat, more with age (Som and Curtin 2011, Head and Neck Imaging, ch. 40)."""
GALEA_HU = 30.0
SKIN_MM = 2.3


def fill_scalp(head: Head, index: np.ndarray, outer: Values) -> None:
    """Lay out fat, galea and skin over the vault and everywhere else, given the depth below the outer table."""
    noise, skin = head.noise[index], head.skin[index]
    strand = np.maximum(np.float32(0.22) - np.abs(noise), 0) * (np.float32(150) * (skin < 14))
    hu = np.float32(FAT - 6) + strand + 4 * noise
    tissue = np.full(len(index), T["fat"])
    galea = np.flatnonzero((outer < -0.3) & (outer > -5) & (head.z[index] > -34))
    above = -outer[galea] - np.float32(1.1) - np.float32(0.35) * noise[galea]
    sheet = ramp(np.float32(0.75) - np.abs(above), 0.9) * np.float32(0.75)
    hu[galea] += (np.float32(GALEA_HU) - hu[galea]) * sheet
    rind = np.flatnonzero(skin < SKIN_MM + 0.6)
    share = ramp(np.float32(SKIN_MM) - skin[rind], 1.0)
    hu[rind] += (np.float32(SKIN + 22) - hu[rind]) * share
    tissue[rind[share > 0.5]] = T["skin"]
    head.hu[index], head.tissue[index] = hu, tissue


def fill_flesh(head: Head, index: np.ndarray, flesh: Values) -> None:
    """Lay out muscles with strands of fat, vessels and glands."""
    part = np.flatnonzero(flesh > -0.6)
    index, share = index[part], ramp(flesh[part], 1.0)
    noise = head.noise[index]
    gland = head.structure[index] == S["gland"]
    hu = np.where(gland, np.float32(GLAND_HU) + 16 * noise, np.float32(MUSCLE + 2) + 5 * noise)
    hu = np.where(~gland & (noise > 1.5), np.float32(10), hu)
    head.hu[index] += (hu - head.hu[index]) * share
    head.tissue[index[share > 0.5]] = T["muscle"]


def slim(head: Head, index: np.ndarray) -> None:
    """Draw the skin in to this person's thickness of the scalp."""
    body = head.body
    spare = max(0.0, 14.5 - 1.25 * body.skull_mm - 3.2)
    away = np.float32(0.85 * spare * body.cranium.slim)
    vault = np.clip((head.z[index] + 40) * np.float32(1 / 25), 0, 1)
    head.skin[index] -= vault * (away + (np.float32(0.3) + np.float32(0.06) * away) * head.noise[index])

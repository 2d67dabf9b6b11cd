"""Which series a scanner sends of a study, besides the axial one that is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molre.phantom.config import CohortConfig
from molre.phantom.protocol import Protocol

OFTEN = {"localizer": 0.85, "bone": 0.55, "thin": 0.25, "dose": 0.35, "stray": 0.15}
"""How often a hospital's studies hold each, as far as the scanner makes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesSent:
    """What is sent with the soft axial series; the study's findings have no part in it.

    Attributes:
        localizer: scout views.
        bone: the same slices with a bone kernel.
        thin: thin slices of the same turn with a bone kernel.
        dose: a dose report as a picture.
        stray: a file that is no DICOM, as exports from archives hold.
    """

    localizer: bool
    bone: bool
    thin: bool
    dose: bool
    stray: bool


def draw_series(config: CohortConfig, protocol: Protocol, number: int) -> SeriesSent:
    """What is sent of a study, by its number."""
    rng = np.random.default_rng([config.seed, number, 21])
    sent = {kind: bool(rng.random() < chance * config.further_series) for kind, chance in OFTEN.items()}
    sent["thin"] &= protocol.scanner.thin and protocol.thickness_mm >= 3
    return SeriesSent(**sent)

"""From logits to probabilities that mean what they say: a scale and a shift a finding, as a bundle carries them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Num
from scipy.special import expit

from molre.errors import ConfigError
from molre.findings import KEYS

Fit = Literal["own", "shared"]
"""Whether a curve was fitted to the finding alone, or to all findings with too few cases together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Platt's sigmoid of one finding: ``probability = 1 / (1 + exp(-(scale x logit + shift)))``.

    Attributes:
        scale: above 0, so that the order of the scans stays and with it the AUC; below 1 makes predictions less sure.
        shift: added to the scaled logit; below 0 makes the finding rarer.
        fit: what the two were fitted to.
    """

    scale: float
    shift: float
    fit: Fit

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0 and math.isfinite(self.shift)):
            raise ConfigError(f"calibration with scale {self.scale} and shift {self.shift}: finite, and scale above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How logits become probabilities. Without any curve it is the plain sigmoid.

    Attributes:
        curves: by finding key; a finding that has none keeps the plain sigmoid.
    """

    curves: Mapping[str, Curve] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.curves:
            if key not in KEYS:
                raise ConfigError(f"calibration of {key!r}, which is no finding: the keys are in molre/findings.csv")

    def probabilities(self, logits: Num[np.ndarray, "rows findings"]) -> Float32[np.ndarray, "rows findings"]:
        """Probability of each finding from the classifier's logits."""
        scale, shift = np.ones(len(KEYS)), np.zeros(len(KEYS))
        for at, key in enumerate(KEYS):
            if key in self.curves:
                scale[at], shift[at] = self.curves[key].scale, self.curves[key].shift
        return expit(logits.astype(np.float64) * scale + shift).astype(np.float32)

    def counts(self) -> dict[str, int]:
        """Findings by what their curve was fitted to; ``none`` has no curve."""
        fits = [curve.fit for curve in self.curves.values()]
        return {fit: fits.count(fit) for fit in get_args(Fit)} | {"none": len(KEYS) - len(fits)}

    def to_json(self) -> dict[str, Any]:
        """The form in which a bundle holds it."""
        return {
            key: {"scale": curve.scale, "shift": curve.shift, "fit": curve.fit} for key, curve in self.curves.items()
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Mapping[str, Any]]) -> Calibration:
        """What :meth:`to_json` wrote.

        Raises:
            ConfigError: a key is no finding, or a scale or shift breaks the order.
        """
        return cls(curves={key: Curve(**curve) for key, curve in said.items()})

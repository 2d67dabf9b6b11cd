"""Fit a scale and a shift a finding, on the validation split.

The loss makes raw probabilities wrong on purpose: class weights by prevalence make rare findings look common, and the
focal term draws sure predictions back to the middle. Two parameters a finding undo both (Platt, Advances in Large
Margin Classifiers, 1999): the shift the one, the scale the other. They keep the order of the scans, so no AUC changes.
Isotonic regression would bend further, but overfits below about 1,000 cases (Niculescu-Mizil & Caruana, ICML 2005) and
makes ties, and hardly any of 75 findings has as many.

The rule, chosen by this project: a finding with ``LEAST`` known positives and as many negatives has a curve of its own;
the other findings that have a known label share one, fitted to all of them together, if together they have as many;
else they keep the plain sigmoid. A finding that nobody labelled always does.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int8, Num
from scipy.optimize import minimize
from scipy.special import expit

from molre.calibration import Calibration, Curve, Fit
from molre.findings import KEYS

LEAST = 20
"""Positives, and negatives, for two parameters: ten each (Peduzzi et al., J Clin Epidemiol 1996;49:1373-1379)."""

_SCALES = (0.05, 20.0)
"""Bounds of the scale: a finding that the model ranks backwards keeps its order, nearly flat at its prevalence."""


def fit(labels: Int8[np.ndarray, "rows findings"], logits: Num[np.ndarray, "rows findings"]) -> Calibration:
    """The calibration of a classifier by the rule above.

    Args:
        labels: of the validation split; never of the test split, whose figures they would flatter. -1 takes no part.
        logits: what the classifier said of the same rows.
    """
    fewer = np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0))
    own = np.flatnonzero(fewer >= LEAST)
    few = np.flatnonzero((fewer < LEAST) & (labels >= 0).any(axis=0))
    curves = {KEYS[at]: _curve(labels[:, at], logits[:, at], "own") for at in own}
    together = labels[:, few]
    if min((together == 1).sum(), (together == 0).sum()) >= LEAST:
        curves |= dict.fromkeys((KEYS[at] for at in few), _curve(together.ravel(), logits[:, few].ravel(), "shared"))
    return Calibration(curves=curves)


def _curve(labels: Int8[np.ndarray, "rows"], logits: Num[np.ndarray, "rows"], how: Fit) -> Curve:
    known = labels >= 0
    scale, shift = platt(labels[known], logits[known].astype(np.float64))
    return Curve(scale=scale, shift=shift, fit=how)


def platt(labels: Int8[np.ndarray, "rows"], logits: Float64[np.ndarray, "rows"]) -> tuple[float, float]:
    """Scale and shift with the least log loss against Platt's targets.

    The targets are (P + 1) / (P + 2) and 1 / (N + 2) instead of 1 and 0 (Platt 1999, section 2.2), so that a perfect
    separation does not ask for an endless scale.

    Args:
        labels: 1 or 0, with at least one of each.
        logits: of the same rows.
    """
    positives = int((labels == 1).sum())
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))

    def loss(parameters: Float64[np.ndarray, "2"]) -> tuple[float, Float64[np.ndarray, "2"]]:
        value = parameters[0] * logits + parameters[1]
        gap = expit(value) - targets
        return float(np.mean(np.logaddexp(0, value) - targets * value)), np.array([np.mean(gap * logits), gap.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[_SCALES, (None, None)])
    return float(found.x[0]), float(found.x[1])

"""Where tissue was before masses, collections and swelling pushed it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from molre.phantom.body import Body
from molre.phantom.lookup import lookup
from molre.phantom.template import DISTANCES

SEPTUM_MM = (0.0, -24.0, 10.0)
"""The septum pellucidum between the foramina of Monro, where midline shift is measured (Bullock et al. 2006)."""


def _smoothstep(t: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def displace(head: Float64[np.ndarray, "3 *shape"], body: Body) -> Float64[np.ndarray, "3 *shape"]:
    """The tissue that lies at each point once masses have pushed it: where it was in the undisturbed head.

    A swelling ball moves tissue as a source of incompressible flow does, r'^3 = r^3 - share R^3; the midline moves
    most at the septum and not at the skull, as in subfalcine herniation (Fisher 1995, Neurology 45:83).
    """
    if not body.pushes and body.shift_mm == 0:
        return head
    depth = lookup(head)["skull"] / DISTANCES["skull"][1] - DISTANCES["skull"][0]
    free = _smoothstep((depth + 1) / 16.0)
    source = head.copy()
    for push in body.pushes:
        offset = head - np.reshape(push.centre, (3, *[1] * (head.ndim - 1)))
        r3 = np.sum(offset**2, 0) ** 1.5 + 1e-3
        shrink = (1 - np.minimum(push.share * push.radius_mm**3 / r3, push.share)) ** (1 / 3) - 1
        source += offset * shrink * free
    if body.shift_mm:
        source[0] -= body.shift_mm * shift_share(head) * _smoothstep((depth + 2) / 24.0)
    return source


def shift_share(head: Float64[np.ndarray, "3 *shape"]) -> Float64[np.ndarray, "*shape"]:
    """Share of the midline shift at each point: one at the septum, falling to the base, the vertex and the poles."""
    x, y, z = head
    return np.exp(-((x / 62) ** 2) - ((y + 24) / 72) ** 2 - ((z - 10) / 42) ** 2)

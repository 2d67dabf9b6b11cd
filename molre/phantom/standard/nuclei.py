"""The standard deep grey matter. Places are those of the MNI152 standard brain (Mazziotta et al. 2001)."""

from __future__ import annotations

import numpy as np

from molre.phantom.shapes import Coordinates, Field, capsule, ellipsoid, join, tube


def caudate(at: Coordinates) -> Field:
    """Head, body and the beginning of the tail of the caudate nucleus."""
    x, y, z = at
    head = ellipsoid((x + np.float32(0.18) * (y + 30), y, z), (12.0, -30, 6), (4.8, 9.5, 9.0))
    body = tube(at, ((13.5, -24, 13, 4.4), (16.5, -10, 20, 3.0), (18.5, 6, 22, 2.2), (23, 18, 19, 1.5)))
    return join(head, body)


def putamen(at: Coordinates) -> Field:
    """The lens's outer part: long, curved along the external capsule."""
    x, y, z = at
    bow = x - np.float32(0.17) * (y + 19) + np.float32(0.012) * (y + 16) ** 2 + np.float32(0.10) * (z - 1)
    return ellipsoid((bow, y, z), (26.0, -17, 1), (4.6, 17.5, 11))


def pallidum(at: Coordinates) -> Field:
    """The lens's inner part."""
    x, y, z = at
    return ellipsoid((x - np.float32(0.28) * (y + 13), y, z), (20.0, -13, -1), (3.6, 8.5, 6.5))


def thalamus(at: Coordinates) -> Field:
    """The thalamus with the pulvinar, which lies farther from the middle."""
    x, y, z = at
    return ellipsoid((x - np.float32(0.32) * (y - 2), y, z), (10.0, 2, 7), (8.0, 14.5, 9))


def hippocampus(at: Coordinates) -> Field:
    """Hippocampus and amygdala, beneath the temporal horn."""
    long = tube(at, ((23, -10, -20, 6.0), (25, -2, -19, 5.4), (28.5, 8, -13, 4.0), (25, 21, -4, 3.0)))
    return join(long, ellipsoid(at, (22, -12, -19), (7, 7, 7)))


def claustrum(at: Coordinates) -> Field:
    """The sheet between putamen and insula, scarcely thicker than a millimetre."""
    x, y, z = at
    bow = x + np.float32(0.011) * (y + 14) ** 2 + np.float32(0.02) * (z - 4) ** 2
    return ellipsoid((bow, y, z), (33.2, -15, 1), (0.7, 17, 11))


def subthalamic(at: Coordinates) -> Field:
    """Red nucleus, substantia nigra and subthalamic nucleus, which show faintly if at all."""
    return join(ellipsoid(at, (5, 4, -9), (3, 3.5, 4)), capsule(at, (9, -2, -9), (12, -3, -6), 2.0))


def nuclei(at: Coordinates) -> Field:
    """Distance into any of the deep grey matter."""
    return join(caudate(at), putamen(at), pallidum(at), thalamus(at), claustrum(at), hippocampus(at) - np.float32(0.5))

"""The floor of the skull's cavity: heights of the anterior, middle and posterior fossae of the left half."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator

ANTERIOR = (
    (0, -95, -25), (0, -86, -29), (0, -76, -31), (0, -62, -30.5), (0, -54, -27.5), (0, -40, -27), (0, -31, -28.5),
    (5, -86, -28), (5, -76, -31), (5, -62, -30.5), (5, -54, -27.5), (5, -40, -27), (6, -31, -28),
    (9, -88, -26), (9, -76, -28.5), (9, -62, -28.5), (10, -50, -26), (11, -40, -25.5), (12, -31, -24.5),
    (11, -25, -25), (17, -88, -21), (18, -76, -22), (18, -62, -22), (19, -50, -22.5), (19, -41, -22.5),
    (29, -86, -18.5), (29, -74, -18), (29, -62, -18.5), (31, -52, -20), (30, -47, -20.5),
    (42, -82, -20), (42, -70, -19.5), (42, -58, -19), (43, -49, -18.5),
    (52, -70, -18), (52, -58, -16.5), (53, -47, -15), (62, -52, -11), (62, -43, -9), (75, -52, -6),
)  # fmt: skip
"""(x, y, z) in mm: olfactory groove, planum, roofs of the orbits with their impressions, lesser wings."""
MIDDLE = (
    (19, -36, -33), (22, -35, -38), (32, -41.5, -40), (42, -42.5, -40), (53, -40, -36), (62, -36, -30), (76, -36, -28),
    (24, -29, -45), (30, -34, -46), (40, -34, -48), (50, -30, -47), (60, -24, -42), (76, -20, -38),
    (24, -20, -45), (34, -20, -50.5), (44, -20, -51.5), (54, -14, -49.5), (62, -8, -45), (76, 2, -38),
    (22, -8, -42), (34, -6, -48.5), (44, -4, -49.5), (54, 0, -47), (64, 8, -42),
    (18, -2, -38.5), (26, 4, -40.5), (36, 8, -41), (46, 12, -40.5), (56, 16, -41),
)  # fmt: skip
"""Greater wing, floor of the temporal fossa, front of the petrous pyramid."""
SELLA = (
    (0, -29, -29), (0, -25, -35), (0, -18, -38.5), (0, -12.5, -36.5), (0, -9.5, -29.5), (0, -7.5, -29.5),
    (6, -29, -29), (6, -25, -35), (6, -18, -38.5), (6, -12.5, -36.5), (6.5, -9.5, -28), (6.5, -7.5, -28),
    (10, -20, -37.5), (11, -13, -38), (11, -7, -38), (15, -20, -40), (16, -12, -40),
)  # fmt: skip
"""Tuberculum, pituitary fossa, dorsum with its clinoids, groove of the carotid."""
RIDGE = ((11, -2, -38), (15, 3, -35.5), (20, 7.5, -34.5), (30, 13.5, -33), (40, 19, -31.5), (50, 25, -31.5),
         (58, 31, -32), (66, 37, -31), (78, 44, -28))  # fmt: skip
"""Crest of the petrous pyramid."""
POSTERIOR = (
    (0, -4.5, -38), (0, -2.5, -43), (0, 0.5, -49), (0, 5, -55), (0, 10, -61), (0, 15, -66),
    (8, -4, -40), (9, -0.5, -47), (10, 5, -54), (11, 11, -60), (13, 18, -64), (12, 3, -45), (15, 8, -50),
    (20, 13.5, -49), (30, 19.5, -49), (40, 25.5, -48), (50, 31.5, -46), (58, 37, -43), (66, 43, -38),
    (22, 20, -57), (30, 26, -57), (42, 33, -53), (15, 31, -66), (11, 43, -66), (0, 47, -66),
    (25, 36, -62.5), (22, 48, -62.5), (10, 57, -62), (0, 58, -62), (35, 44, -58.5), (32, 57, -57), (16, 67, -57.5),
    (0, 68, -58), (45, 38, -52), (45, 54, -47), (30, 69, -48), (14, 77, -50), (0, 78, -50), (55, 47, -40),
    (47, 66, -38), (30, 81, -38), (0, 88, -40), (0, 110, -30), (40, 95, -30), (75, 70, -25), (98, 40, -20),
    (98, -60, -5), (60, -95, -15), (98, -125, -10), (0, -125, -20), (98, 115, -20), (0, 115, -25),
)  # fmt: skip
"""Clivus, back of the petrous pyramid, jugular region, rim of the foramen magnum, cerebellar fossae."""


def base_height(x_mm: Float32[np.ndarray, "x"], y_mm: Float32[np.ndarray, "y"]) -> Float32[np.ndarray, "y x"]:
    """Height of the floor at each (x >= 0, y), in mm.

    The points were placed by hand on an average of head CTs in standard space (Rorden et al. 2012, NeuroImage 61:957)
    after the bony landmarks of the skull base (Som and Curtin 2011, Head and Neck Imaging, ch. 11).
    """
    points = np.array((*ANTERIOR, *MIDDLE, *SELLA, *RIDGE, *POSTERIOR), float)
    mirrored = points[(points[:, 0] > 0) & (points[:, 0] < 20)] * (-1, 1, 1)
    both = np.concatenate([points, mirrored])
    reach = np.arange(-6, 1) * float(x_mm[1] - x_mm[0])
    x = np.concatenate([reach[:-1], x_mm])
    grid = np.meshgrid(y_mm, x, indexing="ij")
    height = LinearNDInterpolator(both[:, :2], both[:, 2])(grid[1], grid[0])
    height = np.where(np.isnan(height), -20.0, height)
    return ndimage.gaussian_filter(height, 1.3)[:, len(reach) - 1 :].astype(np.float32)

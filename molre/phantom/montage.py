"""A sheet of phantom findings that a radiologist can read out at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from molre.findings import FINDINGS, index
from molre.phantom.study import PhantomStudy
from molre.phantom.table import WINDOWS, entries


def montage(studies: Sequence[tuple[str, PhantomStudy]], path: Path | str, columns: int = 6) -> Path:
    """Draw, for each (finding, study), the slice that shows most of the finding, plain and with its outline.

    Args:
        studies: the finding to show and a study that has it.
        path: picture to write.
        columns: findings a row.

    Returns:
        The file.
    """
    rows = -(-len(studies) // columns)
    figure = Figure(figsize=(columns * 3.6, rows * 2.45), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns * 2, squeeze=False).reshape(-1, 2)
    for axis in axes.flat:
        axis.set_axis_off()
    for (key, study), (plain, outlined) in zip(studies, axes, strict=False):
        _draw(plain, outlined, key, study)
    figure.subplots_adjust(0.005, 0.02, 0.995, 0.995, wspace=0.02, hspace=0.14)
    path = Path(path)
    figure.savefig(path, dpi=100, facecolor="black")
    return path


def _draw(plain: Axes, outlined: Axes, key: str, study: PhantomStudy) -> None:
    mask = study.masks[key]
    number = _telling_slice(study, key)
    rows, columns = (np.flatnonzero((study.tissue > 0).any(axis)) for axis in ((0, 2), (0, 1)))
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    window = entries()[key].window
    centre, width = WINDOWS[window]
    for axis in (plain, outlined):
        axis.imshow(
            study.hu[number][crop],
            cmap="gray",
            vmin=centre - width / 2,
            vmax=centre + width / 2,
            interpolation="bicubic",
            aspect="equal",
        )
    outlined.contour(mask[number][crop], [0.5], colors="#ffb000", linewidths=0.8)
    title = f"{FINDINGS[index(key)].name}\n{window} {centre:.0f}/{width:.0f} HU, {study.age_years:.0f} y"
    plain.text(0.02, -0.01, title, color="white", fontsize=8, va="top", transform=plain.transAxes)


def _telling_slice(study: PhantomStudy, key: str) -> int:
    """The slice that shows most of the finding, away from the vertex where everything is cut flat."""
    area = study.masks[key].sum((1, 2)).astype(float)
    brain = np.isin(study.tissue, (6, 7)).sum((1, 2))
    telling = area * (brain > 0.45 * brain.max())
    return int(np.argmax(telling if telling.max() > 0.25 * area.max() else area))

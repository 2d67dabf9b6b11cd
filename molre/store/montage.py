"""Some volumes of a store on one sheet, so that a person sees what a network will see."""

from __future__ import annotations

import io
import textwrap
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from molre.findings import FINDINGS
from molre.store.inspection import SYNTHETIC
from molre.store.reader import Store

WINDOW_HU = (40.0, 80.0)
"""Centre and width of the brain window, as read on a workstation."""
SLICES = 6
"""Slices of each volume."""
_TISSUE_HU = -300
"""Above air and below fat: what has none anywhere is cut off."""
_HEIGHTS = (0.12, 0.8)
"""Lowest and highest slice shown, as a fraction of the tissue's height: below is the neck, above little but bone."""
_TILE_IN = (1.45, 1.75)
"""Width and height of a slice on the sheet; a head is longer than wide."""
_LINE_IN = _TILE_IN[1] + 0.5
_TITLE_IN = 0.35
_STRIPS = 2
_PSEUDONYM_DIGITS = 6
_CAPTION_CHARACTERS = 118
_CAPTION_LINES = 3
_INK, _FAINT = "white", "#b0b0b0"


def montage(store: Store, volumes: int, seed: int) -> bytes:
    """A PNG with rows of the store drawn at random, a strip of slices each, from feet to head.

    Slices are seen from the feet, as radiologists do: the patient's left is on the right, the nose is up.

    Args:
        store: whose parts are whole.
        volumes: most rows that are shown.
        seed: of the choice.

    Raises:
        StoreError: a part is not readable.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(store.rows)[:volumes])
    facts = store.table(["study", "split"]).take(rows).to_pylist()
    lines = -(-len(rows) // _STRIPS)
    figure = Figure(figsize=(_TILE_IN[0] * SLICES * _STRIPS, lines * _LINE_IN + _TITLE_IN), facecolor="black")
    FigureCanvasAgg(figure)
    above = 1 - 0.08 / figure.get_figheight()
    figure.text(0.004, above, _title(store, len(rows)), color=_INK, fontsize=10, va="top")
    for place, (row, fact) in enumerate(zip(rows, facts, strict=True)):
        _draw(_tiles(figure, place), store, int(row), fact)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100, facecolor="black")
    return drawn.getvalue()


def _tiles(figure: Figure, place: int) -> list[Axes]:
    """Where the slices of a row go; rows fill a line of the sheet before the next."""
    line, strip = divmod(place, _STRIPS)
    width, height = _TILE_IN[0] / figure.get_figwidth(), _TILE_IN[1] / figure.get_figheight()
    bottom = 1 - (_TITLE_IN + line * _LINE_IN) / figure.get_figheight() - height
    return [figure.add_axes(((strip * SLICES + at) * width, bottom, 0.97 * width, height)) for at in range(SLICES)]


def _title(store: Store, count: int) -> str:
    centre, width = WINDOW_HU
    kind = "synthetic, " if store.manifest.source == SYNTHETIC else ""
    return (
        f"{kind}{count} of {store.rows:,} series, grid {store.grid.name}, window {centre:.0f}/{width:.0f} HU, "
        "slices from feet to head, patient's left on the right"
    )


def _draw(axes: list[Axes], store: Store, row: int, fact: dict[str, Any]) -> None:
    hu = store.volumes([row])[0]
    tissue = hu > _TISSUE_HU
    centre, width = WINDOW_HU
    middle, half = _frame(tissue, store.grid.spacing_mm)
    for axis, number in zip(axes, _shown(tissue), strict=True):
        axis.imshow(
            hu[number],
            cmap="gray",
            vmin=centre - width / 2,
            vmax=centre + width / 2,
            interpolation="bicubic",
            aspect=store.grid.spacing_mm[1] / store.grid.spacing_mm[2],
        )
        axis.set_xlim(middle[1] - half[1], middle[1] + half[1])
        axis.set_ylim(middle[0] + half[0], middle[0] - half[0])
        axis.set_axis_off()
    for x, side in ((0.02, "R"), (0.92, "L")):
        axes[0].text(x, 0.85, side, color=_FAINT, fontsize=8, transform=axes[0].transAxes)
    caption = "\n".join(
        textwrap.wrap(_caption(store, row, fact), _CAPTION_CHARACTERS, max_lines=_CAPTION_LINES, placeholder=" ...")
    )
    axes[0].text(0.02, -0.01, caption, color=_INK, fontsize=8, va="top", transform=axes[0].transAxes)


def _frame(
    tissue: Bool[np.ndarray, "z y x"], spacing_mm: tuple[float, float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Middle and half size, in (y, x) pixels, of the smallest frame of a tile's shape with all tissue in it."""
    (top, bottom), (left, right) = _ends(tissue, (0, 2)), _ends(tissue, (0, 1))
    high_mm = max((bottom - top + 1) * spacing_mm[1], (right - left + 1) * spacing_mm[2] * _TILE_IN[1] / _TILE_IN[0])
    half = high_mm / 2 / spacing_mm[1], high_mm * _TILE_IN[0] / _TILE_IN[1] / 2 / spacing_mm[2]
    return ((top + bottom) / 2, (left + right) / 2), half


def _shown(tissue: Bool[np.ndarray, "z y x"]) -> Int[np.ndarray, " slices"]:
    """Slices spread evenly over the height that holds tissue."""
    first, last = _ends(tissue, (1, 2))
    return np.rint(first + (last - first) * np.linspace(*_HEIGHTS, SLICES)).astype(int)


def _ends(tissue: Bool[np.ndarray, "z y x"], across: tuple[int, int]) -> tuple[int, int]:
    """First and last place along the third axis that holds tissue, or the whole axis where none does."""
    filled = np.atleast_1d(tissue.any(axis=across))
    places = np.flatnonzero(filled)
    return (int(places[0]), int(places[-1])) if len(places) else (0, len(filled) - 1)


def _caption(store: Store, row: int, fact: dict[str, Any]) -> str:
    labels = store.labels()[row]
    present = [finding.name for finding, label in zip(FINDINGS, labels, strict=True) if label == 1]
    said = ", ".join(present) if present else "no finding" if (labels >= 0).any() else "no label"
    return f"{fact['study'][:_PSEUDONYM_DIGITS]}  {fact['split']}  {said}"

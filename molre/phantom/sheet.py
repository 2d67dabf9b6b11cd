"""Sheets of examples for a reader's eye: each finding in its window, beside the same head without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from molre.findings import FINDINGS, index
from molre.phantom.config import CohortConfig
from molre.phantom.study import PhantomStudy, make_study
from molre.phantom.table import WINDOWS, entries

SEVERITY = 0.8
"""Clear, yet not the largest that is drawn."""
FIELD_MM, CLOSE_MM = 210.0, 110.0
"""Side of a tile: the head, or the surroundings of what is small."""
SMALL_MM = 42.0
"""Extent below which a finding is shown close up."""
TILE_PX, CAPTION_PX = 230, 20
NOTE = "Synthetic: drawn by molre, no patient. Left with the finding, right the same head without it."


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """Two tiles.

    Attributes:
        key: the finding.
        ill: the slice that shows most of it, as grey values.
        normal: the same slice of the same head without it.
        arrow: row and column on the tile of the finding's middle.
        caption: name, window and age.
    """

    key: str
    ill: UInt8[np.ndarray, "rows columns"]
    normal: UInt8[np.ndarray, "rows columns"]
    arrow: tuple[float, float]
    caption: str


def example(key: str, config: CohortConfig) -> Example:
    """Draw one finding and its counterpart, and cut out the tiles."""
    number = entries()[key].example
    ill = make_study(config, number, force=(key,), severity=SEVERITY)
    healthy = make_study(config, number, force=(), age_years=ill.age_years)
    place = telling_slice(ill, key)
    rows, columns = np.nonzero(_largest(ill.masks[key][place]))
    pixel_mm = ill.geometry.pixel_mm
    extent_mm = max(np.ptp(rows), np.ptp(columns)) * pixel_mm
    # The middle of a crescent lies outside of it: the nearest of its voxels does not.
    nearest = np.argmin(np.hypot(rows - rows.mean(), columns - columns.mean()))
    middle = float(rows[nearest]), float(columns[nearest])
    close = extent_mm < SMALL_MM
    box = _box(middle if close else _head_middle(ill), (CLOSE_MM if close else FIELD_MM) / pixel_mm)
    window = entries()[key].window
    scale = TILE_PX / (box[2] - box[0])
    centre, width = WINDOWS[window]
    name = FINDINGS[index(key)].name
    return Example(
        key=key,
        ill=_tile(ill, place, box, window),
        normal=_tile(healthy, place, box, window),
        arrow=((middle[0] - box[1]) * scale, (middle[1] - box[0]) * scale),
        caption=f"{name} · {window} {centre:.0f}/{width:.0f} · {ill.age_years:.0f} y",
    )


def draw_sheet(examples: Sequence[Example], path: Path | str, pairs: int = 3) -> Path:
    """Write a picture of pairs of tiles, the finding left and the same head without it right.

    Args:
        examples: what to show, in order.
        path: picture to write; its ending says in what format.
        pairs: of tiles in a row.

    Returns:
        The file.
    """
    rows = -(-len(examples) // pairs)
    high, wide = TILE_PX + CAPTION_PX, 2 * TILE_PX + 12
    sheet = Image.new("L", (pairs * wide, rows * high + CAPTION_PX), 0)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    pen.text((4, rows * high + 2), NOTE, fill=150, font=font)
    for place, shown in enumerate(examples):
        left, top = place % pairs * wide, place // pairs * high
        sheet.paste(Image.fromarray(shown.ill), (left, top))
        sheet.paste(Image.fromarray(shown.normal), (left + TILE_PX, top))
        _point(pen, left + shown.arrow[1], top + shown.arrow[0])
        pen.text((left + 4, top + TILE_PX + 2), shown.caption, fill=235, font=font)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=88) if path.suffix == ".jpg" else sheet.save(path)
    return path


def telling_slice(study: PhantomStudy, key: str) -> int:
    """The slice that shows most of a finding, away from the vertex where everything is cut flat."""
    area = study.masks[key].sum((1, 2)).astype(float)
    brain = np.isin(study.tissue, (6, 7)).sum((1, 2))
    telling = area * (brain > 0.35 * brain.max())
    return int(np.argmax(telling if telling.max() > 0.4 * area.max() else area))


def _largest(mask: Bool[np.ndarray, "r c"]) -> Bool[np.ndarray, "r c"]:
    """The largest connected piece."""
    pieces, _ = ndimage.label(mask)
    return pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1


def _head_middle(study: PhantomStudy) -> tuple[float, float]:
    inside: Bool[np.ndarray, "s r c"] = study.tissue > 0
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in ((0, 2), (0, 1)))
    return (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2


def _box(middle: tuple[float, float], side_px: float) -> tuple[float, float, float, float]:
    half = side_px / 2
    return middle[1] - half, middle[0] - half, middle[1] + half, middle[0] + half


def _tile(
    study: PhantomStudy, place: int, box: tuple[float, float, float, float], window: str
) -> UInt8[np.ndarray, "rows columns"]:
    centre, width = WINDOWS[window]
    grey = np.clip((study.hu[place] - (centre - width / 2)) / width * 255, 0, 255).astype(np.uint8)
    size = (TILE_PX, TILE_PX)
    # PIL's transform fills what lies beyond the slice with black, as a workstation does.
    steps = ((box[2] - box[0]) / TILE_PX, 0.0, box[0], 0.0, (box[3] - box[1]) / TILE_PX, box[1])
    return np.asarray(Image.fromarray(grey).transform(size, Image.Transform.AFFINE, steps, Image.Resampling.BICUBIC))


def _point(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """A small arrowhead beside a place, on the side away from the tile's edge."""
    tip = (x + 9, y + 9)
    pen.polygon([tip, (tip[0] + 13, tip[1] + 5), (tip[0] + 5, tip[1] + 13)], fill=255, outline=0)

"""Slices of the errors for the report's page, small enough to lie in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int16, Int64, UInt8
from PIL import Image

from molre.store import Store

WINDOWS_HU = ((40.0, 80.0), (80.0, 200.0), (600.0, 2800.0))
"""Centre and width of the brain, subdural and bone windows, as read on a workstation."""

HEIGHT_PX = 200
"""Of a picture; the page scales it."""


def pictures(store: Store, rows: Int64[np.ndarray, "series"], found: Iterable[Mapping[str, Any]]) -> list[str]:
    """A picture of each error as a data URI: its slice in three windows side by side.

    Args:
        store: holds the volumes.
        rows: of the store, of the predictions that the errors are among.
        found: the errors, as a report holds them.
    """
    return [_uri(_slice(store, int(rows[miss["row"]]), miss["slice"]), store.grid.spacing_mm) for miss in found]


def _slice(store: Store, row: int, at: int | None) -> Int16[np.ndarray, "y x"]:
    volume = store.volumes(np.array([row]))[0]
    one: Int16[np.ndarray, "y x"] = volume[len(volume) // 2 if at is None else at]
    return one


def _uri(hu: Int16[np.ndarray, "y x"], spacing_mm: tuple[float, float, float]) -> str:
    tiles = [Image.fromarray(_grey(hu, *window)) for window in WINDOWS_HU]
    width = round(HEIGHT_PX * hu.shape[1] * spacing_mm[2] / (hu.shape[0] * spacing_mm[1]))
    sheet = Image.new("L", (width * len(tiles), HEIGHT_PX))
    for place, tile in enumerate(tiles):
        sheet.paste(tile.resize((width, HEIGHT_PX), Image.Resampling.BICUBIC), (place * width, 0))
    packed = io.BytesIO()
    sheet.save(packed, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode()}"


def _grey(hu: Int16[np.ndarray, "y x"], centre: float, width: float) -> UInt8[np.ndarray, "y x"]:
    scaled = (hu.astype(np.float32) - centre) / width + 0.5
    return (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)

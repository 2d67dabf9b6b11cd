"""What a backbone wants to be fed: slices one by one, or whole volumes, and how a store's grid is brought to that."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Num
from torch import Tensor

from molre.errors import ConfigError
from molre.volume import AIR_HU, Grid
from molre.windows import Interpolation, Windows, to_images, to_volumes

MOST_ENLARGED = 6.0
"""Times that a store's voxels may be coarser than a backbone's before there is no sense left in enlarging them."""

LEAST_FIELD = 0.5
"""Least share of a backbone's field of view, along each axis, that a store's grid must cover."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceInput:
    """A 2D backbone's wish: square images.

    Attributes:
        image_px: side of the image.
        patch_px: side of one token's patch, or of the coarsest cell of a feature map.
        interpolation: how slices are brought to ``image_px``.
        most_slices: slices a volume may have; None for any number.
    """

    image_px: int
    patch_px: int
    interpolation: Interpolation = "bilinear"
    most_slices: int | None = None

    def __post_init__(self) -> None:
        if self.image_px % self.patch_px:
            raise ConfigError(f"{self.image_px} px are no whole number of {self.patch_px} px patches")

    @property
    def wish(self) -> str:
        """In words, for tables and messages."""
        most = f", at most {self.most_slices} slices" if self.most_slices else ""
        return f"slices of {self.image_px} x {self.image_px} px{most}"

    def check(self, grid: Grid) -> list[str]:
        """What a store's grid falls short of.

        Returns:
            A sentence for each thing that is less than the backbone was made for.

        Raises:
            ConfigError: the backbone cannot be used on this grid.
        """
        depth, rows, columns = grid.shape
        if self.most_slices is not None and depth > self.most_slices:
            raise ConfigError(
                f"it takes at most {self.most_slices} slices, and the store's grid {grid.name!r} has {depth}: "
                "ingest again with a --grid of fewer slices"
            )
        if max(rows, columns) > MOST_ENLARGED * self.image_px or min(rows, columns) * MOST_ENLARGED < self.image_px:
            raise ConfigError(
                f"it reads {self.wish}, and the store's grid {grid.name!r} has {rows} x {columns}: "
                "ingest again with another --grid"
            )
        if min(rows, columns) < self.image_px:
            return [f"slices of {rows} x {columns} px are enlarged to {self.image_px} px: a finer --grid shows it more"]
        return []

    def of(self, hu: Num[Tensor, "n h w"], windows: Windows) -> Float[Tensor, "n c p p"]:
        """Slices as the network reads them."""
        return to_images(hu[None], windows, self.image_px, self.interpolation)[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeInput:
    """A 3D backbone's wish: volumes on a grid of its own, cut or padded about the middle.

    Attributes:
        shape: (slices, rows, columns) of the network's input.
        spacing_mm: of its voxels along (z, y, x).
        padding: HU, before the windows, of slices above and below the store's grid; beside it is air.
        head_first: whether slices run from head to feet, against molre's own order.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    padding: float = float(AIR_HU)
    head_first: bool = False

    @property
    def wish(self) -> str:
        """In words, for tables and messages."""
        return f"{_times(self.shape)} voxels of {_times(self.spacing_mm)} mm, a field of {_times(self.field_mm)} mm"

    @property
    def field_mm(self) -> tuple[float, float, float]:
        """Field of view along (z, y, x)."""
        z, y, x = (n * step for n, step in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    def check(self, grid: Grid) -> list[str]:
        """What a store's grid falls short of, as `SliceInput.check`."""
        coarser = max(theirs / ours for theirs, ours in zip(grid.spacing_mm, self.spacing_mm, strict=True))
        covered = min(theirs / ours for theirs, ours in zip(grid.extent_mm, self.field_mm, strict=True))
        told = f"the store's grid {grid.name!r} has {_times(grid.shape)} voxels of {_times(grid.spacing_mm)} mm"
        if coarser > MOST_ENLARGED or covered < LEAST_FIELD:
            raise ConfigError(f"it reads {self.wish}, and {told}: ingest again with a finer or larger --grid")
        if coarser > 1:
            return [f"{told}; the backbone reads {_times(self.spacing_mm)} mm: a finer --grid shows it more"]
        return []

    def of(
        self, hu: Num[Tensor, "b d h w"], windows: Windows, spacing_mm: tuple[float, float, float]
    ) -> Float[Tensor, "b c D H W"]:
        """Volumes as the network reads them."""
        images = to_volumes(hu, windows, spacing_mm, self.shape, self.spacing_mm, self.padding)
        return images.flip(2) if self.head_first else images


def _times(values: tuple[int, ...] | tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)

"""What a cohort of phantoms is like."""

from __future__ import annotations

from dataclasses import dataclass

from molre.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortConfig:
    """A cohort of synthetic head CT studies.

    Attributes:
        studies: how many studies.
        seed: with the study's number, decides everything about a study.
        prevalence: factor on every prevalence of the table; 1 is a hospital's, 0 draws only normal heads.
        rarest: findings that are rarer than this are drawn this often; 0 keeps a hospital's prevalence.
        severity: mean severity of what is drawn, 0 barely visible to 1 obvious; any severity occurs.
        matrix_px: rows and columns of a slice.
        field_mm: side of the reconstructed square; 232 mm holds an adult head.
        slices_min: fewest slices of a study.
        slices_max: most slices of a study.
        tilt_max_deg: largest gantry tilt; 20 degrees is common on sequential scanners.
        tilted_fraction: share of studies scanned with a tilted gantry.
        uneven_fraction: share of studies with thinner slices at the skull base than above it.
        noise_hu: mean standard deviation of the noise in brain; routine 5 mm slices have 3-4 HU in 0.5 mm pixels,
            less in these wider ones.
    """

    studies: int = 400
    seed: int = 0
    prevalence: float = 1.0
    rarest: float = 0.02
    severity: float = 0.5
    matrix_px: int = 144
    field_mm: float = 232.0
    slices_min: int = 24
    slices_max: int = 34
    tilt_max_deg: float = 20.0
    tilted_fraction: float = 0.4
    uneven_fraction: float = 0.2
    noise_hu: float = 2.0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}: it must lie between {low} and {high}")
        if self.slices_min > self.slices_max:
            raise ConfigError(f"slices_min {self.slices_min} is above slices_max {self.slices_max}")


_RANGES = (
    ("studies", 1, 10_000_000), ("seed", 0, 2**63), ("prevalence", 0, 5), ("rarest", 0, 0.3), ("severity", 0.05, 0.95),
    ("matrix_px", 96, 512), ("field_mm", 200, 300), ("slices_min", 16, 80), ("slices_max", 16, 80),
    ("tilt_max_deg", 0, 25), ("tilted_fraction", 0, 1), ("uneven_fraction", 0, 1), ("noise_hu", 0, 20),
)  # fmt: skip

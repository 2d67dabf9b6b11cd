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
        scanners: names in ``table/scanners.toml`` of the protocols in use; empty for all of them.
        matrix_px: rows and columns of a slice; scanners have 512.
        field_mm: side of the reconstructed square, give or take a few percent; 232 mm holds an adult head.
        thickness_mm: thinnest and thickest slices; each scanner takes what it can do in this range.
        slices_min: fewest slices of a study; it makes slices thinner where they would be fewer.
        slices_max: most slices of a study; it makes slices thicker where they would be more.
        tilt_max_deg: largest gantry tilt; 20 degrees is common on sequential scanners.
        tilted_fraction: share of studies scanned with a tilted gantry, on scanners that can tilt.
        uneven_fraction: share of studies with thinner slices at the skull base than above it, on sequential scanners.
        dose: factor on every tube load; noise grows with its inverse square root.
        motion_fraction: share of studies in which the head moved during a few slices.
        further_series: factor on how often DICOM studies hold more than the axial series: bone kernel, thin slices,
            localizers, dose report; 0 never, 1 as hospitals send them.
    """

    studies: int = 400
    seed: int = 0
    prevalence: float = 1.0
    rarest: float = 0.02
    severity: float = 0.5
    scanners: tuple[str, ...] = ()
    matrix_px: int = 144
    field_mm: float = 232.0
    thickness_mm: tuple[float, float] = (4.5, 6.0)
    slices_min: int = 16
    slices_max: int = 400
    tilt_max_deg: float = 20.0
    tilted_fraction: float = 0.4
    uneven_fraction: float = 0.25
    dose: float = 1.0
    motion_fraction: float = 0.07
    further_series: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}: it must lie between {low} and {high}")
        object.__setattr__(self, "scanners", tuple(self.scanners))
        low, high = self.thickness_mm
        if not 0.5 <= low <= high <= 12:
            raise ConfigError(f"thickness_mm is {low} to {high}: it must rise and lie between 0.5 and 12")
        if self.slices_min > self.slices_max:
            raise ConfigError(f"slices_min {self.slices_min} is above slices_max {self.slices_max}")


_RANGES = (
    ("studies", 1, 10_000_000), ("seed", 0, 2**63), ("prevalence", 0, 5), ("rarest", 0, 0.3), ("severity", 0.05, 0.95),
    ("matrix_px", 96, 512), ("field_mm", 200, 300), ("slices_min", 8, 400), ("slices_max", 8, 400),
    ("tilt_max_deg", 0, 25), ("tilted_fraction", 0, 1), ("uneven_fraction", 0, 1),
    ("dose", 0.05, 20), ("motion_fraction", 0, 1), ("further_series", 0, 1),
)  # fmt: skip

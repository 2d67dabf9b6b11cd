"""What an ingestion is told: the cohort, its labels, the grid, and where the store goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from molre.errors import ConfigError
from molre.location import home
from molre.phantom import CohortConfig
from molre.phantom.protocol import scanners
from molre.store.fill import FillConfig
from molre.store.splits import SplitFractions
from molre.volume import grid_named


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """Read a cohort of head CT studies into a store; without flags, the embedded phantom cohort."""

    source: str = "phantom"
    """Format of the cohort: phantom, dicom or nifti (any tree of such files), rsna (RSNA 2019 intracranial hemorrhage),
    cq500 (CQ500), physionet (PhysioNet CT-ICH); the last three as they are distributed."""
    root: str | None = None
    """Folder or URI of the cohort, any depth; the phantom is written there (by default into phantom/ beside the store).
    rsna: it holds stage_2_train/; cq500: the cases' folders; physionet: ct_scans/."""
    labels: str | None = None
    """Path or URI of a CSV with the columns study and/or patient, any finding keys (1, 0, -1 or blank), and split. Of
    nifti, a study is a file's path below the root without .nii.gz, or its bare name. rsna, cq500 and physionet: the
    cohort's own table, by default stage_2_train.csv, reads.csv or hemorrhage_diagnosis_raw_ct.csv in the root."""
    grid: str = "demo"
    """Grid of every volume: demo (24x112x112 at 6/2/2 mm), head-5mm (32x224x224 at 5/1/1), head-2.5mm (64x448x448)."""
    store: str = field(default_factory=lambda: str(home() / "store"))
    """Folder or URI of the store; a run that was killed goes on there."""
    studies: int = 400
    """Studies of the phantom cohort."""
    seed: int = 0
    """Seed of the phantom cohort."""
    prevalence: float = 1.0
    """Factor on the prevalence of every finding of the phantom cohort; 1 is a hospital's, 0 draws normal heads only."""
    rarest: float = 0.02
    """Findings of the phantom cohort that are rarer than this are drawn this often; 0 keeps a hospital's prevalence."""
    severity: float = 0.5
    """Mean severity of the phantom cohort's findings, 0 barely visible to 1 obvious; every severity occurs."""
    scanners: tuple[str, ...] = ()
    """Protocols of the phantom cohort, names in molre/phantom/table/scanners.toml; by default all of them."""
    key_file: str | None = None
    """Key of the pseudonyms, made if absent; by default ~/.molre/pseudonym.key. The phantom has a public key."""
    linkage: str | None = None
    """File that says which study had which files, readable by its owner only and as secret as the archive; none by
    default."""
    rows_per_part: int = 16
    """Most studies in one Arrow file; a file is written by one worker."""
    split: tuple[float, float, float] = (0.6, 0.1, 0.3)
    """Share of the patients in train, val and test, so much to test that a small cohort has positives of most findings
    to measure on; a column split in the labels wins."""

    splits_from: str | None = None
    """Path or URI of a store whose patients keep the side they have there; by default the store that is filled."""

    def __post_init__(self) -> None:
        self.filling()
        self.cohort()
        if self.source == "phantom" and self.labels is not None:
            raise ConfigError("--labels does not go with --source phantom: the phantom brings its own labels")

    @property
    def out(self) -> str:
        """Where the job's summary goes."""
        return self.store

    def cohort(self) -> CohortConfig:
        """The phantom cohort.

        Raises:
            ConfigError: a number is out of range, or a scanner unknown.
        """
        unknown = sorted(set(self.scanners) - set(scanners()))
        if unknown:
            raise ConfigError(f"unknown scanners {', '.join(unknown)}: choose from {', '.join(scanners())}")
        return CohortConfig(
            studies=self.studies,
            seed=self.seed,
            prevalence=self.prevalence,
            rarest=self.rarest,
            severity=self.severity,
            scanners=self.scanners,
        )

    def filling(self) -> FillConfig:
        """The settings that the store needs.

        Raises:
            ConfigError: the grid is unknown, or a number out of range.
        """
        train, val, test = self.split
        fractions = SplitFractions(train=train, val=val, test=test)
        return FillConfig(
            grid=grid_named(self.grid),
            fractions=fractions,
            rows_per_part=self.rows_per_part,
            splits_from=self.splits_from,
        )

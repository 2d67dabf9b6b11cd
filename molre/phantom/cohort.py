"""A whole cohort on disk: a DICOM tree, its table of labels, and the voxel truth beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from molre.findings import KEYS
from molre.phantom.config import CohortConfig
from molre.phantom.dicom import write_study
from molre.phantom.masks import write_masks
from molre.phantom.study import PhantomStudy, labels_row, make_study


def studies(config: CohortConfig) -> Iterator[PhantomStudy]:
    """Every study of a cohort, one at a time."""
    return (make_study(config, index) for index in range(config.studies))


def write_cohort(config: CohortConfig, folder: Path | str, *, indices: Iterable[int] | None = None) -> Path:
    """Write studies under ``folder/dicom``, masks under ``folder/masks`` and the labels to ``folder/labels.csv``.

    Args:
        config: the cohort.
        folder: made if absent.
        indices: numbers of the studies to write; all of them by default.

    Returns:
        The table of labels.
    """
    folder = Path(folder)
    rows = []
    for index in range(config.studies) if indices is None else indices:
        study = make_study(config, index)
        write_study(study, folder / "dicom" / study.patient)
        write_masks(study, folder / "masks")
        rows.append(labels_row(study))
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        table = csv.DictWriter(handle, ["study", "patient", *KEYS])
        table.writeheader()
        table.writerows(rows)
    return path

"""CQ500: DICOM folders named by case, and three radiologists' reads of each.

Folders are named ``CQ500CT66 CQ500CT66/Unknown Study/CT Plain/``, at any depth; the rows of ``reads.csv`` are named
``CQ500-CT-66``. A case is a patient of one study, with several series; some are post-contrast.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from molre.dicom import Pseudonymiser, StudyFiles
from molre.errors import ConfigError
from molre.findings import UNKNOWN
from molre.location import Location
from molre.sources.crosswalk import HEMORRHAGE, OTHER_FRACTURE, crossed
from molre.sources.dicom import DicomSource
from molre.sources.labels import Known
from molre.sources.table import rows_of, value_of

TABLE = "reads.csv"
_READERS = ("R1", "R2", "R3")
_CHRONIC = "ChronicBleed"
_ACUTE_ON_CHRONIC = "acute_on_chronic_subdural_hematoma"

CROSSWALK: dict[str, Sequence[str]] = {
    "ICH": HEMORRHAGE["any"],
    "IPH": HEMORRHAGE["intraparenchymal"],
    "IVH": HEMORRHAGE["intraventricular"],
    "SAH": HEMORRHAGE["subarachnoid"],
    "EDH": HEMORRHAGE["epidural"],
    "SDH": HEMORRHAGE["subdural"],
    "CalvarialFracture": ("calvarial_fracture",),
    "OtherFracture": OTHER_FRACTURE,
    "MassEffect": ("mass_effect",),
    "MidlineShift": ("midline_shift",),
}
"""Column, after the reader's, to findings."""

_CASE = re.compile(r"CQ500[-_ ]?CT[-_ ]?(\d+)", re.IGNORECASE)
_NAMES = (*CROSSWALK, _CHRONIC)


@dataclass(frozen=True, slots=True)
class Reads:
    """What the readers say, by number of the case."""

    by_case: Mapping[int, Mapping[str, int]]
    _asked: set[int] = field(default_factory=set, repr=False)

    def known(self, study: StudyFiles) -> Known:
        """Labels of the case that a study's folder names, or its Patient ID where no folder does."""
        case = _case_of(study)
        if case is None:
            return Known()
        self._asked.add(case)
        return Known(labels=self.by_case.get(case, {}), patient=f"CQ500-CT-{case}")

    def unmatched(self) -> int:
        """Number of cases of which no study was found."""
        return len(set(self.by_case) - self._asked)


def cq500_source(
    root: str, labels: str, pseudonymiser: Callable[[], Pseudonymiser], linkage: Path | None
) -> DicomSource:
    """The cohort as it is distributed.

    Args:
        root: folder or URI that holds the cases' folders at any depth.
        labels: path or URI of ``reads.csv``.
        pseudonymiser: makes what names patients, studies and series; made for the search only.
        linkage: file that says which study was which; none by default.
    """
    return DicomSource(
        root=root,
        pseudonymiser=pseudonymiser,
        labelling=functools.partial(read_reads, labels),
        name="cq500",
        masks=False,
        linkage=linkage,
    )


def read_reads(place: str | Location) -> Reads:
    """The table of reads.

    Raises:
        ConfigError: the file is absent or no CSV, lacks a column, or a row is not of the form; it is named by its line.
    """
    columns = [f"{reader}:{name}" for reader in _READERS for name in _NAMES]
    by_case: dict[int, Mapping[str, int]] = {}
    for line, row in rows_of(Location.of(place), TABLE, ("name", *columns)):
        found = _CASE.fullmatch(row["name"])
        if found is None:
            raise ConfigError(f"{line}: the name must be like CQ500-CT-66")
        if int(found[1]) in by_case:
            raise ConfigError(f"{line}: this case has a row already")
        reads = {column: value_of(row[column], f"{line}, column {column}") for column in columns}
        values = {name: majority([reads[f"{reader}:{name}"] for reader in _READERS]) for name in _NAMES}
        by_case[int(found[1])] = findings_of(values)
    return Reads(by_case)


def majority(reads: Sequence[int]) -> int:
    """What most readers say; unknown on a tie. Those who say nothing do not count."""
    present, absent = reads.count(1), reads.count(0)
    return UNKNOWN if present == absent else int(present > absent)


def findings_of(values: Mapping[str, int]) -> dict[str, int]:
    """Labels by finding from the majorities of the columns.

    ``ChronicBleed`` says of a whole scan whether any of its bleeding is chronic. Where it is absent, no subdural
    hematoma is acute on chronic: that one is known to be absent. Nothing else follows: without chronic blood a hematoma
    may still be acute or subacute, and the latter shares its finding with the chronic one; with chronic blood it may be
    chronic or acute on chronic, and the chronic blood may lie elsewhere.
    """
    labels = crossed(CROSSWALK, values)
    if values.get(_CHRONIC) == 0:
        labels[_ACUTE_ON_CHRONIC] = 0
    return labels


def _case_of(study: StudyFiles) -> int | None:
    paths = (str(path) for series in study.series for path in series.paths)
    for texts in (paths, study.patient_ids):
        numbers = {int(found[-1]) for text in texts if (found := _CASE.findall(text))}
        if numbers:
            # A study spread over the folders of two cases is neither.
            return numbers.pop() if len(numbers) == 1 else None
    return None

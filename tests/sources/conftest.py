"""A small DICOM archive of phantoms with what archives also hold."""

from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest


@dataclass(frozen=True)
class Archive:
    root: Path
    studies: list

    def path_of(self, number: int) -> Path:
        return self.root / "clinic" / f"DOE^JANE_{number}" / "1"


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Archive:
    """Four phantoms, the first two of one patient; a study without rescale; files that are broken, or no DICOM."""
    from molre.phantom import CohortConfig, make_study, write_study

    root = tmp_path_factory.mktemp("archive")
    found = Archive(
        root, [make_study(CohortConfig(studies=5, seed=4, further_series=0.0), number) for number in range(5)]
    )
    for number, study in enumerate(found.studies):
        write_study(study, found.path_of(number))
    for file in images(found.path_of(1)):
        _edit(file, PatientID=found.studies[0].patient)
    for file in images(found.path_of(4)):
        _edit(file, RescaleSlope=None, RescaleIntercept=None)
    (root / "notes.txt").write_text("hello")
    (root / "text.dcm").write_text("this is no DICOM")
    whole = images(found.path_of(0))[0].read_bytes()
    (root / "cut.dcm").write_bytes(whole[:300])
    return found


def images(folder: Path) -> list[Path]:
    """The DICOM files of a study."""
    return sorted(file for file in folder.iterdir() if file.suffix != ".txt")


def _edit(file: Path, **values) -> None:
    data = pydicom.dcmread(file)
    for name, value in values.items():
        if value is None:
            data.pop(name, None)
        else:
            setattr(data, name, value)
    data.save_as(file)

"""What it costs to keep account of studies: found, dealt to splits, cut into parts, written, and listed.

The studies are as small as files and rows can be, so that what is measured is everything but voxels.
"""

import functools
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from ray import cloudpickle

from molre.dicom import Pseudonymiser
from molre.findings import KEYS
from molre.sources.dicom import DicomSource
from molre.sources.found import ReadStudy
from molre.sources.labels import read_labels
from molre.store import SPLITS, Store
from molre.store.fill import FillConfig, fill
from molre.store.spread import spread
from molre.volume import Grid, Volume

GRID = Grid(name="tiny", shape=(4, 6, 8), spacing_mm=(5.0, 2.0, 1.0))
FEW, MANY = 1_000, 70_000
LIMIT_S = 120.0
LIMIT_RATIO = 1.2
SLICES = 2
_UID = "1.2.826.0.1.3680043.8.498.1{:08d}"

# Workers cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


def slice_bytes() -> bytes:
    """A slice of 4 x 4 pixels of study 0."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = _UID.format(0)
    data.Modality, data.PatientID = "CT", "P00000000"
    data.StudyInstanceUID, data.SeriesInstanceUID = _UID.format(0), _UID.format(0) + ".1"
    data.Rows = data.Columns = 4
    data.BitsAllocated = data.BitsStored = 16
    data.PixelData = bytes(32)
    with tempfile.TemporaryFile() as file:
        data.save_as(file, enforce_file_format=True)
        file.seek(0)
        return file.read()


def write_archive(root: Path, studies: int) -> Path:
    """Studies of two slices in folders of a hundred studies each, and a table of labels."""
    template = slice_bytes()
    for number in range(studies):
        folder = root / "dicom" / f"{number // 100:04d}" / f"{number:08d}"
        folder.mkdir(parents=True)
        data = template.replace(b"00000000", b"%08d" % number)
        for at in range(SLICES):
            (folder / f"{at}.dcm").write_bytes(data)
    generator = np.random.default_rng(0)
    prevalence = np.geomspace(0.3, 0.002, len(KEYS))
    lines = [",".join(["patient", *KEYS])]
    for number in range(studies):
        positive = generator.random(len(KEYS)) < prevalence
        lines.append(",".join([f"P{number:08d}", *("1" if one else "0" for one in positive)]))
    (root / "labels.csv").write_text("\n".join(lines))
    return root


class Tiny(DicomSource):
    """The same source, whose volumes are made up: reading voxels is measured elsewhere."""

    def read(self, case, grid):
        """A volume of zeros."""
        volume = Volume(hu=np.zeros(grid.shape, np.int16), affine=np.eye(4))
        return ReadStudy(volume=volume, series=case.study, attributes={"choice": "the only series"})


def in_process(function, items):
    """`spread` without a cluster, whose start would hide what a study costs."""
    return ((item, function(item)) for item in items)


def measured(root: Path, run) -> dict[str, float]:
    """Seconds of each stage, and studies of each split."""
    source = Tiny(
        root=str(root / "dicom"),
        pseudonymiser=functools.partial(Pseudonymiser, bytes(32)),
        labelling=functools.partial(read_labels, root / "labels.csv"),
    )
    stages = {}
    start = time.perf_counter()
    found = source.find(run)
    stages["find, label"] = time.perf_counter() - start
    seen = Seen(found)
    start = time.perf_counter()
    store = fill(seen, root / "store", FillConfig(grid=GRID))
    stages["deal, cut, write, commit"] = time.perf_counter() - start
    start = time.perf_counter()
    store = Store.open(root / "store")
    assert sum(len(store.indices(split)) for split in SPLITS) == len(found.cases) == store.rows
    assert store.labels().shape == (store.rows, len(KEYS))
    stages["open, list"] = time.perf_counter() - start
    start = time.perf_counter()
    fill(seen, root / "store", FillConfig(grid=GRID))
    stages["run again: nothing to do"] = time.perf_counter() - start
    return stages


class Seen:
    """A source that has looked already."""

    name = "tiny"

    def __init__(self, found) -> None:
        self._found = found

    def prepare(self, spread) -> None:
        """Nothing."""

    def find(self, spread):
        """What was found."""
        return self._found

    def read(self, case, grid):
        """A volume of zeros."""
        return Tiny.read(self, case, grid)

    def __reduce__(self):
        return Seen, (None,)


@pytest.fixture
def places():
    folder = Path(tempfile.mkdtemp(prefix="molre-bench-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def test_accounts_of_a_large_archive(table, places, ray_cluster, monkeypatch):
    rows, totals = [], {}
    roots = {count: write_archive(places / str(count), count) for count in (FEW, MANY)}
    peak = {}
    for name, run in (("Ray Data", spread), ("one process", in_process)):
        monkeypatch.setattr("molre.store.fill.spread", run)
        stages = {}
        for count, root in roots.items():
            shutil.rmtree(root / "store", ignore_errors=True)
            stages[count] = measured(root, run)
            totals[name, count] = sum(stages[count].values())
        peak[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for stage in stages[FEW]:
            few, many = stages[FEW][stage] / FEW, stages[MANY][stage] / MANY
            rows.append((f"{name}: {stage}", f"{stages[MANY][stage]:.1f}", f"{few * 1e6:.0f}", f"{many * 1e6:.0f}",
                         f"{many / few:.2f}"))  # fmt: skip
        few, many = totals[name, FEW] / FEW, totals[name, MANY] / MANY
        rows.append((f"{name}: all", f"{totals[name, MANY]:.1f}", f"{few * 1e6:.0f}", f"{many * 1e6:.0f}",
                     f"{many / few:.2f}"))  # fmt: skip
    table(
        f"Accounts of {MANY:,} studies of {SLICES} files (peak memory of the driver {peak['Ray Data']:.0f} MiB)",
        ("stage", f"s at {MANY:,}", f"µs a study at {FEW:,}", f"at {MANY:,}", "ratio"),
        rows,
    )
    assert totals["Ray Data", MANY] < LIMIT_S
    for name in ("one process", "Ray Data"):
        assert totals[name, MANY] / MANY < LIMIT_RATIO * totals[name, FEW] / FEW

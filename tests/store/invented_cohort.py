"""A cohort made of numbers, for tests of the store; as a script it fills a store on the running cluster.

Usage: invented_cohort.py STORE STUDIES ROWS_PER_PART PAUSE_S [STUDY:FATE ...]
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, field, replace

import numpy as np

from molre.errors import Rejection
from molre.findings import KEYS, label_vector
from molre.store.fill import FillConfig, fill
from molre.volume import Grid, Volume

GRID = Grid(name="tiny", shape=(4, 6, 8), spacing_mm=(5.0, 2.0, 1.0))


@dataclass(frozen=True)
class InventedCase:
    study: str
    patient: str
    path: str
    fingerprint: str
    labels: np.ndarray
    split: str | None
    fate: str


@dataclass(frozen=True)
class InventedSample:
    volume: Volume
    series: str
    attributes: dict


@dataclass(frozen=True)
class InventedFound:
    cases: list
    refused: list
    counts: dict
    rule: tuple = ()


def voxels(number: int) -> np.ndarray:
    """The voxels of a study."""
    return np.random.default_rng(number).integers(-1024, 3071, GRID.shape).astype(np.int16)


@dataclass(frozen=True)
class Invented:
    """Studies of which two belong to one patient; ``fates`` says what befalls whom."""

    studies: int
    pause_s: float = 0.0
    fates: dict = field(default_factory=dict)
    splits: dict = field(default_factory=dict)
    positive: str = KEYS[0]
    name: str = "invented"

    def prepare(self, spread):
        pass

    def find(self, spread):
        cases = [
            InventedCase(
                study=f"s{n:04d}", patient=f"p{n // 2:04d}", path=f"folder/{n}", fingerprint="1",
                labels=label_vector({self.positive: n % 2}), split=self.splits.get(n), fate=self.fates.get(n, "read"),
            )
            for n in range(self.studies)
        ]  # fmt: skip
        counts = {"rejected_files": 1, "ignored_files": 3}
        return InventedFound(cases, [("broken.dcm", "ENC_TRUNCATED", "the file ends early")], counts)

    def read(self, case, grid):
        time.sleep(self.pause_s)
        if case.fate == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if case.fate == "refuse":
            raise Rejection("GEO_TOO_FEW_SLICES", "there are too few")
        if case.fate == "raise":
            raise ValueError("DOE^JANE")
        number = int(case.study[1:])
        attributes = {"kvp": float("nan"), "slice_count": number, "repairs": ["GEO_TILT: undone"], "manufacturer": "A"}
        affine = np.diag([-1.0, -2.0, 5.0, 1.0])
        return InventedSample(Volume(hu=voxels(number), affine=affine), f"r{number:04d}", attributes)

    def with_more(self, studies: int) -> "Invented":
        return replace(self, studies=studies)


if __name__ == "__main__":
    import ray

    store, studies, rows, pause_s = sys.argv[1:5]
    fates = {int(word.split(":")[0]): word.split(":")[1] for word in sys.argv[5:]}
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    cohort = Invented(int(studies), float(pause_s), fates)
    fill(cohort, store, FillConfig(grid=GRID, rows_per_part=int(rows)))
    print("filled", flush=True)

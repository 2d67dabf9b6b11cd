"""What a phantom costs: processor time of one study, and a cohort from nothing to a store on two cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from molre.phantom import CohortConfig, make_study, write_study

STUDIES = 40
LARGE = 200
BUDGET_S = 600.0
"""For 1,000 studies at the demo's grid on two cores, from nothing to a store."""

pytestmark = pytest.mark.bench


def processor_s(config: CohortConfig, numbers: range) -> np.ndarray:
    make_study(config, 10_000)  # imports, templates and caches
    found = []
    for number in numbers:
        started = time.process_time()
        make_study(config, number)
        found.append(time.process_time() - started)
    return np.array(found)


@pytest.mark.parametrize(("matrix_px", "count", "most_s"), [(144, STUDIES, 0.5), (512, 6, 12.0)])
def test_a_study_costs_little(matrix_px, count, most_s, table):
    spent = processor_s(CohortConfig(seed=13, matrix_px=matrix_px, rarest=0.02), range(count))
    row = [f"{matrix_px} px", str(count), *(f"{s:.2f}" for s in (spent.mean(), np.median(spent), spent.max()))]
    table("Processor time of make_study, s", ["slices of", "studies", "mean", "median", "most"], [row])
    assert spent.mean() < most_s


def test_writing_costs_less_than_drawing(tmp_path, table):
    config = CohortConfig(seed=13)
    studies = [make_study(config, number) for number in range(12)]
    started = time.process_time()
    for study in studies:
        write_study(study, tmp_path / str(study.index))
    written = (time.process_time() - started) / len(studies)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) / len(studies) / 2**20
    table("Writing a study as DICOM", ["s of processor", "MiB"], [[f"{written:.2f}", f"{size:.1f}"]])
    assert written < 0.6


def test_a_thousand_studies_in_ten_minutes(tmp_path, table):
    """Timed at two sizes, so that what starting Ray costs is not counted a thousandfold."""
    wall = {studies: ingested(tmp_path / str(studies), studies) for studies in (STUDIES, LARGE)}
    each = (wall[LARGE] - wall[STUDIES]) / (LARGE - STUDIES)
    thousand = wall[STUDIES] + each * (1000 - STUDIES)
    table(
        f"jobs/ingest.py --source phantom, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        [f"{STUDIES} studies, s", f"{LARGE} studies, s", "each further, s", "1,000 studies, s"],
        [[f"{wall[STUDIES]:.0f}", f"{wall[LARGE]:.0f}", f"{each:.2f}", f"{thousand:.0f}"]],
    )
    assert thousand < BUDGET_S


def ingested(folder: Path, studies: int) -> float:
    """Seconds from the command to a store with every study in it."""
    job = Path(__file__).resolve().parents[2] / "jobs" / "ingest.py"
    command = [sys.executable, str(job), "--source", "phantom", "--studies", str(studies), "--seed", "13"]
    command += ["--root", str(folder / "cohort"), "--store", str(folder / "store")]
    environment = {**os.environ, "MOLRE_HOME": str(folder / "home")}
    started = time.monotonic()
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    spent = time.monotonic() - started
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    manifests = list((folder / "store").rglob("manifest.json"))
    assert manifests, ran.stdout[-500:]
    assert json.loads(manifests[0].read_text())["counts"]["rows"] == studies
    return spent

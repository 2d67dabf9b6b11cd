"""Normal phantoms beside a real head and an average of real heads, measured alike; writes molre/phantom/REALISM.md."""

from __future__ import annotations

import datetime
import multiprocessing
import platform
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import molre
from molre.dicom import read_study, scan
from molre.phantom import CohortConfig, make_study
from molre.phantom.realism import MEASURES, Scan, measured, scan_of, scan_of_phantom

PHANTOMS = 20
AGES_YEARS = (20.0, 90.0)
MATRIX_PX, FIELD_MM = 512, 250.0
SCANNER = "ge_sequential"
"""The maker, kind and kernel of the real head's scanner."""
PAGE = Path(molre.__file__).parent / "phantom" / "REALISM.md"
TEMPLATE = Path(__file__).resolve().parents[3] / "shared" / "data" / "scct" / "scct.nii"

INTRODUCTION = """# How like real heads the phantoms are

Everything the phantom draws is synthetic. Written by `tests/benchmarks/test_phantom_realism.py` on {date}, commit
{commit}, {machine}.

*real head*: one GE head CT (HiSpeed Dual, 120 kV, kernel STD+, 4 and 7 mm slices of 0.49 mm pixels) of an elderly
person with an old infarct and white-matter disease, which is why its ventricles are large and its white matter dark.
*template*: an average of many heads in MNI space, which is larger than most heads, with blurred edges and without true
HU: only volumes and lengths mean something, its values stretched to HU as its makers stretched HU to them. *phantoms*:
median and 5th to 95th percentile of {count} normal heads of {youngest:.0f} to {oldest:.0f} years, as by a scanner like
the real head's (`{scanner}`), {matrix} x {matrix} pixels of {pixel:.2f} mm.

All columns are measured by `molre.phantom.realism.measured`, from HU and spacing, without knowledge of what was drawn.
HU of grey and white matter are the means of two Gaussians fitted to the histogram of brain at 1 mm, so that partial
volume counts in all columns. Values outside of the literature's range are in bold.

"""


def phantom(number: int) -> dict[str, float]:
    config = CohortConfig(
        seed=77, matrix_px=MATRIX_PX, field_mm=FIELD_MM, scanners=(SCANNER,), tilted_fraction=0.0, motion_fraction=0.0
    )
    age = float(np.linspace(*AGES_YEARS, PHANTOMS)[number])
    return measured(scan_of_phantom(make_study(config, number, force=(), age_years=age)))


def template() -> Scan:
    """The average head: its values are HU with the range of soft tissue stretched twelvefold, and skull compressed."""
    values = np.asarray(nib.load(TEMPLATE).dataobj, np.float32)[::-1, ::-1].transpose(2, 1, 0)
    points = ((0, -1000), (900, -100), (2750, 54), (3800, 2364))
    hu = np.interp(values, *zip(*points, strict=True)).astype(np.float32)
    wide = hu.shape[1] - hu.shape[2]
    hu = np.pad(hu, ((0, 0), (0, 0), (wide // 2, wide - wide // 2)), constant_values=-1000)
    return Scan(hu=hu, height_mm=2.0 * np.arange(len(hu)), pixel_mm=2.0)


def bounds(expected: str) -> tuple[float, float]:
    low, high = (expected.split(" to ") if " to " in expected else expected.lstrip("−").split("–"))  # fmt: skip
    low, high = (float(text.replace(",", "").replace("−", "-")) for text in (low, high))
    return low, high


def cell(value: float, expected: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 2 else f"{value:.2f}"
    if ("–" in expected or " to " in expected) and not bounds(expected)[0] <= value <= bounds(expected)[1]:
        return f"**{text}**"
    return text


def rows(real: dict[str, float], average: dict[str, float], phantoms: list[dict[str, float]]) -> list[list[str]]:
    found = []
    for measure in MEASURES:
        values = np.array([one[measure.key] for one in phantoms])
        middle = cell(float(np.median(values)), measure.expected)
        low, high = (cell(float(v), "") for v in np.percentile(values, (5, 95)))
        found.append([
            measure.title, cell(real[measure.key], measure.expected),
            cell(average[measure.key], "") if measure.shape else "–", f"{middle} ({low} – {high})",
            f"{measure.expected} ({measure.source})" if measure.source else measure.expected,
        ])  # fmt: skip
    return found


def commit() -> str:
    told = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


@pytest.mark.bench
def test_phantoms_measure_like_heads(head_ct_ge, table):
    real = measured(scan_of(read_study(scan(head_ct_ge).studies[0]).stack))
    average = measured(template())
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        phantoms = list(pool.map(phantom, range(PHANTOMS)))
    header = ["measure", "real head", "template", "phantoms, median (5–95 %)", "literature"]
    lines = rows(real, average, phantoms)
    table("Phantoms beside real heads", header, lines)
    introduction = INTRODUCTION.format(
        date=datetime.datetime.now(tz=datetime.UTC).date(), commit=commit(), machine=platform.platform(),
        count=PHANTOMS, youngest=AGES_YEARS[0], oldest=AGES_YEARS[1], matrix=MATRIX_PX, scanner=SCANNER,
        pixel=FIELD_MM / MATRIX_PX,
    )  # fmt: skip
    text = "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---", *["---:"] * 3, "---"], *lines))
    PAGE.write_text(f"{introduction}{text}\n", encoding="utf-8")
    outside = [line[0] for line in lines if "**" in line[3]]
    assert len(outside) <= 3, outside

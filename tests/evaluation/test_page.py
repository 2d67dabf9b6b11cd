"""The page of a whole report: what it says, and that its parts hang together."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

from molre.evaluation.calibration import fit
from molre.evaluation.page import page
from molre.evaluation.report import Subject, build
from molre.evaluation.scores import Scores
from molre.evaluation.subgroups import COLUMNS
from molre.evaluation.thresholds import choose
from molre.findings import FINDINGS, GROUPS
from molre.store.schema import ATTRIBUTES

VOID = {"meta", "input", "br", "line", "rect", "circle", "polyline"}


@pytest.fixture
def report(cohort):
    scores = cohort(200)
    logits = np.log(scores.probabilities / (1 - scores.probabilities))
    calibration = fit(scores.labels, logits)
    fields = {name: getattr(scores, name) for name in ("patients", "studies", "series", "labels")}
    calibrated = Scores(**fields, probabilities=calibration.probabilities(logits))
    points = choose(calibrated)
    subject = Subject(
        bundle="/b", bundle_sha="0" * 64, made_with="0.0.1 abc", store="/s", source="phantom", split="val", grid="demo",
        backbone="dinov3-tiny", weights="random", adapter="molre", site="feature", added_parameters=10,
        added_fraction=0.001, provenance={
            "store": {"source": "phantom", "counts": {"splits": {"train": 240, "val": 46, "test": 114}}},
            "training": {"epochs": 40, "rank": None, "site": "feature"}, "trained": "2026-11-28", "torch": "2.13.0",
        },
    )  # fmt: skip
    return build(
        calibrated,
        subject,
        thresholds=points["youden"],
        operating_points=points,
        calibration=calibration,
        attributes={
            "sex": ["F", "M"] * 100,
            "age_band": ["40 to 64"] * 90 + ["80 or more"] * 110,
            "manufacturer": ["GE"] * 100 + ["Siemens"] * 100,
            "slice_thickness_mm": [5.0] * 200,
            "kernel_class": ["soft"] * 190 + ["bone"] * 10,
        },
        bootstrap=20,
    )


class Balance(HTMLParser):
    """Opens and closes tags, and keeps what does not match."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append((tag, self.getpos()))


def test_every_element_is_closed_and_every_link_leads_somewhere(report):
    html = page(report)
    balance = Balance()
    balance.feed(html)
    assert (balance.wrong, balance.open) == ([], [])
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) == set(GROUPS) <= set(ids)


def test_every_finding_is_a_row_that_can_be_searched_and_sorted(report):
    html = page(report)
    (table,) = re.findall(r'<table id="findings".*?</table>', html, re.S)
    rows = re.findall(r'<tr[^>]* data-words="([^"]+)">(.*?)</tr>', table, re.S)
    assert len(rows) == len(FINDINGS)
    columns = table.count("<button")
    for (words, row), finding in zip(rows, FINDINGS, strict=True):
        assert finding.key in words
        assert row.count("<td") == columns
        assert all(value == "" or float(value) >= 0 for value in re.findall(r'data-value="([^"]*)"', row))
    assert '<label for="find">' in html


def test_it_says_what_must_not_be_concluded_of_this_report(report):
    html = page(report)
    assert "Nothing about patients" in html
    assert "These are of the val split" in html
    assert "73 have an AUC" in html
    assert "Nothing about patients" not in page(report | {"evaluated": report["evaluated"] | {"source": "dicom"}})


def test_it_says_whether_probabilities_are_calibrated(report):
    assert report["calibration"]["applied"]
    assert "The probabilities are calibrated: " in page(report)
    plain = report | {"calibration": report["calibration"] | {"applied": False}}
    assert "The probabilities are not calibrated" in page(plain)


def test_subgroups_and_operating_points_are_shown(report):
    html = page(report)
    assert "Manufacturer: Siemens" in html
    assert "Kernel: bone" in html
    assert "Sex: female" in html
    assert "Age: 80 or more" in html
    assert "fewer than 20 patients on one side" in html
    assert "sensitivity 0.95: threshold" in html
    first = report["findings"][0]["operating_points"]["sensitivity_0.95"]
    assert first["sensitivity"]["value"] >= 0.95


def test_it_says_how_the_model_was_trained(report):
    html = page(report)
    assert "a store of source phantom: 240 train, 46 val, 114 test" in html
    assert "<td>2026-11-28, torch 2.13.0</td>" in html
    assert "<tr><th>epochs</th><td>40</td></tr>" in html
    assert "<tr><th>rank</th><td>–</td></tr>" in html
    bare = {"store": {"source": "dicom", "counts": {}}}
    assert "<td>a store of source dicom</td>" in page(
        report | {"evaluated": report["evaluated"] | {"provenance": bare}}
    )
    plain = report | {"evaluated": report["evaluated"] | {"provenance": {}}}
    assert "Settings of the training" not in page(plain)


def test_subgroups_are_made_of_columns_that_a_store_has():
    assert set(COLUMNS) <= set(ATTRIBUTES)


def test_the_script_is_one_that_parses():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = resources.files("molre.evaluation.page") / "table.js"
    assert subprocess.run([node, "--check", str(script)], check=False).returncode == 0

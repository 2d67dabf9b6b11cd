"""The report's page in a real browser: Debian's Chromium, at the width of a desk and of a phone."""

import shutil

import numpy as np
import pytest

from molre.evaluation.page import page
from molre.evaluation.report import Subject, build
from molre.evaluation.thresholds import choose
from molre.findings import FINDINGS

WIDTHS = {"desk": 1280, "phone": 390}


@pytest.fixture(scope="module")
def chromium():
    place = shutil.which("chromium")
    if place is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=place, args=["--no-sandbox"])  # the gate may run as root
        yield browser
        browser.close()


@pytest.fixture(params=WIDTHS)
def opened(request, chromium, cohort, tmp_path):
    """The page of a report with every section, and what the browser said and asked for meanwhile."""
    scores = cohort(200)
    points = choose(scores)
    subject = Subject(
        bundle="/b", bundle_sha="0" * 64, made_with="0.0.1 abc", store="/s", source="phantom", split="test",
        grid="demo", backbone="dinov3-tiny", weights="random", adapter="molre", site="feature", added_parameters=10,
        added_fraction=0.001,
    )  # fmt: skip
    report = build(
        scores,
        subject,
        thresholds=points["youden"],
        operating_points=points,
        gates={"site": np.random.default_rng(0).dirichlet(np.ones(6), (200, 5)).astype(np.float32)},
        attributes={
            "sex": ["F", "M"] * 100,
            "age_band": ["40 to 64"] * 90 + ["80 or more"] * 110,
            "manufacturer": ["GE"] * 100 + ["Siemens"] * 100,
            "slice_thickness_mm": [5.0] * 200,
            "kernel_class": ["soft"] * 190 + ["bone"] * 10,
        },
        bootstrap=20,
    )
    file = tmp_path / "report.html"
    file.write_text(page(report), encoding="utf-8")
    said, asked = [], []
    tab = chromium.new_page(viewport={"width": WIDTHS[request.param], "height": 900})
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda wanted: asked.append(wanted.url))
    tab.goto(file.as_uri())
    yield tab
    assert said == []
    assert asked == [file.as_uri()]
    tab.close()


def test_the_page_is_as_wide_as_the_window(opened):
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_table_is_sorted_by_a_column_both_ways(opened):
    def areas():
        return opened.eval_on_selector_all(
            "#findings tbody tr", "rows => rows.map(row => row.cells[3].dataset.value).map(v => v === '' ? null : +v)"
        )

    for sign, name in ((1, "ascending"), (-1, "descending")):
        opened.get_by_role("button", name="AUC", exact=True).click()
        assert opened.get_attribute("#findings th:nth-child(4)", "aria-sort") == name
        shown = areas()
        assert shown[-2:] == [None, None]  # two findings have no AUC: they come last either way
        assert shown[:-2] == sorted(shown[:-2], key=lambda area: sign * area)


def test_the_search_leaves_what_has_all_its_words(opened):
    opened.get_by_label("Search findings and groups").fill("HEMORRHAGE intraventricular")
    visible = opened.locator("#findings tbody tr:visible")
    assert visible.count() == 1
    assert "ntraventricular" in visible.first.inner_text()
    assert opened.locator("output[for=find]").inner_text() == f"1 of {len(FINDINGS)} findings"
    opened.get_by_label("Search findings and groups").fill("")
    assert visible.count() == len(FINDINGS)

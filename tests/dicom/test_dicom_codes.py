"""The documented list of codes: it is whole, it agrees with the program, and each code is met in a test."""

import ast
import re
from pathlib import Path

import molre
from molre.dicom.codes import PASSED_OVER, REFUSALS, REPAIRS, counted, refusal, repair

CODE = re.compile(r"(ENC|SER|GEO|VAL|PHI)_[A-Z0-9_]+")
OUTCOMES = {"refused": REFUSALS, "repaired": REPAIRS, "passed over": PASSED_OVER}
PACKAGE, TESTS = Path(molre.__file__).parent, Path(__file__).parents[1]


def documented():
    """Rows of the tables of CODES.md."""
    lines = (PACKAGE / "dicom" / "CODES.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if CODE.match(line[2:])]


def test_the_list_for_users_agrees_with_the_program():
    rows = documented()
    expected = []
    for code in dict.fromkeys([*REFUSALS, *REPAIRS, *PASSED_OVER]):
        said = {outcome: sentences[code] for outcome, sentences in OUTCOMES.items() if code in sentences}
        parts = list(said.values()) if len(said) == 1 else [f"*{outcome}*: {text}" for outcome, text in said.items()]
        expected.append([code, ", ".join(said), re.sub(r"\{[^}]*\}", "N", "; ".join(parts))])
    assert sorted(row[:3] for row in rows) == sorted(expected)
    assert all(len(row) == 4 and row[3].endswith(".") for row in rows)


def test_every_code_in_the_program_is_in_the_list():
    used = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                used.setdefault(node.value, path.name)
    known = {*REFUSALS, *REPAIRS, *PASSED_OVER}
    assert {code: name for code, name in used.items() if code not in known} == {}
    assert known <= set(used)


def test_every_code_is_met_in_a_test():
    texts = [path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__)]
    met = {match[0] for text in texts for match in CODE.finditer(text)}
    assert {*REFUSALS, *REPAIRS, *PASSED_OVER} - met == set()


def test_sentences_are_filled():
    assert str(refusal("GEO_MISSING_SLICE", gap_mm=10.04, step_mm=5)) == (
        "GEO_MISSING_SLICE: slices are missing: a gap of 10.0 mm where the step is 5.0 mm"
    )
    assert repair("GEO_TILT", tilt_deg=18.46) == "GEO_TILT: the shear of a gantry tilt of 18.5 degrees is undone"
    assert counted({"VAL_PADDING": 0, "SER_LOCALIZER": 2}) == [
        "SER_LOCALIZER: 2 localizer images in the series are left out"
    ]

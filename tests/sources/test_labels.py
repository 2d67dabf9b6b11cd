"""The labels CSV."""

import pytest

from molre.errors import ConfigError
from molre.findings import KEYS
from molre.sources.labels import Known, read_labels

A, B = KEYS[0], KEYS[7]


def table(tmp_path, text, encoding="utf-8"):
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    return read_labels(tmp_path / "labels.csv")


def test_rows_by_study_and_by_patient_add_up(tmp_path):
    read = table(tmp_path, f"study,patient,{A},{B},split\n1.2,,1,,\n,P7,0,-1,test\n1.4,P7,,1.0,val\n1.5,P5,1,,\n")
    assert read.of("1.2", "P1") == Known(labels={A: 1})
    assert read.of("1.3", "P7") == Known(labels={A: 0, B: -1}, split="test")
    assert read.of("1.4", "P7") == Known(labels={A: 0, B: 1}, split="val", patient="P7")
    assert read.of("1.9", "P9") == Known()
    assert read.unmatched() == 1


def test_what_table_programs_write_is_read(tmp_path):
    read = table(tmp_path, f"\ufeffstudy, {A} \r\n1.20,1.0\r\n\r\n1.2,0\r\n,\r\n")
    assert (read.of("1.20", "").labels, read.of("1.2", "").labels) == ({A: 1}, {A: 0})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "study,intracranial_hemorage_any\n",
            r"line 1: column 2 is unknown: did you mean intracranial_hem",
        ),
        ("study,qqq\n", r"line 1: column 2 is unknown: allowed are study, patient, split"),
        (f"study;{A}\n", r"separate the columns by commas"),
        (f"{A}\n1\n", r"needs a column 'study' \(StudyInstanceUID\) or 'patient'"),
        ("", r"needs a column 'study'"),
        (f"study,{A},{A}\n", r"twice"),
        (f"study,{A}\n1.2,2\n", rf"line 2, column {A}: a label must be 1, 0, -1"),
        (f"study,{A}\n1.2,yes\n", r"a label must be"),
        (f"study,{A}\n1.2,1,0\n", r"line 2 has 3 cells: the header has 2"),
        (f"study,{A}\n1.2,1\n1.2,0\n", r"line 3: this study has a row already"),
        (f"study,{A}\n,1\n", r"line 2: neither study nor patient"),
        ("study,split\n1.2,training\n", r"line 2: the split must be train, val, test"),
        (f'study,{A}\n1.2,"1\n', r"is not CSV"),
    ],
)
def test_mistakes_are_named_by_line_never_by_content(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told) as raised:
        table(tmp_path, text)
    assert "1.2" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(ConfigError, match="no labels file at"):
        read_labels(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="not UTF-8"):
        table(tmp_path, "study,é\n", "latin-1")
    with pytest.raises(ConfigError, match=r"no labels file at|cannot be read"):
        read_labels(tmp_path)

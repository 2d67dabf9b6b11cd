"""RSNA 2019 as it is distributed: slices in one folder, rows by slice and type."""

import gzip
import time
from pathlib import Path

import numpy as np
import pytest
from public_trees import in_this_process, ingested, known, write_slices

from molre.errors import ConfigError
from molre.sources.ingest import IngestConfig, ingest
from molre.sources.rsna import read_slices

KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
SUBDURAL = ("acute_subdural_hematoma", "subacute_chronic_subdural_hematoma", "acute_on_chronic_subdural_hematoma")
NONE = dict.fromkeys(
    (
        "intracranial_hemorrhage_any", "intraparenchymal_hemorrhage", "intraventricular_hemorrhage",
        "subarachnoid_hemorrhage", "epidural_hematoma", *SUBDURAL,
    ),
    0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(monkeypatch):
    in_this_process(monkeypatch)


def slices(study: int, count: int = 5) -> list[str]:
    """Slice identifiers: the first of a study is the first by name."""
    return [f"ID_{study:02x}{number:07x}" for number in range(count)]


def rows(name: str, *positive: str) -> list[str]:
    return [f"{name}_{kind},{int(kind in positive)}" for kind in KINDS]


def table(*lines: str) -> str:
    return "\n".join(["ID,Label", *lines, ""])


def write(root: Path, study: int, patient: str, folder: str = "stage_2_train") -> None:
    names = [f"{name}.dcm" for name in slices(study)]
    write_slices(root / folder, names, study, patient, uids=True)


@pytest.fixture
def cohort(tmp_path):
    """Seven studies: plain, epidural, subdural, half labelled, of the test set, cut short, and one without any row."""
    root = tmp_path / "rsna"
    for study, patient in ((1, "ID_a"), (2, "ID_b"), (3, "ID_b"), (4, "ID_d"), (6, "ID_f"), (7, "ID_g")):
        write(root, study, patient)
    write(root, 5, "ID_b", "stage_2_test")
    cut = root / "stage_2_train" / f"{slices(6)[2]}.dcm"
    cut.write_bytes(cut.read_bytes()[:-700])
    lines = [row for name in slices(1) for row in rows(name)]
    two, three, four = slices(2), slices(3), slices(4)
    lines += rows(two[0], "epidural", "any") + [row for name in two[1:] for row in rows(name)]
    lines += [f"{two[1]}_intraparenchymal,1", f"{two[1]}_intraparenchymal,0", f"{two[0]}_epidural,1"]
    lines += rows(three[4], "subdural", "subarachnoid", "any") + [row for name in three[:4] for row in rows(name)]
    lines += rows(four[3], "intraventricular", "any") + rows(four[0]) + rows(four[1])[:-1]
    lines += [row for name in slices(6) for row in rows(name)]
    lines += rows("ID_ffffffffe", "any")
    (root / "stage_2_train.csv").write_text(table(*lines))
    return root


def test_a_study_is_what_its_slices_are(cohort, tmp_path):
    store, by_path, refused = ingested("rsna", cohort, tmp_path)
    labels = {study: known(by_path[f"stage_2_train/{slices(study)[0]}.dcm"]) for study in (1, 2, 3, 4, 7)}
    assert labels[1] == NONE
    assert labels[2] == NONE | {
        "intracranial_hemorrhage_any": 1, "epidural_hematoma": 1, "intraparenchymal_hemorrhage": 1
    }  # fmt: skip
    assert labels[3] == {key: value for key, value in NONE.items() if key not in SUBDURAL} | {
        "intracranial_hemorrhage_any": 1, "subarachnoid_hemorrhage": 1
    }  # fmt: skip
    assert labels[4] == {"intracranial_hemorrhage_any": 1, "intraventricular_hemorrhage": 1}
    assert labels[7] == known(by_path[f"stage_2_test/{slices(5)[0]}.dcm"]) == {}
    assert refused == {f"stage_2_train/{slices(6)[0]}.dcm": "ENC_TRUNCATED"}
    counts = store.manifest.counts
    assert (counts["studies"], counts["rows"], counts["patients"]) == (7, 6, 4)
    assert (counts["label_rows_contradicting"], counts["label_rows_unmatched"]) == (1, 6)
    assert store.manifest.source == "rsna"
    shared = [by_path[f"stage_2_{'test' if study == 5 else 'train'}/{slices(study)[0]}.dcm"] for study in (2, 3, 5)]
    assert len({(row["patient"], row["split"]) for row in shared}) == 1


def test_the_table_may_lie_elsewhere_and_be_compressed(cohort, tmp_path):
    packed = tmp_path / "labels.csv.gz"
    packed.write_bytes(gzip.compress((cohort / "stage_2_train.csv").read_bytes()))
    (cohort / "stage_2_train.csv").unlink()
    with pytest.raises(ConfigError, match=r"no labels file at .*stage_2_train.csv: give stage_2_train.csv with --lab"):
        ingested("rsna", cohort, tmp_path)
    assert ingested("rsna", cohort, tmp_path, labels=str(packed))[0].manifest.counts["label_rows_unmatched"] == 6


ROW = "ID_12cadc6af_epidural,0"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: it is no row"),
        ("ID,Label\n", "holds no rows"),
        ("Image,Label\n" + ROW, "line 1: the columns must be ID,Label"),
        ("ID;Label\nID_12cadc6af_epidural;0\n", "line 1: the columns must be ID,Label"),
        (table(ROW, "ID_12cadc6af_epidural,0.5"), "line 3: the Label must be 0 or 1"),
        (table(ROW, "", "ID_12cadc6af_any,"), "line 4: the Label must be 0 or 1"),
        (table(ROW, ROW, "ID_12cadc6af_bleed,0"), "line 4: the ID must be like ID_12cadc6af_epidural, with one of any"),
        (table(ROW, "12cadc6af,0"), "line 3: the ID must be like"),
        (table(ROW, "ID_12cadc6af_any"), "line 3: it is no row"),
        (table(ROW, ROW, "ID_12cadc6af_any,0,1"), "line 4: it is no row"),
        (table(*[ROW] * 70_000, "ID_12cadc6af_any,no"), "line 70002: the Label must be 0 or 1"),
        (b"ID,Label\n" + b"ID_\xff\xfe_any,0\n", "line 2: it is no row"),
    ],
)
def test_a_table_of_another_form_is_refused_by_its_line(tmp_path, text, told):
    file = tmp_path / "stage_2_train.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=told) as caught:
        read_slices(str(file))
    assert "\n" not in str(caught.value)


def test_what_table_programs_write_is_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfID,Label\r\nID_0aZ_any,1\r\n\r\nID_0aZ_epidural,0\r\n\r\n")
    read = read_slices(str(tmp_path / "a.csv"))
    assert (read.names.tolist(), read.unmatched()) == ([b"ID_0aZ"], 2)


@pytest.mark.parametrize(
    ("root", "told"),
    [
        (None, r"--source rsna needs --root, the folder of stage_2_train/ and stage_2_train.csv"),
        ("/nowhere/at/all", "no such folder: /nowhere/at/all"),
        ("EMPTY", r"no DICOM files under"),
    ],
)
def test_what_cannot_be_ingested_is_said_in_one_line(tmp_path, root, told):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "stage_2_train.csv").write_text(table(ROW))
    root = str(tmp_path / "empty") if root == "EMPTY" else root
    with pytest.raises(ConfigError, match=told):
        ingest(IngestConfig(source="rsna", root=root, store=str(tmp_path / "store"), key_file=str(tmp_path / "k")))


def test_a_table_of_the_true_size_would_take_seconds(tmp_path):
    """A tenth of it, in rows of slices that are not in order."""
    numbers = np.random.default_rng(5).choice(16**9, 75_280, replace=False)
    lines = [row for number in numbers for row in rows(f"ID_{number:09x}", "any" if number % 3 == 0 else "")]
    (tmp_path / "big.csv").write_text(table(*lines))
    start = time.monotonic()
    read = read_slices(str(tmp_path / "big.csv"))
    assert time.monotonic() - start < 6
    assert len(read.names) == len(numbers)
    assert read.present.sum() == (numbers % 3 == 0).sum()
    assert read.unmatched() == 6 * len(numbers)

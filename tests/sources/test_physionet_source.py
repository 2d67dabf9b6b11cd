"""PhysioNet CT-ICH as it is distributed: a NIfTI file a patient, a row a slice."""

import numpy as np
import pytest
from public_trees import head, in_this_process, ingested, known, write_nifti

from molre.errors import ConfigError
from molre.sources.ingest import IngestConfig, ingest
from molre.sources.physionet import read_rows

TABLE = "hemorrhage_diagnosis_raw_ct.csv"
HEADER = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,No_Hemorrhage,"
    "Fracture_Yes_No"
)
SUBDURAL = ("acute_subdural_hematoma", "subacute_chronic_subdural_hematoma", "acute_on_chronic_subdural_hematoma")
FRACTURES = (
    "calvarial_fracture", "displaced_or_depressed_skull_fracture", "skull_base_fracture", "temporal_bone_fracture",
    "facial_or_orbital_fracture",
)  # fmt: skip
NONE = dict.fromkeys(
    (
        "intracranial_hemorrhage_any", "intraparenchymal_hemorrhage", "intraventricular_hemorrhage",
        "subarachnoid_hemorrhage", "epidural_hematoma", *SUBDURAL, *FRACTURES,
    ),
    0,
)  # fmt: skip
PLAIN = "0,0,0,0,0,1,0"


@pytest.fixture(autouse=True)
def here(monkeypatch):
    in_this_process(monkeypatch)


def rows(patient: int, **special: str) -> list[str]:
    """Five slices without anything, but for those given as s1 to s5."""
    told = [special.get(f"s{number}", PLAIN) for number in range(1, 6)]
    return [f"{patient},{number},{text}" for number, text in enumerate(told, 1) if text]


@pytest.fixture
def cohort(tmp_path):
    """Scans with their masks beside, of which one is damaged and one has no row."""
    root = tmp_path / "ct-ich"
    for number in (49, 50, 51, 52, 53, 100, 130):
        write_nifti(root / "ct_scans" / f"{number:03d}.nii")
        write_nifti(root / "masks" / f"{number:03d}.nii", np.zeros_like(head()))
    write_nifti(root / "ct_scans" / "077.nii").write_bytes(b"cut")
    lines = [
        *rows(49),
        *rows(50, s2="0,1,0,0,0,0,0", s4="0,0,0,1,0,0,0"),
        *rows(51, s3="0,0,0,0,1,0,1"),
        *rows(52, s5=""),  # a slice without a row
        *rows(53, s1="0,0,,0,0,1,0", s2="0,0,0,0,0,0,0"),  # blank; and no type of what is there
        *rows(77),
        *rows(100, s1="1,0,0,0,0,0,1", s2="0,0,0,0,0,0,0"),
        *rows(60),  # its scan was never published
    ]
    (root / TABLE).write_text("\n".join([HEADER, *lines, ""]))
    (root / "patient_demographics.csv").write_text("Patient Number,Age\n49,50\n")
    return root


def test_a_scan_is_what_its_slices_are(cohort, tmp_path):
    store, by_path, refused = ingested("physionet", cohort, tmp_path)
    labels = {int(path[9:12]): known(found) for path, found in by_path.items()}
    assert labels[49] == NONE
    assert labels[50] == NONE | {
        "intracranial_hemorrhage_any": 1, "intraparenchymal_hemorrhage": 1, "epidural_hematoma": 1
    }  # fmt: skip
    assert labels[51] == without(NONE, *SUBDURAL, *FRACTURES) | {"intracranial_hemorrhage_any": 1}
    assert labels[52] == {}
    assert labels[53] == without(NONE, "intracranial_hemorrhage_any", "subarachnoid_hemorrhage")
    assert labels[100] == without(NONE, *FRACTURES) | {
        "intracranial_hemorrhage_any": 1, "intraventricular_hemorrhage": 1
    }  # fmt: skip
    assert labels[130] == {}
    assert refused == {"ct_scans/077.nii": "NIFTI_NOT_NIFTI"}
    counts = store.manifest.counts
    assert (counts["studies"], counts["rows"], counts["patients"]) == (8, 7, 7)
    assert (counts["ignored_files"], counts["label_rows_unmatched"]) == (9, 5)
    assert store.manifest.source == "physionet"
    assert {found["slice_count"] for found in by_path.values()} == {5}


def without(labels: dict, *keys: str) -> dict:
    return {key: value for key, value in labels.items() if key not in keys}


def test_a_slice_that_has_it_is_enough_where_others_have_no_row(cohort, tmp_path):
    (cohort / TABLE).write_text(f"{HEADER}\n49,3,0,0,1,0,0,0,0\n")
    labels = known(ingested("physionet", cohort, tmp_path)[1]["ct_scans/049.nii"])
    assert labels == {"intracranial_hemorrhage_any": 1, "subarachnoid_hemorrhage": 1}


def test_rows_that_repeat_a_slice_make_up_for_no_other(cohort, tmp_path):
    lines = [f"49,{number},{PLAIN}" for number in (1, 2, 3, 4, 4)]
    (cohort / TABLE).write_text("\n".join([HEADER, *lines, ""]))
    assert known(ingested("physionet", cohort, tmp_path)[1]["ct_scans/049.nii"]) == {}


def test_the_older_table_is_taken_where_there_is_no_newer(cohort, tmp_path):
    (cohort / TABLE).rename(cohort / "hemorrhage_diagnosis.csv")
    labels = known(ingested("physionet", cohort, tmp_path)[1]["ct_scans/049.nii"])
    assert labels == NONE
    (tmp_path / "b").mkdir()
    (tmp_path / "mine.csv").write_text(f"{HEADER}\n49,3,0,0,1,0,0,0,0\n")
    other = ingested("physionet", cohort, tmp_path / "b", labels=str(tmp_path / "mine.csv"))[1]
    assert known(other["ct_scans/049.nii"])["subarachnoid_hemorrhage"] == 1


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "line 1: the column 'PatientNumber' is missing"),
        ([HEADER.replace("Subdural", "SDH"), f"49,1,{PLAIN}"], "line 1: the column 'Subdural' is missing"),
        ([HEADER], "holds no rows"),
        ([HEADER, f"49,1,{PLAIN}", f"x,2,{PLAIN}"], "line 3, column PatientNumber: it must be a whole number"),
        ([HEADER, f"49,,{PLAIN}"], "line 2, column SliceNumber: it must be a whole number"),
        ([HEADER, "49,1,0,0,0,2,0,1,0"], "line 2, column Epidural: it must be 1, 0 or blank"),
        ([HEADER, f"49,1,{PLAIN},0"], "line 2 has more or fewer cells than the header"),
    ],
)
def test_a_table_of_another_form_is_refused_by_its_line(tmp_path, lines, told):
    (tmp_path / TABLE).write_text("\n".join([*lines, ""]))
    with pytest.raises(ConfigError, match=told):
        read_rows(str(tmp_path), None)


@pytest.mark.parametrize(
    ("root", "told"),
    [
        (None, f"--source physionet needs --root, the folder of ct_scans/ and {TABLE}"),
        ("/nowhere/at/all", "no such folder: /nowhere/at/all"),
        ("NO TABLE", f"no labels file at .*{TABLE}: give the cohort's {TABLE} with --labels"),
        ("NO SCANS", r"no .nii or .nii.gz files under .*/ct_scans \(9 other files\)"),
    ],
)
def test_what_cannot_be_ingested_is_said_in_one_line(cohort, tmp_path, root, told):
    if root == "NO TABLE":
        (cohort / TABLE).unlink()
    if root == "NO SCANS":
        for scan in (cohort / "ct_scans").iterdir():
            scan.unlink()
    root = str(cohort) if root and root.startswith("NO") else root
    with pytest.raises(ConfigError, match=told):
        ingest(IngestConfig(source="physionet", root=root, store=str(tmp_path / "store"), key_file=str(tmp_path / "k")))

"""CQ500 as it is distributed: folders by case, three reads each."""

import itertools
import pickle
import re
from pathlib import Path

import pytest
from public_trees import in_this_process, ingested, known, one_by_one, write_slices

from molre.dicom import SeriesFiles, StudyFiles
from molre.errors import ConfigError
from molre.findings import UNKNOWN
from molre.sources.cq500 import CROSSWALK, findings_of, majority, read_reads
from molre.sources.crosswalk import FRACTURE, crossed, gathered, union
from molre.sources.ingest import IngestConfig, ingest
from molre.sources.registry import source_of

READS = (
    "ICH", "IPH", "IVH", "SDH", "EDH", "SAH", "BleedLocation-Left", "BleedLocation-Right", "ChronicBleed", "Fracture",
    "CalvarialFracture", "OtherFracture", "MassEffect", "MidlineShift",
)  # fmt: skip
HEADER = ",".join(["name", "Category", *(f"R{reader}:{read}" for reader in (1, 2, 3) for read in READS)])
SUBDURAL = ("acute_subdural_hematoma", "subacute_chronic_subdural_hematoma", "acute_on_chronic_subdural_hematoma")
OTHER = ("skull_base_fracture", "temporal_bone_fracture", "facial_or_orbital_fracture")
NAMES = [f"CT{number:06d}.dcm" for number in range(5)]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    in_this_process(monkeypatch)


def row(name: str, *readers: dict) -> str:
    """A line in which each reader says 0 but for what is given."""
    cells = [str((dict.fromkeys(READS, 0) | said)[read]) for said in readers for read in READS]
    return ",".join([name, "B1", *cells])


@pytest.fixture
def cohort(tmp_path):
    """Five cases in folders as met; one has a plain, a post-contrast and a bone series, one has no row."""
    root = tmp_path / "cq500"
    for case, folder in (
        (66, "CQ500CT66 CQ500CT66/Unknown Study/CT Plain"),
        (7, "qct01/CQ500CT7 CQ500CT7/Unknown Study/CT 4cc sec 150cc D3D on"),
        (107, "CQ500-CT-107/CQ500CT107_CQ500CT107/Unknown_Study/CT_PLAIN_THIN"),
        (3, "CQ500CT3"),
        (490, "qct18/CQ500CT490 CQ500CT490/Unknown Study/CT Plain"),
    ):
        write_slices(root / folder, NAMES, case, "")
    contrast = root / "CQ500CT66 CQ500CT66/Unknown Study/CT POST CONTRAST"
    write_slices(contrast, NAMES, 66, "", series=2, contrast="Omnipaque")
    positive = {"ICH": 1, "SDH": 1, "ChronicBleed": 1, "CalvarialFracture": 1, "OtherFracture": 1, "MassEffect": 1}
    lines = [
        row("CQ500-CT-66", positive, positive, {"ICH": 1}),
        row("CQ500-CT-7", {}, {}, {"SAH": 1}),
        row("CQ500-CT-107", {"MidlineShift": 1, "EDH": ""}, {"EDH": 1, "IPH": ""}, {"MidlineShift": "", "IPH": 1}),
        row("CQ500-CT-3", {"SDH": 1, "IVH": 1}, {"SDH": 1, "IVH": 1.0}, {"ICH": 1}),
        row("CQ500-CT-200", {}, {}, {}),
    ]
    (root / "reads.csv").write_text("\n".join([HEADER, *lines, ""]))
    return root


def test_a_case_is_what_most_readers_say(cohort, tmp_path):
    store, by_path, refused = ingested("cq500", cohort, tmp_path)
    assert not refused
    labels = {int(re.search(r"CQ500CT(\d+)", path)[1]): known(found) for path, found in by_path.items()}
    none = dict.fromkeys([key for keys in CROSSWALK.values() for key in keys], 0)
    assert len(none) == 14
    assert labels[7] == none
    assert labels[66] == without(none, *SUBDURAL, *OTHER) | {
        "intracranial_hemorrhage_any": 1, "calvarial_fracture": 1, "mass_effect": 1
    }  # fmt: skip
    # Two of three, one of two: one each of a tie is neither.
    assert labels[107] == without(none, "midline_shift", "epidural_hematoma", "intraparenchymal_hemorrhage")
    assert labels[3] == without(none, *SUBDURAL[:2]) | {"intraventricular_hemorrhage": 1}
    assert labels[490] == {}
    counts = store.manifest.counts
    assert (counts["studies"], counts["rows"], counts["patients"], counts["label_rows_unmatched"]) == (5, 5, 5, 1)
    assert store.manifest.source == "cq500"
    chosen = next(found for path, found in by_path.items() if path.startswith("CQ500CT66"))
    assert chosen["contrast"] is False
    assert "no contrast agent" in chosen["choice"]


def without(labels: dict, *keys: str) -> dict:
    return {key: value for key, value in labels.items() if key not in keys}


def test_the_case_is_the_patient_whatever_the_header_says(cohort, tmp_path):
    write_slices(cohort / "CQ500CT66 CQ500CT66/Unknown Study/later", NAMES, 999, "somebody")
    by_path = ingested("cq500", cohort, tmp_path)[1]
    studies = [found for path, found in by_path.items() if path.startswith("CQ500CT66")]
    assert len(studies) == 2
    assert len({found["patient"] for found in studies}) == 1
    assert known(studies[0]) == known(studies[1]) != {}


def test_a_case_is_known_by_its_patient_id_where_no_folder_names_it(cohort, tmp_path):
    write_slices(tmp_path / "root" / "a", NAMES, 66, "CQ500CT66")
    by_path = ingested("cq500", tmp_path / "root", tmp_path, labels=str(cohort / "reads.csv"))[1]
    assert known(by_path["a/CT000000.dcm"])["mass_effect"] == 1


@pytest.mark.parametrize(
    ("folders", "patients", "case"),
    [
        (("CQ500CT7", "CQ500CT7 CQ500CT7/CT Plain"), (), 7),
        (("CQ500CT7 of CQ500CT66",), (), 66),
        (("cq500_ct_007",), ("CQ500CT3",), 7),
        (("a", "CQ500CT3"), (), 3),
        (("CQ500CT7", "CQ500CT3"), (), None),
        (("a",), ("CQ500-CT-3", ""), 3),
        (("a",), ("CQ500-CT-3", "CQ500-CT-7"), None),
        (("CQ500",), ("66",), None),
    ],
)
def test_which_case_a_study_is(cohort, folders, patients, case):
    series = tuple(SeriesFiles(series_uid=folder, paths=(Path(folder) / "CT000001.dcm",)) for folder in folders)
    study = StudyFiles(study_uid="1.2", patient_ids=patients, series=series, name="")
    reads = read_reads(str(cohort / "reads.csv"))
    told = reads.known(study)
    assert told.patient == (None if case is None else f"CQ500-CT-{case}")
    assert dict(told.labels) == ({} if case is None else reads.by_case[case])


def test_the_key_does_not_travel(cohort, tmp_path):
    source = source_of(IngestConfig(source="cq500", root=str(cohort), store="x", key_file=str(tmp_path / "key")))
    cases = source.find(one_by_one).cases
    assert (tmp_path / "key").read_bytes() not in pickle.dumps((source, cases))


def test_blank_reads_are_left_out_of_the_majority():
    for reads in itertools.product((0, 1, UNKNOWN), repeat=3):
        yes, no = reads.count(1), reads.count(0)
        assert majority(reads) == (1 if yes > no else 0 if no > yes else UNKNOWN)
    assert [majority(reads) for reads in ((1, 0, UNKNOWN), (UNKNOWN,) * 3, (1, UNKNOWN, UNKNOWN))] == [-1, -1, 1]


@pytest.mark.parametrize(
    ("subdural", "chronic", "expected"),
    [
        (0, 0, (0, 0, 0)),
        (0, 1, (0, 0, 0)),
        (0, -1, (0, 0, 0)),
        (1, 0, (-1, -1, 0)),
        (1, 1, (-1, -1, -1)),
        (1, -1, (-1, -1, -1)),
        (-1, 0, (-1, -1, 0)),
        (-1, 1, (-1, -1, -1)),
    ],
)
def test_no_chronic_blood_excludes_acute_on_chronic_and_nothing_else(subdural, chronic, expected):
    labels = findings_of({"SDH": subdural, "ChronicBleed": chronic, "MassEffect": 1})
    assert tuple(labels[key] for key in SUBDURAL) == expected
    assert labels["mass_effect"] == 1
    assert labels["midline_shift"] == UNKNOWN


def test_a_union_says_all_or_nothing_of_its_members():
    assert union(("a", "b"), 0) == {"a": 0, "b": 0}
    assert union(("a", "b"), 1) == union(("a", "b"), -1) == {"a": -1, "b": -1}
    assert union(("a",), 1) == {"a": 1}
    assert crossed({"x": ("a", "b"), "y": ("c",)}, {"x": 0}) == {"a": 0, "b": 0, "c": -1}
    assert [gathered(*two) for two in ((True, False), (False, True), (False, False))] == [1, 0, -1]
    assert set(FRACTURE) == {"calvarial_fracture", "displaced_or_depressed_skull_fracture", *OTHER}


GOOD = row("CQ500-CT-1", {}, {}, {})


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "line 1: the column 'name' is missing"),
        ([HEADER.replace("R2:SDH", "R2:SDA"), GOOD], "line 1: the column 'R2:SDH' is missing"),
        ([HEADER], "holds no rows"),
        ([HEADER, GOOD, GOOD], "line 3: this case has a row already"),
        ([HEADER, GOOD.replace("CQ500-CT-1", "CQ500-CT-x")], "line 2: the name must be like CQ500-CT-66"),
        ([HEADER, row("CQ500-CT-1", {}, {"IVH": 2}, {})], "line 2, column R2:IVH: it must be 1, 0 or blank"),
        ([HEADER, GOOD, "CQ500-CT-2,B1,0,0"], "line 3 has more or fewer cells than the header"),
        ([HEADER, GOOD + ",0"], "line 2 has more or fewer cells than the header"),
        ([HEADER, '"' + GOOD], "line 2 is not CSV"),
    ],
)
def test_reads_of_another_form_are_refused_by_their_line(tmp_path, lines, told):
    (tmp_path / "reads.csv").write_text("\n".join([*lines, ""]))
    with pytest.raises(ConfigError, match=told):
        read_reads(str(tmp_path / "reads.csv"))


@pytest.mark.parametrize(
    ("root", "told"),
    [
        (None, "--source cq500 needs --root, the folder of the cases and reads.csv"),
        ("/nowhere/at/all", "no such folder: /nowhere/at/all"),
        ("COHORT", r"no labels file at .*reads.csv: give the cohort's reads.csv with --labels"),
    ],
)
def test_what_cannot_be_ingested_is_said_in_one_line(cohort, tmp_path, root, told):
    (cohort / "reads.csv").unlink()
    root = str(cohort) if root == "COHORT" else root
    with pytest.raises(ConfigError, match=told):
        ingest(IngestConfig(source="cq500", root=root, store=str(tmp_path / "store"), key_file=str(tmp_path / "k")))

"""Files to studies: nothing lost, nothing skipped without being counted."""

import os
import zipfile

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from molre.dicom import discovery, read_study, scan, scan_files
from molre.errors import MolreError, Rejection
from molre.location import Location
from molre.tree import Tree


def test_what_is_not_dicom_is_ignored_and_what_claims_to_be_is_refused(kit, tmp_path):
    kit.write(kit.scan(), tmp_path / "a" / "b" / "c", names="IM{:04d}".format)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "._001.dcm").write_bytes(b"\0\5\x16\7")
    (tmp_path / "text.dcm").write_text("hello, I am no DICOM file at all" * 20)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "cut.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "other.dcm").write_bytes(bytes(128) + b"DICM")
    with zipfile.ZipFile(tmp_path / "a" / "b" / "c" / "more.zip", "w") as archive:
        archive.writestr("x", "y")
    inventory = scan(tmp_path)
    assert len(inventory.studies) == 1
    assert inventory.ignored == 2
    assert {fault.path: (fault.code, fault.files) for fault in inventory.rejected} == {
        "text.dcm": ("ENC_NOT_DICOM", 1),
        "empty.dcm": ("ENC_EMPTY", 1),
        "cut.dcm": ("ENC_TRUNCATED", 2),
        "a/b/c/more.zip": ("ENC_ARCHIVE", 1),
    }
    assert read_study(inventory.studies[0]).repairs == ()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("IM0003", b"", "ENC_EMPTY"),
        ("IM0003", bytes(4096), "ENC_NOT_DICOM"),
        ("x.dcm", b"hello", "ENC_NOT_DICOM"),
        ("x.dcm", bytes(128) + b"DICM", "ENC_TRUNCATED"),
    ],
)
def test_a_file_that_cannot_be_read_belongs_to_the_series_of_its_folder(kit, tmp_path, name, content, code):
    kit.write(kit.scan(), tmp_path / "s")
    (tmp_path / "s" / name).write_bytes(content)
    study = kit.study(tmp_path)
    assert [one.fault and one.fault[0] for one in study.series] == [code]
    with pytest.raises(Rejection, match=code):
        read_study(study)


def test_a_file_that_cannot_be_read_among_several_series_leaves_them_alone(kit, tmp_path):
    for series in ("1.2.3.1", "1.2.3.2"):
        kit.write(kit.scan(series=series), tmp_path, names=(series + "-{}.dcm").format)
    (tmp_path / "x.dcm").write_bytes(b"hello")
    study = kit.study(tmp_path)
    assert [(one.series_uid, one.fault and one.fault[0]) for one in study.series] == [
        ("1.2.3.1", None), ("1.2.3.2", None), ("", "ENC_NOT_DICOM"),
    ]  # fmt: skip
    assert read_study(study).stack.hu.shape[0] == 7


def test_a_file_that_cannot_be_read_among_several_studies_is_a_line_of_its_own(kit, tmp_path):
    for study in ("1.5", "1.6"):
        kit.write(kit.scan(study=study, series=study + ".1"), tmp_path, names=(study + "-{}.dcm").format)
    (tmp_path / "x.dcm").write_bytes(b"hello")
    inventory = scan(tmp_path)
    assert [one.fault for study in inventory.studies for one in study.series] == [None, None]
    assert [(line.path, line.code) for line in inventory.rejected] == [("x.dcm", "ENC_NOT_DICOM")]


def test_looks_at_parts_of_a_tree_add_up_to_a_look_at_all_of_it(kit, tmp_path, monkeypatch):
    for number in range(3):
        kit.write(kit.scan(study=f"1.{number}"), tmp_path, names=f"{number}-{{}}.dcm".format)
        kit.write(kit.scan(study=f"1.{number}", series="2.2"), tmp_path / str(number))
    (tmp_path / "1" / "x.dcm").write_bytes(b"hello")
    whole = scan(tmp_path)
    monkeypatch.setattr(discovery, "LOOK_FILES", 4)
    assert scan(tmp_path) == whole
    assert len(list(discovery.lots(Tree(Location.of(tmp_path))))) == 11


def test_links_in_a_circle_are_counted_and_not_followed(kit, tmp_path):
    kit.write(kit.scan(), tmp_path / "s")
    (tmp_path / "s" / "again").symlink_to(tmp_path)
    (tmp_path / "self.dcm").symlink_to(tmp_path / "self.dcm")
    inventory = scan(tmp_path)
    assert (len(inventory.studies), inventory.links) == (1, 1)
    assert [(line.path, line.code) for line in inventory.rejected] == [("self.dcm", "ENC_UNREADABLE")]


def test_studies_and_series_are_told_apart_by_uid_wherever_their_files_lie(kit, tmp_path):
    for study, series in [("1.5", "1.5.1"), ("1.5", "1.5.2"), ("1.6", "1.6.1")]:
        scan_ = kit.scan(count=4, study=study, series=series)
        kit.write(scan_, tmp_path, names=lambda index, series=series: f"{index}{series}/x.dcm".replace("/", "_"))
    studies = scan(tmp_path).studies
    assert [(study.study_uid, [len(one.paths) for one in study.series]) for study in studies] == [
        ("1.5", [4, 4]),
        ("1.6", [4]),
    ]


def test_a_file_without_uids_is_refused(kit, tmp_path):
    kit.write(kit.scan(count=1, changes={"StudyInstanceUID": None}), tmp_path)
    assert [fault.code for fault in scan(tmp_path).rejected] == ["SER_NO_UID"]


def test_pipes_and_absent_folders_do_not_hang_or_pass(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    assert [fault.code for fault in scan(tmp_path).rejected] == ["ENC_UNREADABLE"]
    with pytest.raises(MolreError):
        scan(tmp_path / "absent")


@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.permutations(range(7)), st.permutations(range(7)))
def test_shuffled_names_and_instance_numbers_change_nothing(kit, tmp_path_factory, names, numbers):
    folder = tmp_path_factory.mktemp("shuffled")
    scan_ = kit.scan(travel=(0, 0.3, 1))
    for index in range(7):
        data = scan_.dataset(index)
        data.InstanceNumber = numbers[index]
        (folder / f"{names[index]}.dcm").write_bytes(kit.encoded(data, scan_.syntax))
    series = read_study(kit.study(folder))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])
    np.testing.assert_allclose(series.stack.origins_mm, scan_.origins(), atol=1e-5)


def test_a_list_of_files_does_as_well_as_a_folder(kit, tmp_path):
    paths = kit.write(kit.scan(), tmp_path)
    assert scan_files(paths, tmp_path) == scan(tmp_path)

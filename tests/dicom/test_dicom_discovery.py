"""Files to studies: nothing lost, nothing skipped without being counted."""

import os

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from molre.dicom import read_study, scan, scan_files
from molre.errors import MolreError


def test_what_is_not_dicom_is_ignored_and_what_claims_to_be_is_refused(kit, tmp_path):
    kit.write(kit.scan(), tmp_path / "a" / "b" / "c", names="IM{:04d}".format)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "._001.dcm").write_bytes(b"\0\5\x16\7")
    (tmp_path / "text.dcm").write_text("hello, I am no DICOM file at all" * 20)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "cut.dcm").write_bytes(bytes(128) + b"DICM")
    inventory = scan(tmp_path)
    assert len(inventory.studies) == 1
    assert inventory.ignored == 2
    assert {fault.path: fault.code for fault in inventory.rejected} == {
        "text.dcm": "ENC_NOT_DICOM",
        "empty.dcm": "ENC_EMPTY",
        "cut.dcm": "ENC_TRUNCATED",
    }


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

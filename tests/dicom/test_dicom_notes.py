"""What is odd about files and does no harm: said beside the right volume, and never of a clean one."""

import dataclasses
import warnings

import numpy as np
import pytest
from pydicom import uid

from molre.dicom import read_study, scan
from molre.dicom.series import MAX_FILES


def hu_of(scan_):
    return [scan_.hu(index) for index in range(scan_.count)]


def test_a_clean_series_has_no_notes(kit, tmp_path):
    """Also not one whose header says all that it may."""
    full = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SpacingBetweenSlices": "18",
        "RescaleType": "HU",
        "PatientIdentityRemoved": "YES",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "NO",
        "ContrastBolusAgent": "NONE",
    }
    for number, changes in enumerate(({}, full)):
        kit.write(kit.scan(changes=changes), tmp_path / f"{number}")
        attributes = read_study(kit.study(tmp_path / f"{number}")).attributes
        assert (attributes["repairs"], attributes["passed_over"], attributes["choice"]) == ([], [], "the only series")


@pytest.mark.parametrize("kept", ["meta", "nothing"])
def test_files_without_preamble_or_meta_information(kit, tmp_path, kept):
    scan_ = kit.scan(syntax=uid.ImplicitVRLittleEndian)
    for path in kit.write(scan_, tmp_path):
        data = path.read_bytes()
        path.write_bytes(data[132 if kept == "meta" else data.index(b"\x08\x00\x08\x00") :])
    series = read_study(kit.study(tmp_path))
    told = "ENC_NO_META: 7 files have no preamble or no meta information: their transfer syntax is told from the data"
    assert series.repairs == (told,)
    np.testing.assert_array_equal(series.stack.hu, hu_of(scan_))


@pytest.mark.parametrize(
    "magic", [b"II*\0\x10", b"MM\0*", b"MZ\x90", b"\x7fELF\2", b"PK\3\4", b"%PDF-1.7", b"#!/bin/sh\n"]
)
def test_a_preamble_that_starts_another_format(kit, tmp_path, magic):
    scan_ = kit.scan()
    path = kit.write(scan_, tmp_path)[3]
    data = path.read_bytes()
    path.write_bytes(magic + data[len(magic) :])
    series = read_study(kit.study(tmp_path))
    told = "ENC_PREAMBLE: the preamble of 1 files is the start of another format: it is not looked at"
    assert series.repairs == (told,)
    np.testing.assert_array_equal(series.stack.hu, hu_of(scan_))


def test_a_preamble_of_anything_else_is_not_looked_at(kit, tmp_path):
    path = kit.write(kit.scan(), tmp_path)[3]
    path.write_bytes(b"Musterfrau^Erika".ljust(128) + path.read_bytes()[128:])
    assert read_study(kit.study(tmp_path)).repairs == ()


@pytest.mark.parametrize(
    ("charset", "known"),
    [
        ("ISO_IR 192", True),
        (["", "ISO 2022 IR 87"], True),
        ("GB18030", True),
        ("ISO_IR 999", False),
        ("Musterfrau", False),
    ],
)
def test_text_of_an_unknown_character_set_is_not_used(kit, tmp_path, charset, known):
    changes = {"SpecificCharacterSet": charset, "ConvolutionKernel": None, "SeriesDescription": "Knochern BONE"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = kit.write(kit.scan(changes=changes), tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"Knochern", b"Kn\xf6chern"))
    series = read_study(kit.study(tmp_path), "bone")
    told = "ENC_CHARSET: 7 files name an unknown character set: text beyond ASCII is not used"
    assert series.repairs == (() if known else (told,))
    assert series.attributes["kernel_class"] == ("bone" if known else "unknown")


@pytest.mark.parametrize(("removed", "told"), [("NO", ["PHI_NOT_DEID"]), ("YES", []), ("", [])])
def test_identities_that_were_not_removed(kit, tmp_path, removed, told):
    kit.write(kit.scan(changes={"PatientIdentityRemoved": removed}), tmp_path)
    assert kit.codes(read_study(kit.study(tmp_path))) == told


def test_a_contrast_series_is_taken_with_a_note_where_there_is_no_other(kit, tmp_path):
    kit.write(kit.scan(changes={"ContrastBolusAgent": "Iohexol"}), tmp_path)
    series = read_study(kit.study(tmp_path))
    assert kit.codes(series) == ["SER_CONTRAST"]
    assert series.attributes["contrast"] is True


@pytest.mark.parametrize(
    ("kernel", "wanted", "told"),
    [
        ("BONEPLUS", "soft", ["SER_KERNEL"]),
        ("H31s", "bone", ["SER_KERNEL"]),
        ("11", "soft", []),
        ("11", "bone", []),
        ("H31s", "soft", []),
    ],
)
def test_another_kernel_than_asked_for_is_told(kit, tmp_path, kernel, wanted, told):
    kit.write(kit.scan(changes={"ConvolutionKernel": kernel}), tmp_path)
    assert kit.codes(read_study(kit.study(tmp_path), wanted)) == told


def test_too_many_files_are_refused_before_any_is_opened(kit, tmp_path):
    (path, *_) = kit.write(kit.scan(count=1), tmp_path)
    study = kit.study(tmp_path)
    path.unlink()
    (series,) = study.series
    many = dataclasses.replace(series, paths=(path,) * (MAX_FILES + 1))
    assert kit.refused(dataclasses.replace(study, series=(many,))) == "ENC_TOO_MANY_FILES"


def test_a_series_too_large_to_hold_is_refused_before_it_is(kit, tmp_path):
    """130 headers of 4096 x 4096 promise more than 4 GiB; there are 2 KiB of pixels in each."""
    (path,) = kit.write(kit.scan(count=1, changes={"Rows": 4096, "Columns": 4096}), tmp_path / "one")
    (study,) = scan(tmp_path / "one").studies
    (series,) = study.series
    for count, code in ((128, "ENC_TRUNCATED"), (129, "ENC_TOO_MANY_BYTES")):
        paths = []
        for number in range(count):
            paths.append(tmp_path / f"{number}.dcm")
            data = path.read_bytes()
            at = data.index(b"DS", data.index(b"\x20\x00\x32\x00")) + 4
            length = int.from_bytes(data[at - 2 : at], "little")
            position = f"0\\0\\{number}.5".ljust(length).encode()
            paths[-1].write_bytes(data[:at] + position + data[at + length :])
        many = dataclasses.replace(series, paths=tuple(paths))
        assert kit.refused(dataclasses.replace(study, series=(many,))) == code


def element(tag, form, value, length=None):
    """An explicit, little-endian element with a long length."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + form + b"\0\0"
    return head + (len(value) if length is None else length).to_bytes(4, "little") + value


ENDLESS = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
OPEN = ITEM + b"\xff" * 4
BROKEN = {
    "no items in it": element(0x00321064, b"SQ", b"\x08\0\x50\x11UI\4\0abcd" * 2, ENDLESS),
    "no end of an item": element(0x00321064, b"SQ", OPEN, ENDLESS),
    "no end of the sequence": element(0x00321064, b"SQ", OPEN + ITEM_END, ENDLESS),
    "a thousand levels": element(0x00321064, b"SQ", (OPEN + element(0x00321064, b"SQ", b"", ENDLESS)) * 1000, ENDLESS),
}


@pytest.mark.parametrize("sequence", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("every", [True, False])
def test_broken_and_endless_sequences_are_refused(kit, tmp_path, sequence, every):
    for path in kit.write(kit.scan(), tmp_path)[None if every else 3 : None if every else 4]:
        data = path.read_bytes()
        at = data.index(b"\xe0\x7f\x10\x00")
        path.write_bytes(data[:at] + sequence + data[at:])
    assert kit.refused(kit.study(tmp_path)) == "ENC_BAD_SEQUENCE"


@pytest.mark.parametrize("size", [64, 40_000])
def test_a_file_cut_within_an_icon_is_cut_and_not_endless(kit, tmp_path, size):
    """The icon's own pixels lie in a sequence, before or beyond the part of a file that is read first."""
    icon = element(0x7FE00010, b"OW", b"\1" * size)
    sequence = element(0x00880200, b"SQ", OPEN + icon + ITEM_END + SEQUENCE_END, ENDLESS)
    scan_ = kit.scan()
    paths = kit.write(scan_, tmp_path)
    for path in paths:
        data = path.read_bytes()
        at = data.index(b"\xe0\x7f\x10\x00")
        path.write_bytes(data[:at] + sequence + data[at:])
    np.testing.assert_array_equal(read_study(kit.study(tmp_path)).stack.hu, hu_of(scan_))
    paths[3].write_bytes(data[: data.index(b"\xe0\x7f\x10\x00")] + sequence[: size // 2])
    assert kit.refused(kit.study(tmp_path)) == "ENC_TRUNCATED"

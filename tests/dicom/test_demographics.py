"""Sex and band of age, as headers of all kinds tell them."""

import pytest

from molre.dicom import read_study
from molre.dicom.demographics import AGE_BANDS, OLDEST, age_band_of, sex_of


@pytest.mark.parametrize(
    ("age", "birth", "scanned", "band"),
    [
        (b"017Y", b"", b"", "under 18"),
        (b"018Y", b"", b"", "18 to 39"),
        (b"064Y", b"", b"", "40 to 64"),
        (b"079Y\0", b"", b"", "65 to 79"),
        (b"080Y", b"", b"", OLDEST),
        (b"104Y", b"", b"", OLDEST),
        (b"006M", b"", b"", "under 18"),
        (b"480M", b"", b"", "40 to 64"),
        (b"003W", b"", b"", "under 18"),
        (b"010D", b"", b"", "under 18"),
        (b"", b"19600302", b"20250301", "40 to 64"),
        (b"", b"19600302", b"20250302", "65 to 79"),
        (b"", b"1960.03.02", b"20250302", "65 to 79"),
        (b"17Y", b"20200229", b"20210228", "under 18"),
        (b"", b"20250302", b"20250301", None),
        (b"", b"18000101", b"20250301", None),
        (b"", b"19600230", b"20250301", None),
        (b"", b"19600302", b"", None),
        (b"", b"", b"", None),
        (b"unknown", b"no date", b"no date", None),
        (b"\xff\xfe04Y", b"", b"", None),
    ],
)
def test_the_band_of_an_age(age, birth, scanned, band):
    assert age_band_of(age, birth, scanned) == band


def test_no_band_tells_an_age_of_ninety_or_more():
    assert max(AGE_BANDS) < 90


@pytest.mark.parametrize(
    ("stated", "sex"), [(b"F", "F"), (b"m ", "M"), (b"O\0", "O"), (b"", None), (b"X", None), (b"\xe9", None)]
)
def test_sex(stated, sex):
    assert sex_of(stated) == sex


def test_a_series_tells_both(kit, tmp_path):
    kit.write(kit.scan(changes={"PatientSex": "F", "PatientAge": "091Y"}), tmp_path)
    attributes = read_study(kit.study(tmp_path)).attributes
    assert (attributes["sex"], attributes["age_band"]) == ("F", "80 or more")


def test_a_header_that_tells_neither(kit, tmp_path):
    kit.write(kit.scan(changes={"PatientSex": "", "PatientAge": "", "PatientBirthDate": ""}), tmp_path)
    attributes = read_study(kit.study(tmp_path)).attributes
    assert (attributes["sex"], attributes["age_band"]) == (None, None)

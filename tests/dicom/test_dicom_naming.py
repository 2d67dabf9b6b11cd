"""What a path shows of the archive, and what it must not show of a patient."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molre.dicom.naming import Person, masked, person_of


def person(
    name="Musterfrau^Erika", numbers=("MRN-0047110815",), dates=("20260301", "19370415"), uids=("1.2.840.99.7",)
):
    return person_of(name, numbers, dates, uids)


def shown(path, who):
    return masked(path, who, lambda part: f"secret-of-{len(part)}-letters")


@pytest.mark.parametrize(
    "part",
    [
        "MUSTERFRAU", "erika musterfrau", "Musterfrau,Erika", "MUSTERFRAU^ERIKA^^", "musterfrau_erika_1",
        "ErikaMusterfrau",
        "MRN-0047110815", "mrn-0047110815.dcm", "0047110815", "case 0047110815 b",
        "20260301", "2026-03-01", "2026_03_01", "01.03.2026", "03-01-2026", "19370415", "15041937", "15.4.1937",
        "1.2.840.99.7", "CT.1.2.840.99.7.1.dcm",
    ],
)  # fmt: skip
def test_a_part_that_repeats_something_of_the_patient_is_hidden(part):
    told = shown(f"clinic/{part}/CT/0001.dcm", person())
    assert told == f"clinic/#{f'secret-of-{len(part)}-letters'[:12]}/CT/0001.dcm"


@pytest.mark.parametrize(
    "path",
    [
        "clinic 7/CT/series 12/IM0001.dcm",
        "2026/03/case_07/x",
        "frau/muster/x.dcm",
        "1.2.840/x",
        "5mm",
        "thin 0.625",
        "",
    ],
)
def test_what_names_nobody_is_shown(path):
    assert shown(path, person()) == path
    assert shown(path, None) == path
    assert shown(path, Person()) == path


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Müller^Jörg", "MÜLLER"),
        ("Müller^Jörg", unicodedata.normalize("NFD", "Müller")),
        ("Müller^Jörg", "muller_j"),
        ("Strauß^Anna", "STRAUSS"),
        ("Yamada^Tarou=山田^太郎", "yamada"),
        ("O'Neill^Ann", "ONEILL"),
        ("Le-Blanc^Zoé", "leblanc zoe"),
    ],
)
def test_names_are_known_in_other_spellings(name, part):
    assert shown(f"{part}/x", person(name=name)).startswith("#")


@pytest.mark.parametrize("part", ["Li", "Ann", "de"])
def test_short_parts_of_a_name_hide_whole_words_only(part):
    who = person(name=f"Li^Ann {part}")
    assert shown("planning/delivery", who) == "planning/delivery"


@pytest.mark.parametrize("part", ["DOE^JANE", "Doe, Jane", "20260301", "47110", "1.2.840.10008.5"])
def test_what_looks_like_a_patient_is_hidden_where_nobody_is_known(part):
    assert shown(f"a/{part}/b", None) == f"a/#{f'secret-of-{len(part)}-letters'[:12]}/b"


def test_a_label_of_a_few_digits_is_no_record_number():
    assert shown("case_07/x", person(numbers=("case_07", "12"))) == "case_07/x"


def test_days_as_folders_are_hidden():
    assert shown("2026/3/1/17/x", person()).split("/")[3:] == ["17", "x"]
    assert shown("2026/03/02/17/x", person()) == "2026/03/02/17/x"


def test_one_folder_has_one_mask():
    lines = [shown(f"MUSTERFRAU/{name}", person()) for name in ("a", "b")]
    assert len({line.split("/")[0] for line in lines}) == 1


def test_persons_of_several_files_add_up():
    both = person() | person(name="Doe^Jane", numbers=("9999888",))
    assert shown("erika/jane/9999888/0047110815/john", both).count("#") == 4


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(alphabet=st.characters(exclude_characters="/"), min_size=1), st.text(max_size=20))
def test_any_text_is_taken(part, name):
    who = person_of(name, (name, part), (name,), (part,))
    told = shown(f"{part}/{name}", who)
    assert told.count("/") == 1 + name.count("/")
    assert isinstance(shown(f"{part}\udcff/x", None), str)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.from_regex(r"[A-Za-z]{5,12}", fullmatch=True), st.from_regex(r"[0-9]{6,10}", fullmatch=True), st.data())
def test_no_long_name_or_number_survives(name, number, data):
    around = st.from_regex(r"[a-z _.-]{0,4}", fullmatch=True)
    parts = [data.draw(around) + word + data.draw(around) for word in (name.upper(), number, name.lower())]
    told = shown("/".join(parts), person_of(f"{name}^X", (number,), (), ())).lower()
    assert name.lower() not in told.replace("secret-of-", "")
    assert number not in told


def test_the_words_of_everybodys_names_hide_files_that_do_not_say_whose_they_are():
    told = masked("Erika_1/MÜLLER/IM 1", None, lambda part: "secret", frozenset({"erika", "muller"}))
    assert told == "#secret/#secret/IM 1"


@pytest.mark.parametrize(
    "part", ["1937-04-15", "15.04.37", "15 Apr 1937", "3.dec.04", "山田", "\udcff\udcfe", "4711081"]
)
def test_what_could_be_a_date_number_or_name_is_hidden_whoever_it_is_of(part):
    assert masked(f"a/{part}", Person(), lambda _: "secret") == "a/#secret"

"""Nothing that names a patient leaves the reader, and pseudonyms hold."""

import stat
import warnings
from string import Formatter

import pytest

from molre.dicom import Pseudonymiser, load_key, read_study, scan
from molre.dicom.codes import PASSED_OVER, REFUSALS, REPAIRS
from molre.errors import ConfigError, Rejection


def test_attributes_repeat_no_part_of_the_patient(kit, tmp_path):
    leaks = {"Manufacturer": "Musterfrau CT", "ConvolutionKernel": "ERIKA-1", "SeriesDescription": "for Erika"}
    kit.write(kit.scan(changes=leaks), tmp_path)
    told = repr(read_study(kit.study(tmp_path)).attributes).lower()
    assert not any(word in told for word in ("musterfrau", "erika", "4711", "secret"))


@pytest.mark.parametrize(
    "damage",
    [
        {"ImagePositionPatient": ["1", "2", "3", "4"]},
        {"RescaleSlope": None},
        {"SpecificCharacterSet": "ISO_IR Musterfrau"},
        {"StudyInstanceUID": "Musterfrau^Erika"},
    ],
)
def test_nothing_of_a_header_is_printed_warned_or_raised(kit, tmp_path, capfd, caplog, damage):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kit.write(kit.scan(changes=damage), tmp_path)
    capfd.readouterr()
    caplog.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            told = repr(read_study(scan(tmp_path).studies[0]).attributes)
        except Rejection as fault:
            told = f"{fault} {fault.__cause__} {'' if fault.__suppress_context__ else fault.__context__}"
    printed = "".join(capfd.readouterr())
    assert "uster" not in told + printed + caplog.text
    assert not warned


def test_sentences_take_numbers_and_the_program_s_own_words_only():
    sentences = [*REFUSALS.values(), *REPAIRS.values(), *PASSED_OVER.values()]
    taken = {name for sentence in sentences for _, name, _, _ in Formatter().parse(sentence) if name}
    measures = {name for name in taken if name.endswith(("_mm", "_deg", "_mib"))}
    words = {"kind", "place"}  # class of an exception, and a file of this program with a line
    assert taken - measures == words | {"limit", "count", "least", "times"}


def test_pseudonyms_hang_on_key_text_and_kind(tmp_path):
    first, second = Pseudonymiser(bytes(32)), Pseudonymiser(bytes(31) + b"\1")
    names = {first.of("a", "patient"), first.of("b", "patient"), first.of("a", "study"), second.of("a", "patient")}
    assert len(names) == 4
    assert first.of("a", "patient") == Pseudonymiser(bytes(32)).of("a", "patient")
    assert all(len(name) == 24 and int(name, 16) >= 0 for name in names)


def test_the_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "keys" / "pseudonym.key"
    key = load_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path) == key
    assert list(path.parent.iterdir()) == [path]


def test_a_short_key_is_refused(tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ConfigError):
        load_key(tmp_path / "key")
    with pytest.raises(ConfigError):
        Pseudonymiser(b"short")

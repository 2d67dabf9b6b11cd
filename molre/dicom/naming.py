"""Folder and file names without what they repeat of a header: archives are often laid out by name, number and date."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

from pydicom.charset import python_encoding

from molre.dicom.elements import Elements

LEAST_LETTERS = 3
"""Shorter parts of a name would match by chance: of the patient's they hide whole words, of others' nothing."""

LONG_LETTERS = 5
"""Parts of a name from here on are looked for within words too, as in ``ErikaMusterfrau``."""

_LONG_NUMBER = re.compile(r"\d{4,}")
_LONGER_NUMBER = re.compile(r"\d{5,}")
_WORD = re.compile(r"[^\W\d_]+")
_MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_SUSPECT = re.compile(
    r"\^|,\s|[1-9]\d{4,}|\d+(\.\d+){4,}|[\ud800-\udfff]"
    r"|(?<!\d)(\d{4}([-._ ])\d{1,2}\3\d{1,2}|\d{1,2}([-._ ])\d{1,2}\4(\d{4}|\d{2}))(?!\d)"
    rf"|\d{{1,2}}\W?({_MONTHS})[a-z]*\W?\d{{2}}",
    re.IGNORECASE,
)
"""A person's name as DICOM writes it, a record number, a UID, bytes that are no text, or a date."""

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})

_CHARSET = 0x00080005
_NAMES = (0x00100010, 0x00101001, 0x00101005, 0x00101060)
_OTHERS_NAMES = (0x00080090, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00321032)
_NUMBERS = (0x00080050, 0x00100020, 0x00101000, 0x00181000, 0x00200010)
_PLACES = (0x00080080, 0x00081010, 0x00081040)
_DATES = (0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00100030)
_UIDS = (0x00080018, 0x0020000D, 0x0020000E)
PERSON_TAGS = frozenset({_CHARSET, *_NAMES, *_OTHERS_NAMES, *_NUMBERS, *_PLACES, *_DATES, *_UIDS})
"""What names or dates a patient, of the basic profile's attributes (PS3.15, table E.1-1): names of the patient and of
physicians and operators, record, accession, study and serial numbers, institution and station, dates, UIDs."""


@dataclass(frozen=True, slots=True)
class Person:
    """What a path must not show of a patient.

    Attributes:
        words: parts of names, without accents and case.
        texts: numbers, places and UIDs; looked for anywhere in a path.
        dates: eight digits each, in the three orders that are in use.
    """

    words: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()

    def __or__(self, other: Person) -> Person:
        return Person(self.words | other.words, self.texts | other.texts, self.dates | other.dates)

    def is_in(self, text: str) -> bool:
        """Whether a path's part or a technical word repeats something of the patient."""
        plain, digits = _plain(text), _digits(text)
        return (
            any(told in plain for told in self.texts)
            or any(date in digits for date in self.dates)
            or any(word in plain for word in self.words if len(word) >= LONG_LETTERS)
            or not self.words.isdisjoint(_words(plain))
        )


def is_suspect(text: str) -> bool:
    """Whether it looks like a name, number, date or UID, whoever's; letters that are not Latin are not told apart."""
    return bool(_SUSPECT.search(text)) or not (text.isascii() or all(map(_is_latin, text)))


@functools.lru_cache(maxsize=1 << 16)
def _is_latin(letter: str) -> bool:
    return not letter.isalpha() or unicodedata.name(letter, "").startswith("LATIN")


def person_in(elements: Elements) -> Person:
    """What a header, read with `PERSON_TAGS`, names the patient by."""
    person = _person(_values(elements))
    uids = frozenset(uid for tag in _UIDS if len(uid := elements.text(tag)) >= _UID_LETTERS)
    return Person(person.words, person.texts | uids, person.dates)


def names_nobody(text: str, elements: Elements) -> bool:
    """Whether a technical word of a header, read with `PERSON_TAGS`, is free of what the header says of the patient."""
    return _names_nobody(text, _values(elements))


_ALIKE = (_CHARSET, *_NAMES, *_OTHERS_NAMES, *_NUMBERS, *_PLACES, *_DATES)
_UID_LETTERS = 8


def _values(elements: Elements) -> tuple[bytes, ...]:
    return tuple([elements.values.get(tag, b"") for tag in _ALIKE])


@functools.lru_cache(maxsize=256)
def _names_nobody(text: str, values: tuple[bytes, ...]) -> bool:
    return not is_suspect(text) and not _person(values).is_in(text)


@functools.lru_cache(maxsize=256)
def _person(values: tuple[bytes, ...]) -> Person:
    """The part that slices of a study share, from the values of `_ALIKE`."""
    held = dict(zip(_ALIKE, values, strict=True))
    encoding = _encoding(held[_CHARSET])

    def texts(tags: Iterable[int]) -> list[str]:
        return [text for tag in tags for text in _readings(held[tag], encoding) if text]

    names, others = texts(_NAMES), texts(_OTHERS_NAMES)
    person = functools.reduce(Person.__or__, (person_of(name, (), (), ()) for name in names), Person())
    words = {word for name in others for word in _spellings(name) if len(word) >= LEAST_LETTERS}
    places = {_plain(place) for place in texts(_PLACES) if len(place) >= LONG_LETTERS}
    told = person_of("", texts(_NUMBERS), texts(_DATES), ())
    return Person(person.words | words, told.texts | places, told.dates)


def _encoding(charset: bytes) -> str:
    term = charset.decode("ascii", "ignore").partition("\\")[0].strip("\0 ")
    found = python_encoding.get(term) or "latin-1"
    return found if isinstance(found, str) else found[0]


def _readings(value: bytes, encoding: str) -> set[str]:
    """The text by the header's own word and as UTF-8, since headers are often wrong about it."""
    return {value.decode(name, "ignore").strip("\0 \t\r\n") for name in (encoding, "utf-8")}


def person_of(name: str, numbers: Sequence[str], dates: Sequence[str], uids: Sequence[str]) -> Person:
    """What is to be kept out of paths, from a header's values."""
    # A record number without four digits in a row is a label such as "case_07", which names nobody.
    texts = [_plain(number) for number in numbers if _LONG_NUMBER.search(number)]
    digits = [run for number in numbers for run in _LONGER_NUMBER.findall(number)]
    texts += [run.lstrip("0") for run in digits if len(run.lstrip("0")) >= LONG_LETTERS]
    days = [(date[:4], date[4:6], date[6:8]) for date in dates if date[:8].isdecimal() and len(date) >= 8]
    return Person(
        frozenset(word for word in _spellings(name) if len(word) > 1),
        frozenset([*texts, *(_plain(uid) for uid in uids if len(uid) >= _UID_LETTERS)]),
        frozenset(form for y, m, d in days for form in (y + m + d, d + m + y, m + d + y)),
    )


def _spellings(name: str) -> set[str]:
    """The words of a name, with and without accents, and short ones in pairs, as in ``LiBo``."""
    found = set[str]()
    for plain in (_plain(name), _plain(name.casefold().translate(_UMLAUTS))):
        words = [sys.intern(word) for word in _words(plain)]
        short = [word for word in words[:3] if len(word) < LONG_LETTERS]
        found |= {*words, *("".join(pair) for pair in permutations(short, 2))}
    return found


def masked(path: str, person: Person | None, secret: Callable[[str], str], others: frozenset[str] = frozenset()) -> str:
    """The path with every part hidden that repeats something of the patient, or looks as if it did.

    Args:
        path: relative, with slashes.
        person: whose file it is, as far as known.
        secret: keyed pseudonym of a part, so that the same folder has the same mask in every line.
        others: words of everybody's names, for a file that does not say whose it is.
    """
    parts = path.split("/")
    hidden = [
        is_suspect(part) or (person is not None and person.is_in(part)) or not others.isdisjoint(_words(_plain(part)))
        for part in parts
    ]
    for start in range(len(parts) - 2):
        day = parts[start : start + 3]  # year, month and day as folders
        if person is not None and all(map(str.isdecimal, day)) and _digits(*day) in person.dates:
            hidden[start : start + 3] = [True] * 3
    return "/".join(f"#{secret(part)[:12]}" if hide else part for part, hide in zip(parts, hidden, strict=True))


def _plain(text: str) -> str:
    """Without accents and case, so that spellings of one name are equal."""
    if text.isascii():
        return text.casefold()
    spread = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def _digits(*parts: str) -> str:
    """The numbers of a text in a row, of two digits at least, as dates have them."""
    return "".join(number.zfill(2) for part in parts for number in re.findall(r"\d+", part))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)

"""Folder and file names without what they repeat of a header: archives are often laid out by name, number and date."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

LEAST_LETTERS = 3
"""Shorter parts of a name are left alone: they would match by chance."""

_LONG_NUMBER = re.compile(r"\d{4,}")
_WORD = re.compile(r"[^\W\d_]+")
_SUSPECT = re.compile(r"\^|,\s|\d{5,}|\d+(\.\d+){4,}")
"""A person's name as DICOM writes it, a record number or date, or a UID."""


@dataclass(frozen=True, slots=True)
class Person:
    """What a path must not show of a patient.

    Attributes:
        words: parts of the name, lower case; a path's whole words are compared with them.
        texts: numbers, dates and UIDs; looked for anywhere in a path.
    """

    words: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    def __or__(self, other: Person) -> Person:
        return Person(self.words | other.words, self.texts | other.texts)


def person_of(name: str, numbers: Sequence[str], dates: Sequence[str], uids: Sequence[str]) -> Person:
    """What is to be kept out of paths, from a header's values."""
    words = (word.lower() for word in _WORD.findall(name))
    # A record number without four digits in a row is a label such as "case_07", which names nobody.
    texts = [number.lower() for number in numbers if _LONG_NUMBER.search(number)]
    texts += [date for date in dates if len(date) >= 6]
    texts += [f"{date[:4]}-{date[4:6]}-{date[6:8]}" for date in dates if len(date) >= 8]
    return Person(
        frozenset(word for word in words if len(word) >= LEAST_LETTERS),
        frozenset([*texts, *(uid for uid in uids if len(uid) >= 8)]),
    )


def masked(path: str, person: Person | None, secret: Callable[[str], str]) -> str:
    """The path with every part hidden that repeats something of the patient.

    Args:
        path: relative, with slashes.
        person: whose file it is; without one, every part that looks like a name, number, date or UID is hidden.
        secret: keyed pseudonym of a part, so that the same folder has the same mask in every line.
    """
    return "/".join(f"#{secret(part)[:12]}" if _tells(part, person) else part for part in path.split("/"))


def _tells(part: str, person: Person | None) -> bool:
    if person is None:
        return bool(_SUSPECT.search(part))
    low = part.lower()
    return any(text in low for text in person.texts) or not person.words.isdisjoint(_words(low))


def _words(text: str) -> Iterable[str]:
    return _WORD.findall(text)

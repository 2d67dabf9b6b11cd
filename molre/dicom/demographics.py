"""Sex and age of a patient, as coarsely as a subgroup needs them: neither tells who it was."""

from __future__ import annotations

import functools
import re
from datetime import date

SEXES = frozenset("FMO")
"""Enumerated values of Patient's Sex (PS3.3, C.7.1.1)."""

AGE_BANDS = {18: "under 18", 40: "18 to 39", 65: "40 to 64", 80: "65 to 79"}
"""Age in years below which a patient is in a band, chosen by this project: minors are their own band, and the last one
begins below 90, from where on an age identifies (45 CFR 164.514(b)(2)(i)(C))."""

OLDEST = "80 or more"

_AGE = re.compile(rb"(\d{3})([DWMY])")
_DATE = re.compile(rb"(\d{4})\.?(\d{2})\.?(\d{2})")
_UNITS_A_YEAR = {b"D": 365.25, b"W": 52.18, b"M": 12.0, b"Y": 1.0}


@functools.lru_cache
def sex_of(stated: bytes) -> str | None:
    """``F``, ``M`` or ``O`` as Patient's Sex states it; none if it states anything else."""
    word = stated.strip(b"\0 ").decode("latin-1").upper()
    return word if word in SEXES else None


@functools.lru_cache
def age_band_of(age: bytes, birth: bytes, scanned: bytes) -> str | None:
    """The band of a patient's age; none where the header does not tell it.

    Args:
        age: Patient's Age, an age string (PS3.5, 6.2), which is taken where it is one.
        birth: Patient's Birth Date.
        scanned: Study Date.
    """
    years = _stated_years(age)
    if years is None:
        years = _years_between(birth, scanned)
    if years is None:
        return None
    return next((band for below, band in AGE_BANDS.items() if years < below), OLDEST)


def _stated_years(age: bytes) -> float | None:
    found = _AGE.fullmatch(age.strip(b"\0 "))
    return int(found[1]) / _UNITS_A_YEAR[found[2]] if found else None


def _years_between(birth: bytes, scanned: bytes) -> int | None:
    born, then = _date(birth), _date(scanned)
    # Archives fill in years such as 1800 or 9999 where a date was removed.
    if born is None or then is None or not 0 <= then.year - born.year <= 120:
        return None
    years = then.year - born.year - ((then.month, then.day) < (born.month, born.day))
    return years if years >= 0 else None


def _date(stated: bytes) -> date | None:
    found = _DATE.fullmatch(stated.strip(b"\0 "))
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None

"""Which side of train, validation and test a patient is on."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from molre.errors import ConfigError
from molre.store.schema import SPLITS

_PERSON = b"molre-split"


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitFractions:
    """Share of the patients on each side; the three add up to one.

    Attributes:
        train: share to learn from.
        val: share to choose epochs, settings and thresholds on.
        test: share that is only reported on.
    """

    train: float = 0.7
    val: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        shares = (self.train, self.val, self.test)
        if not all(0.0 <= share <= 1.0 for share in shares) or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ConfigError(f"split fractions are {shares}: each must be from 0 to 1, and together 1")


def split_of(patient: str, fractions: SplitFractions) -> str:
    """The side of a patient, from the pseudonym alone.

    A hash and not a shuffle, so that a patient keeps the side when the archive grows, and all studies of a patient
    share it on any machine. The pseudonym is itself a keyed hash, so whoever lacks the key cannot compute the side.
    """
    digest = hashlib.blake2b(patient.encode(), digest_size=8, person=_PERSON).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < fractions.train:
        return SPLITS[0]
    return SPLITS[1] if place < fractions.train + fractions.val else SPLITS[2]

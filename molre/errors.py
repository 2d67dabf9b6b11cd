"""The one hierarchy of errors that a caller of molre can act on."""

from __future__ import annotations

import errno
import os
import re

_REMOTE = re.compile(r"AWS Error [A-Z_]+")
"""What pyarrow's long messages call an error of object storage."""


class MolreError(Exception):
    """Something the person who started the job can put right; the message is one clear line."""


class ConfigError(MolreError, ValueError):
    """A setting is out of range, unknown, or contradicts another."""


class StoreError(MolreError):
    """A store is absent, incomplete, or not what its manifest says."""


class WeightsError(MolreError):
    """A checkpoint cannot be found, read, or matched to its backbone."""


class TrainingError(MolreError):
    """A training run cannot go on, though its settings were right."""


class BundleError(MolreError):
    """A bundle is absent, incomplete, or does not fit the backbone it names."""


class Rejection(MolreError):
    """A study or series that cannot become a right volume.

    Attributes:
        code: one of the documented reason codes, such as ``GEO_NO_ORIENTATION``.
        sentence: what is wrong, without any text taken from a header.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence

    def __reduce__(self) -> tuple[type[Rejection], tuple[str, str]]:
        return type(self), (self.code, self.sentence)


def is_full(error: OSError) -> bool:
    """Whether a disk was full."""
    return error.errno == errno.ENOSPC or "No space left" in str(error)


def storage_fault(error: OSError) -> str:
    """An error of storage in a few words: those of pyarrow are long, and may name an object of the cohort."""
    if is_full(error):
        return "no space is left on its disk"
    remote = _REMOTE.search(str(error))
    if remote:
        return remote[0]
    return os.strerror(error.errno) if error.errno else type(error).__name__

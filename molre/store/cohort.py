"""What the store needs of a cohort format; ``molre.sources`` has them, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int8

from molre.volume import Grid, Volume


@runtime_checkable
class Case(Protocol):
    """A study that a source found, not read yet."""

    @property
    def study(self) -> str:
        """Pseudonym."""

    @property
    def patient(self) -> str:
        """Pseudonym."""

    @property
    def path(self) -> str:
        """Where it is, relative to the root; shown in ``rejected.csv`` only."""

    @property
    def fingerprint(self) -> str:
        """Changes when the study's files change."""

    @property
    def labels(self) -> Int8[np.ndarray, "findings"]:
        """What is known of it."""

    @property
    def split(self) -> str | None:
        """The side that the cohort itself prescribes, if it does."""


@runtime_checkable
class Sample(Protocol):
    """A study as read."""

    @property
    def volume(self) -> Volume:
        """On the asked grid."""

    @property
    def series(self) -> str:
        """Pseudonym of the series chosen."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Values for the columns in ``ATTRIBUTES``."""


@runtime_checkable
class Found(Protocol):
    """What a source found under its root."""

    @property
    def cases(self) -> Sequence[Case]:
        """Studies to read, in an order that new studies leave as it is, as far as the cohort has one."""

    @property
    def refused(self) -> Sequence[tuple[str, str, str]]:
        """Files that belong to no study: path relative to the root, reason code, sentence."""

    @property
    def rule(self) -> Sequence[str]:
        """How one series is chosen among several of a study, in sentences for the manifest; empty where it never is."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts for the manifest, ``rejected_files`` and ``ignored_files`` among them."""


@runtime_checkable
class Source(Protocol):
    """A cohort format, as ``molre.sources`` has them."""

    @property
    def name(self) -> str:
        """What ``--source`` takes."""

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Make what is to be found, if the source makes its cohort itself."""

    def find(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> Found:
        """Look for studies under the root, without reading voxels; ``spread`` looks in many places at once."""

    def read(self, case: Any, grid: Grid) -> Sample:
        """Read one study; raises Rejection where it cannot become a right volume."""

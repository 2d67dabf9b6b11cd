"""Every cohort format by name: a new one is a file beside this one and a line here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from molre.dicom import Pseudonymiser, load_key
from molre.errors import ConfigError
from molre.location import Location, home
from molre.sources.config import IngestConfig
from molre.sources.dicom import DicomSource
from molre.sources.labels import LabelTable, read_labels
from molre.sources.phantom import PhantomSource
from molre.store.cohort import Source


def _dicom(config: IngestConfig) -> Source:
    if config.root is None:
        raise ConfigError("--source dicom needs --root, the folder of the DICOM files")
    labelling = functools.partial(read_labels, config.labels) if config.labels else LabelTable
    linkage = Path(config.linkage).expanduser() if config.linkage else None
    pseudonymiser = functools.partial(_pseudonymiser, _key_file(config))
    return DicomSource(root=config.root, pseudonymiser=pseudonymiser, labelling=labelling, linkage=linkage)


def _key_file(config: IngestConfig) -> Path:
    return Path(config.key_file).expanduser() if config.key_file else Path.home() / ".molre" / "pseudonym.key"


def _pseudonymiser(key_file: Path) -> Pseudonymiser:
    return Pseudonymiser(load_key(key_file))


def _phantom(config: IngestConfig) -> Source:
    store = Location.of(config.store).local
    beside = store.parent if store else home()
    root = Location.of(config.root).local if config.root else beside / "phantom"
    if root is None:
        raise ConfigError(f"the root {config.root} is remote: the phantom is written to a local or mounted folder")
    return PhantomSource(root=root, studies=config.studies, seed=config.seed, montage=beside / "phantom.png")


SOURCES: dict[str, Callable[[IngestConfig], Source]] = {"dicom": _dicom, "phantom": _phantom}


def source_of(config: IngestConfig) -> Source:
    """The source that a configuration asks for.

    Raises:
        ConfigError: there is none of that name, or a flag that it needs is missing.
    """
    if config.source not in SOURCES:
        raise ConfigError(f"unknown source {config.source!r}: choose from {', '.join(SOURCES)}")
    return SOURCES[config.source](config)

"""Every cohort format by name: a new one is a file beside this one and a line here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from molre.dicom import Pseudonymiser, load_key
from molre.errors import ConfigError
from molre.location import Location, home
from molre.sources import cq500, physionet, rsna
from molre.sources.config import IngestConfig
from molre.sources.dicom import DicomSource
from molre.sources.labels import LabelTable, read_labels
from molre.sources.nifti import FileTable, NiftiSource, read_file_table
from molre.sources.phantom import PhantomSource
from molre.store.cohort import Source


def _dicom(config: IngestConfig) -> Source:
    labelling = functools.partial(read_labels, config.labels) if config.labels else LabelTable
    return DicomSource(root=_root(config, "the folder of the DICOM files"), labelling=labelling, **_keyed(config))


def _nifti(config: IngestConfig) -> Source:
    labelling = functools.partial(read_file_table, config.labels) if config.labels else FileTable
    return NiftiSource(root=_root(config, "the folder of the NIfTI files"), labelling=labelling, **_keyed(config))


def _rsna(config: IngestConfig) -> Source:
    root = _root(config, f"the folder of stage_2_train/ and {rsna.TABLE}")
    return rsna.RsnaSource(root=root, labels=config.labels or _beside(root, rsna.TABLE), **_keyed(config))


def _cq500(config: IngestConfig) -> Source:
    root = _root(config, f"the folder of the cases and {cq500.TABLE}")
    return cq500.cq500_source(root=root, labels=config.labels or _beside(root, cq500.TABLE), **_keyed(config))


def _physionet(config: IngestConfig) -> Source:
    root = _root(config, f"the folder of {physionet.SCANS}/ and {physionet.TABLES[0]}")
    return physionet.physionet_source(root=root, labels=config.labels, **_keyed(config))


def _root(config: IngestConfig, what: str) -> str:
    if config.root is None:
        raise ConfigError(f"--source {config.source} needs --root, {what}")
    root = Location.of(config.root)
    try:
        there = root.exists()
    except OSError as error:
        raise ConfigError(f"{root} cannot be reached: {type(error).__name__}") from None
    if not there:
        raise ConfigError(f"no such folder: {root}")
    return config.root


def _beside(root: str, name: str) -> str:
    return (Location.of(root) / name).uri


def _keyed(config: IngestConfig) -> dict[str, Any]:
    """What every source takes that holds patients."""
    pseudonymiser = functools.partial(_pseudonymiser, _key_file(config))
    return {"pseudonymiser": pseudonymiser, "linkage": Path(config.linkage).expanduser() if config.linkage else None}


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
    return PhantomSource(root=root, cohort=config.cohort(), sheet=beside / "phantom.png")


SOURCES: dict[str, Callable[[IngestConfig], Source]] = {
    "phantom": _phantom,
    "dicom": _dicom,
    "nifti": _nifti,
    "rsna": _rsna,
    "cq500": _cq500,
    "physionet": _physionet,
}


def source_of(config: IngestConfig) -> Source:
    """The source that a configuration asks for.

    Raises:
        ConfigError: there is none of that name, or a flag that it needs is missing.
    """
    if config.source not in SOURCES:
        raise ConfigError(f"unknown source {config.source!r}: choose from {', '.join(SOURCES)}")
    return SOURCES[config.source](config)

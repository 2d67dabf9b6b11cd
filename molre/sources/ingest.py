"""From a cohort's name to a filled store."""

from __future__ import annotations

import dataclasses

from molre.location import place
from molre.sources.config import IngestConfig
from molre.sources.registry import source_of
from molre.store import Store
from molre.store.fill import fill

__all__ = ["IngestConfig", "ingest"]


def ingest(config: IngestConfig) -> Store:
    """Read a cohort into its store, finishing what an earlier run left.

    Raises:
        ConfigError: the source is unknown, its root is absent or empty, or its labels are wrong.
        StoreError: no study could be read, the store cannot be written, or another run is writing it.
    """
    config = dataclasses.replace(
        config,
        store=place(config.store),
        root=place(config.root) if config.root else None,
        labels=place(config.labels) if config.labels else None,
        splits_from=place(config.splits_from) if config.splits_from else None,
    )
    return fill(source_of(config), config.store, config.filling())

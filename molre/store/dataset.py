"""A store as a Ray Data dataset: what travels through Ray are row numbers, the workers read the voxels."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data

from molre.store.reader import Store

ROW = "row"
"""Column of the row's number in the store."""


def dataset(
    store: Store, split: str | None = None, columns: Sequence[str] = (), *, rows_per_block: int = 256
) -> ray.data.Dataset:
    """The rows of a split as a dataset with the column ``row`` and the given columns.

    Without ``hu`` among the columns only the row numbers and light columns travel, a few bytes a row: shuffle and
    shard those, and let each worker take ``store.volumes(batch["row"])`` from its own mapping. With ``hu`` the volumes
    are read in tasks and stream through Ray's object store, for consumers without access to the store.

    Args:
        store: an open store.
        split: ``train``, ``val`` or ``test``; all rows where None.
        columns: columns of the store, ``hu`` included.
        rows_per_block: rows that are shipped, shuffled and sharded together.

    Raises:
        ConfigError: there is no such split or column.
    """
    chosen = store.indices(split)
    light = [name for name in columns if name != "hu"]
    table = store.table(light).take(chosen).append_column(ROW, pa.array(chosen, pa.int64()))
    blocks = max(1, -(-len(chosen) // rows_per_block))
    data = ray.data.from_arrow(table).repartition(blocks) if blocks > 1 else ray.data.from_arrow(table)
    if "hu" not in columns:
        return data
    return data.map_batches(functools.partial(_with_volumes, store=store), batch_size=4, batch_format="numpy")


def _with_volumes(batch: dict[str, Any], store: Store) -> dict[str, np.ndarray]:
    return {**batch, "hu": store.volumes(batch[ROW])}

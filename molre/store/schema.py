"""The Arrow schema of a store's parts, and one row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int8, Int16

from molre.findings import KEYS
from molre.volume import Grid

SCHEMA_VERSION = 3
"""Raised whenever a reader of the older form would misread the newer one."""

SPLITS = ("train", "val", "test")

ATTRIBUTES: dict[str, pa.DataType] = {
    "sex": pa.string(),
    "age_band": pa.string(),
    "manufacturer": pa.string(),
    "kernel": pa.string(),
    "kernel_class": pa.string(),
    "contrast": pa.bool_(),
    "lossy": pa.bool_(),
    "slice_thickness_mm": pa.float32(),
    "kvp": pa.float32(),
    "tilt_deg": pa.float32(),
    "step_mm": pa.float32(),
    "coverage_mm": pa.float32(),
    "slice_count": pa.int32(),
    "choice": pa.string(),
    "passed_over": pa.list_(pa.string()),
    "repairs": pa.list_(pa.string()),
}
"""Whom a series is of, as coarsely as subgroups need it; how it was acquired, why it was chosen in its study, and what
was mended in it. Null where not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One series as the store holds it.

    Attributes:
        hu: voxels on the store's grid, slices from feet to head.
        spacing_mm: along (z, y, x).
        affine: voxel (x, y, z) to RAS mm.
        labels: 1, 0 or -1 (unknown) in the order of ``findings.csv``.
        split: ``train``, ``val`` or ``test``.
        patient: pseudonym; likewise ``study`` and ``series``.
        attributes: values of the columns in ``ATTRIBUTES``; a missing one is null.
    """

    hu: Int16[np.ndarray, "z y x"]
    spacing_mm: tuple[float, float, float]
    affine: Float64[np.ndarray, "4 4"]
    labels: Int8[np.ndarray, "findings"]
    split: str
    patient: str
    study: str
    series: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


def schema_of(grid: Grid) -> pa.Schema:
    """The schema of every part of a store on this grid; its metadata names the version and the grid, nothing else."""
    fields: dict[str, pa.DataType] = {
        "hu": pa.fixed_shape_tensor(pa.int16(), list(grid.shape), dim_names=["z", "y", "x"]),
        "spacing_mm": pa.list_(pa.float64(), 3),
        "affine": pa.list_(pa.float64(), 16),
        "labels": pa.list_(pa.int8(), len(KEYS)),
        "split": pa.string(),
        "patient": pa.string(),
        "study": pa.string(),
        "series": pa.string(),
        **ATTRIBUTES,
    }
    metadata = {"molre.schema_version": str(SCHEMA_VERSION), "molre.grid": grid.name}
    return pa.schema(list(fields.items()), metadata=metadata)


def light_schema(grid: Grid) -> pa.Schema:
    """The schema without the voxels."""
    return schema_of(grid).remove(0)


def record_batch(row: Row, schema: pa.Schema) -> pa.RecordBatch:
    """The row as a record batch of its own, sharing the memory of its voxels.

    A batch a row is what makes a single volume readable by itself, from a mapped file or a remote one.
    """
    fixed = {
        "hu": np.ascontiguousarray(row.hu),
        "spacing_mm": np.asarray(row.spacing_mm, np.float64),
        "affine": row.affine,
        "labels": row.labels,
    }
    plain = {"split": row.split, "patient": row.patient, "study": row.study, "series": row.series, **row.attributes}
    columns = [
        _fixed(fixed[entry.name], entry.type) if entry.name in fixed else _plain(plain.get(entry.name), entry.type)
        for entry in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(value: object, kind: pa.DataType) -> pa.Array:
    """One entry of another column; a number that is none (NaN) becomes null."""
    return pa.array([value], kind, from_pandas=True)


def _fixed(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """One fixed-size entry from an array, without copying it."""
    storage_type = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), storage_type.value_type)
    storage = pa.FixedSizeListArray.from_arrays(flat, type=storage_type)
    return pa.ExtensionArray.from_storage(kind, storage) if storage_type is not kind else storage

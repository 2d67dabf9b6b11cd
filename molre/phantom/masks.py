"""Voxel truth of a phantom study, kept beside the DICOM tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from molre.phantom.study import PhantomStudy


def write_masks(study: PhantomStudy, folder: Path | str) -> Path:
    """Write ``PATIENT.npz``: ``tissue`` (slices, rows, columns) and, bit-packed, a mask of each present finding.

    Arrays ``mask_KEY`` are ``np.packbits`` of the flattened mask; ``shape`` gives its shape; slices run feet to head.

    Returns:
        The file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study.patient}.npz"
    arrays: dict[str, Any] = {f"mask_{key}": np.packbits(mask) for key, mask in study.masks.items()}
    np.savez_compressed(path, tissue=study.tissue, shape=np.asarray(study.hu.shape), **arrays)
    return path


def read_masks(path: Path | str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The tissue map and the masks by finding of a file that ``write_masks`` wrote."""
    with np.load(path) as held:
        shape = tuple(int(n) for n in held["shape"])
        count = int(np.prod(shape))
        names = [name for name in held.files if name.startswith("mask_")]
        masks = {name[5:]: np.unpackbits(held[name], count=count).reshape(shape).astype(bool) for name in names}
        return held["tissue"], masks

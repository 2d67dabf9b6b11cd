"""A study's files within reach, or whose fault it is that they are not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from molre.dicom.codes import refusal
from molre.errors import Rejection, StoreError
from molre.tree import Tree


@contextlib.contextmanager
def within_reach(tree: Tree, names: Sequence[str]) -> Iterator[list[Path]]:
    """The files of a study as paths on this machine, as long as the context lasts.

    Raises:
        Rejection: ENC_UNREADABLE, one of them cannot be read, here or in the context.
        StoreError: the whole cohort is out of reach; a lost mount or network would otherwise refuse all studies that
            are left, and for good.
    """
    try:
        with tree.brought(names) as paths:
            yield paths
    except (OSError, Rejection) as fault:
        if isinstance(fault, Rejection) and fault.code != "ENC_UNREADABLE":
            raise
        if not tree.is_there():
            raise StoreError(f"{tree.root} is out of reach: run the same command again when it is back") from None
        raise refusal("ENC_UNREADABLE") from None

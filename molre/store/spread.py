"""A function over many items by Ray Data, one task an item."""

from __future__ import annotations

import functools
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray.data
from ray import cloudpickle

from molre.outcome import caught, given

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
    """Run the function once an item, each in a task of its own, and yield the results as they come.

    Ray starts a task again, without end, when its worker was killed (out of memory, a crash in native code, a lost
    machine): a function that may itself be the reason has to notice that it runs again.

    Args:
        function: importable or picklable; returns something small.
        items: what it is called with; they travel by pickle.

    Raises:
        Exception: what the function raised, from the first item that failed so.
    """
    if not items:
        return
    rows = [{"place": place, "item": cloudpickle.dumps(item)} for place, item in enumerate(items)]
    # Its notes on each dataset and each lost worker would bury our own lines.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    data.context.enable_progress_bars = False
    called = data.map(functools.partial(_call, function=function), num_cpus=1)
    for row in called.iter_rows():
        yield items[row["place"]], given(row["outcome"])


def _call(row: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    item = pickle.loads(row["item"])  # noqa: S301 - written by our own driver
    return {"place": row["place"], "outcome": caught(function, item)}

"""A function over many items by Ray Data, in which one item's fate never decides another's."""

from __future__ import annotations

import functools
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray.data

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], *, concurrency: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Run the function once an item, each in a task of its own, and yield the results as they come.

    An item whose worker was killed (out of memory, a crash in native code, a lost machine) is missing from the
    results; nothing is retried here, for the caller knows what is safe to try again.

    Args:
        function: importable or picklable; returns something small.
        items: what it is called with; they travel by pickle.
        concurrency: most tasks at once; by default as many as there are CPUs.

    Raises:
        Exception: what the function raised, from the first item that failed so.
    """
    if not items:
        return
    rows = [{"place": place, "item": pickle.dumps(item)} for place, item in enumerate(items)]
    # Its notes on each dataset and each lost worker would bury our own lines.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    data.context.max_errored_blocks = -1
    data.context.enable_progress_bars = False
    called = data.map(functools.partial(_call, function=function), concurrency=concurrency, num_cpus=1, max_retries=0)
    for row in called.iter_rows():
        outcome, value = pickle.loads(row["outcome"])  # noqa: S301 - written by our own worker
        if outcome == "raised":
            raise value
        yield items[row["place"]], value


def _call(row: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    """The call's outcome as bytes: an exception is returned, so that only a dead worker makes Ray Data drop a block."""
    try:
        outcome = "returned", function(pickle.loads(row["item"]))  # noqa: S301 - written by our own driver
    except Exception as error:  # noqa: BLE001 - raised again by the driver
        outcome = "raised", _picklable(error)
    return {"place": row["place"], "outcome": pickle.dumps(outcome)}


def _picklable(error: Exception) -> Exception:
    try:
        return pickle.loads(pickle.dumps(error))  # noqa: S301 - just made here
    except Exception:  # noqa: BLE001 - an exception's class decides what pickling it raises
        return RuntimeError(f"{type(error).__name__} in a worker")

"""What a call in another process ended with: its value, or the exception itself, as bytes.

Ray Data buries an exception's class and sentence in its own; what is returned reaches the driver as it was.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any


def caught(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Call the function, and pack what it returned or raised."""
    try:
        outcome = "returned", function(*arguments)
    except Exception as error:  # noqa: BLE001 - raised again by the driver
        outcome = "raised", _picklable(error)
    return pickle.dumps(outcome)


def given(packed: bytes) -> Any:
    """What the function returned.

    Raises:
        Exception: what it raised.
    """
    kind, value = pickle.loads(packed)  # noqa: S301 - written by our own worker
    if kind == "raised":
        raise value
    return value


def _picklable(error: Exception) -> Exception:
    try:
        copied: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301 - just made here
    except Exception:  # noqa: BLE001 - an exception's class decides what pickling it raises
        return RuntimeError(f"{type(error).__name__} in a worker")
    return copied

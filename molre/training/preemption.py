"""What a worker does when one of the run's nodes is about to be taken away."""

from __future__ import annotations

import time
from collections.abc import Callable

STAYS_S = 300.0
"""How long after its time a node that is still there is taken to have been spared; Ray has long acted by then."""


class Preemption:
    """The notice, which is heeded once.

    Args:
        ends_s: tells when a node of the run goes, in seconds since the epoch; None while all stay.
    """

    def __init__(self, ends_s: Callable[[], float | None]) -> None:
        self._ask, self._ends_s = ends_s, 0.0

    def told(self) -> bool:
        """Whether there is a notice that was not heeded yet."""
        ends_s = None if self._ends_s else self._ask()
        if ends_s is None:
            return False
        self._ends_s = ends_s
        return True

    def stand_still(self) -> None:
        """Wait for Ray to start the workers again without that node, when its time is up.

        Those that went on until then would meet a cut connection, which counts as a failure of the run.
        """
        while time.time() < self._ends_s + STAYS_S:
            time.sleep(1.0)

"""What a worker does when one of the run's nodes is about to be taken away."""

from __future__ import annotations

import time

import ray.train

NOTICE_S = 120.0
"""How long before its end a node is told of it where the notice does not say, as on AWS."""

STAYS_S = 300.0
"""How long after its time a node that is still there is taken to have been spared; Ray has long acted by then."""


class Preemption:
    """The notice, which is heeded once."""

    def __init__(self) -> None:
        self._heeded = False
        self._ends_s = 0.0

    def told(self) -> bool:
        """Whether there is a notice that was not heeded yet."""
        notice = None if self._heeded else ray.train.get_preemption_info()
        if notice is None:
            return False
        self._heeded = True
        self._ends_s = notice.deadline_ms / 1000 if notice.deadline_ms else time.time() + NOTICE_S
        return True

    def stand_still(self) -> None:
        """Wait for Ray to start the workers again without that node, when its time is up.

        Those that went on until then would meet a cut connection, which counts as a failure of the run.
        """
        while time.time() < self._ends_s + STAYS_S:
            time.sleep(1.0)

"""How far scoring is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_TELL_EVERY_S = 5.0


class Progress:
    """Counts series that are scored.

    Args:
        total: series of the split.
        kept: series whose scores an earlier run has left.
    """

    def __init__(self, total: int, kept: int) -> None:
        self._total, self._kept, self._done = total, kept, kept
        self._start = self._told = time.monotonic()
        if kept:
            print(f"{kept} of {total} series are scored already", flush=True)
        self._bar = tqdm(total=total, initial=kept, unit="series", disable=not sys.stderr.isatty(), dynamic_ncols=True)

    def add(self, series: int) -> None:
        """Count a piece that is kept."""
        self._done += series
        self._bar.update(series)
        now = time.monotonic()
        if self._bar.disable and (now - self._told > _TELL_EVERY_S or self._done == self._total):
            self._told = now
            rate = (self._done - self._kept) / max(now - self._start, 1e-9)
            left_s = (self._total - self._done) / rate
            line = f"{self._done} of {self._total} series scored, {rate:.1f} series/s"
            print(f"{line}, {left_s / 60:.0f} min left" if left_s >= 60 else line, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

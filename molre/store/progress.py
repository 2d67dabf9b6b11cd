"""How far a filling is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from molre.store.writer import Receipt

_TELL_EVERY_S = 5.0


class Progress:
    """Counts and shows what is done; the numbers are of studies.

    Args:
        total: studies of the cohort.
        kept: receipts of an earlier run that still hold.
        renew: called with every part that is done.
    """

    def __init__(self, total: int, kept: Sequence[Receipt], renew: Callable[[], None]) -> None:
        self._total, self._renew = total, renew
        self._done = self._kept = sum(len(receipt.studies) for receipt in kept)
        self._refused = sum(len(receipt.refused) for receipt in kept)
        self._start = self._told = time.monotonic()
        if kept:
            print(f"{self._kept} of {total} studies are in the store already", flush=True)
        shown = sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=self._kept, unit="study", disable=not shown, dynamic_ncols=True)

    def add(self, receipt: Receipt) -> None:
        """Count a finished part."""
        self._done += len(receipt.studies)
        self._refused += len(receipt.refused)
        self._renew()
        self._bar.update(len(receipt.studies))
        self._bar.set_postfix(rejected=self._refused, refresh=False)
        now = time.monotonic()
        if self._bar.disable and (now - self._told > _TELL_EVERY_S or self._done == self._total):
            self._told = now
            self._tell((self._done - self._kept) / (now - self._start))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _tell(self, rate: float) -> None:
        left_s = (self._total - self._done) / rate
        line = f"{self._done} of {self._total} studies, {self._refused} rejected, {rate:.1f} studies/s"
        print(f"{line}, {left_s / 60:.0f} min left" if left_s >= 60 else line, flush=True)

"""Which study was being read when a worker died: what lets a part go on without the study that kills its readers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from molre.location import Location

PATIENCE = 3
"""Deaths after which a study is given up. A lost machine or a greedy neighbour can take an innocent one along once."""

_PREFIX = ".attempt-"


class Attempts:
    """The note that a part's writer keeps beside the part for the next one, should it die."""

    def __init__(self, folder: Location, number: int) -> None:
        self._file = folder / f"{_PREFIX}{number:05d}.json"
        self._deaths: Counter[str] = Counter()
        if self._file.exists():
            note = json.loads(self._file.read_bytes())
            self._deaths.update(note["deaths"])
            self._deaths[note["reading"]] += 1

    def given_up(self, mark: str) -> bool:
        """Whether too many readers of the study have died."""
        return self._deaths[mark] >= PATIENCE

    def begin(self, mark: str) -> None:
        """Note that the study is being read from now on."""
        self._file.write_bytes(json.dumps({"reading": mark, "deaths": self._deaths}).encode())

    def close(self) -> None:
        """Remove the note: the part is written, or its writer has ended in order."""
        self._file.delete()


def notes(folder: Location) -> Iterator[Location]:
    """Notes that are there; between runs they are those of a killed one."""
    yield from (folder / name for name in folder.names() if name.startswith(_PREFIX))

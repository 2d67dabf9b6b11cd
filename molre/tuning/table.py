"""The trials of a search as a table."""

from __future__ import annotations

import pandas as pd

from molre.tuning.ledger import Record
from molre.tuning.space import Space


def table(known: list[Record], space: Space) -> pd.DataFrame:
    """A row a trial: every setting of the space, then how it went."""
    columns = [name for name in space.config.searched if name != "site"]
    rows = [
        {
            "trial": each.number,
            "site": each.chosen.get("site", space.config.site[0]),
            **{name: each.chosen.get(name) for name in columns},
            "score": each.score,
            "loss": each.loss,
            "epochs": each.epochs,
            "seconds": each.seconds,
            "status": each.status,
        }
        for each in known
    ]
    return pd.DataFrame(rows)


def best_of(known: list[Record]) -> Record | None:
    """The trial with the highest score, of equals the first; None where none has one."""
    scored = [each for each in known if each.score is not None and each.status in ("FINISHED", "STOPPED")]
    return max(scored, key=lambda each: (each.score, -each.number), default=None)

"""Scores that an evaluation has kept so far, so that one that was killed goes on where it stopped.

A split is scored in pieces, each of at most ``PIECE`` series of one part of the store. A piece is one file below
``OUT/scores/KEY``, whole or absent. The key stands for the bundle's and the store's content, the split and the code, so
that nothing of another evaluation is ever taken up. Pieces depend on the store alone: with any number of workers each
series is scored in the company of the same others, to the same bits.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int16, Int64

import molre
from molre.bundle import checkout_commit
from molre.location import Location
from molre.store import Manifest

SCORES = "scores"
"""Folder of the pieces, in OUT; it goes when the report is written."""

PIECE = 32
"""Most series in a piece: what is lost when a run is killed is at most one piece a worker."""

_FORM = 1
"""Raised whenever a piece would be misread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What the bundle said about some rows.

    Attributes:
        rows: numbers of the rows in the store.
        probabilities: of each finding.
        slices: the slice that pooling weighed most, by query; -1 where the backbone reads volumes.
        gates: by adapter site, every gate of every series, NaN where it was for a slice of air.
    """

    rows: Int64[np.ndarray, "series"]
    probabilities: Float32[np.ndarray, "series findings"]
    slices: Int16[np.ndarray, "series queries"]
    gates: dict[str, Float32[np.ndarray, "series routed experts"]]

    @classmethod
    def joined(cls, parts: list[Scored]) -> Scored:
        """The rows of all parts, in ascending order."""
        rows = np.concatenate([part.rows for part in parts])
        order = np.argsort(rows, kind="stable")
        return cls(
            rows=rows[order],
            probabilities=np.concatenate([part.probabilities for part in parts])[order],
            slices=np.concatenate([part.slices for part in parts])[order],
            gates={site: np.concatenate([part.gates[site] for part in parts])[order] for site in parts[0].gates},
        )

    def to_bytes(self) -> bytes:
        """As an Arrow IPC stream."""
        named = {"probabilities": self.probabilities, "slices": self.slices}
        named |= {f"gates {site}": table for site, table in self.gates.items()}
        columns: dict[str, Any] = {"row": pa.array(self.rows)}
        columns |= {name: pa.FixedShapeTensorArray.from_numpy_ndarray(table) for name, table in named.items()}
        table, sink = pa.table(columns), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue().to_pybytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Scored:
        """What :meth:`to_bytes` wrote.

        Raises:
            pyarrow.ArrowInvalid: the data is damaged.
        """
        table = pa.ipc.open_stream(data).read_all().combine_chunks()
        named = {name: table[name].chunk(0).to_numpy_ndarray().copy() for name in table.column_names if name != "row"}
        return cls(
            rows=table["row"].to_numpy().astype(np.int64),
            probabilities=named["probabilities"],
            slices=named["slices"],
            gates={name.removeprefix("gates "): each for name, each in named.items() if name.startswith("gates ")},
        )


class Kept:
    """The pieces of one evaluation.

    Args:
        out: folder of the evaluation.
        bundle_sha: digest of the bundle.
        store: what the store that is scored consists of.
        split: of it.
        rows: numbers of the split's rows, ascending.
    """

    def __init__(
        self, out: Location, bundle_sha: str, store: Manifest, split: str, rows: Int64[np.ndarray, "_"]
    ) -> None:
        facts = {
            "form": _FORM,
            "piece": PIECE,
            "molre": [molre.__version__, checkout_commit()],
            "bundle": bundle_sha,
            "store": [file.sha256 for file in store.files],
            "split": split,
        }
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        self._all, self._folder = out / SCORES, out / SCORES / key
        ends = np.cumsum([part.rows for part in store.parts])
        self.pieces: dict[str, Int64[np.ndarray, "_"]] = {}
        for part, among in enumerate(np.split(rows, np.searchsorted(rows, ends[:-1]))):
            for at in range(0, len(among), PIECE):
                self.pieces[f"part-{part:05d}-{at // PIECE:05d}.arrow"] = among[at : at + PIECE]

    def read(self) -> dict[str, Scored]:
        """By name, the pieces that are there, whole, and of the rows that they should be of."""
        found = {}
        there = set(self._folder.names())
        for name in self.pieces.keys() & there:
            try:
                scored = Scored.from_bytes((self._folder / name).read_bytes())
            except (pa.ArrowInvalid, OSError, KeyError):
                continue  # it is scored again
            if np.array_equal(scored.rows, self.pieces[name]):
                found[name] = scored
        return found

    def write(self, name: str, data: bytes) -> None:
        """Keep a piece."""
        (self._folder / name).write_bytes(data)

    def delete(self) -> None:
        """Remove every piece in OUT, those of other evaluations among them."""
        self._all.delete()

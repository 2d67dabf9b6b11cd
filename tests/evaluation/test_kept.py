"""Scores that a killed run has kept: taken up whole, or not at all."""

import dataclasses

import numpy as np
import pytest

from molre.evaluation.kept import PIECE, SCORES, Kept, Scored
from molre.findings import KEYS
from molre.location import Location
from molre.store import Manifest
from molre.store.manifest import Part
from molre.volume import Grid


def scored(rows):
    generator = np.random.default_rng(0)
    count = len(rows)
    return Scored(
        rows=np.asarray(rows, np.int64),
        probabilities=generator.random((count, len(KEYS)), np.float32),
        slices=generator.integers(0, 9, (count, 1)).astype(np.int16),
        gates={"site": np.full((count, 4, 6), np.nan, np.float32)},
    )


def store(*parts, name="a"):
    files = [
        Part(name=f"part-{at:05d}.arrow", rows=rows, bytes=1, sha256=f"{name}{at}") for at, rows in enumerate(parts)
    ]
    grid = Grid(name="test", shape=(4, 8, 8), spacing_mm=(1.0, 1.0, 1.0))
    index = Part(name="index.arrow", rows=sum(parts), bytes=1, sha256=name)
    return Manifest(grid=grid, parts=tuple(files), index=index, counts={}, source="test")


def same(one, other):
    for field in ("rows", "probabilities", "slices"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert one.gates.keys() == other.gates.keys()
    for site in one.gates:
        np.testing.assert_array_equal(one.gates[site], other.gates[site])


def test_scores_come_back_to_the_bit_and_join_in_the_order_of_the_store():
    whole = scored(range(7))
    same(Scored.from_bytes(whole.to_bytes()), whole)

    def part(rows):
        return dataclasses.replace(
            whole,
            rows=whole.rows[rows],
            probabilities=whole.probabilities[rows],
            slices=whole.slices[rows],
            gates={"site": whole.gates["site"][rows]},
        )

    same(Scored.joined([part([5, 6]), part([0, 1, 2]), part([3, 4])]), whole)


def test_pieces_cover_the_split_once_and_keep_to_a_part(tmp_path):
    rows = np.array([*range(3, 3 + PIECE + 5), 60, 61], np.int64)
    pieces = Kept(Location.of(tmp_path), "b", store(50, 11, 5), "test", rows).pieces
    assert np.concatenate(list(pieces.values())).tolist() == rows.tolist()
    assert [len(piece) for piece in pieces.values()] == [PIECE, 5, 1, 1]
    assert list(pieces) == sorted(pieces)


@pytest.mark.parametrize(
    "other", [{"sha": "c"}, {"split": "val"}, {"where": store(10, name="z")}, {"where": store(5, 5)}]
)
def test_scores_of_another_evaluation_are_never_taken(tmp_path, other):
    def kept(sha="b", where=None, split="test"):
        return Kept(Location.of(tmp_path), sha, where or store(10), split, np.arange(10))

    (name,) = kept().pieces
    kept().write(name, scored(range(10)).to_bytes())
    assert list(kept().read()) == [name]
    assert kept(**other).read() == {}
    kept().delete()
    assert not (tmp_path / SCORES).exists()


def test_a_damaged_piece_and_one_of_other_rows_are_scored_again(tmp_path):
    kept = Kept(Location.of(tmp_path), "b", store(40, 40), "test", np.arange(80))
    names = list(kept.pieces)
    whole = scored(kept.pieces[names[0]]).to_bytes()
    kept.write(names[0], whole)
    kept.write(names[1], whole)
    kept.write(names[2], whole[: len(whole) // 2])
    kept.write(names[3], b"")
    assert list(kept.read()) == names[:1]

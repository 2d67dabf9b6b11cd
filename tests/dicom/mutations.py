"""Random damage to DICOM files, by a seed; as a script it reads damaged studies and says what came of them.

Usage: mutations.py FOLDER SEED FIRST FILES

FOLDER holds ``good.pickle``: by transfer syntax, the files of a good study; and ``planted.json``: words not to be told.
Studies from number FIRST on are damaged and read, one after another, until FILES files are damaged. The number of
the study at hand stands in ``FOLDER/at``.
"""

from __future__ import annotations

import faulthandler
import json
import pickle
import re
import resource
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

STUDY_S = 20
"""A study that takes longer hangs: one takes milliseconds."""

ADDRESSES_GIB = 6
_ABSURD = (0, 1, 2, 3, 7, 8, 127, 128, 254, 255)
_LENGTHS = (0, 1, 2, 3, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
_ELEMENT = re.compile(rb"[\x08\x10\x18\x20\x28\xe0][\x00\x7f][\x00-\xff]{2}(?:[A-Z]{2}|[\x00-\xff]{2}\0\0)")
_SEGMENT = re.compile(rb"\xff[\x4f-\x64\x90-\x93\xc0-\xfe]|\xfe\xff\x00\xe0")

Random = np.random.Generator


def flipped(data: bytearray, random: Random, low: int, high: int) -> None:
    """Some bits, one by one."""
    for _ in range(int(random.integers(1, 17))):
        data[int(random.integers(low, high))] ^= 1 << int(random.integers(8))


def set_absurdly(data: bytearray, random: Random, low: int, high: int) -> None:
    """Some bytes to values at the ends of what numbers hold."""
    for _ in range(int(random.integers(1, 9))):
        data[int(random.integers(low, high))] = int(random.choice(_ABSURD))


def relengthed(data: bytearray, random: Random, low: int, high: int) -> None:
    """The length of an element, a fragment or a segment of a codestream."""
    found = [*_ELEMENT.finditer(data, low, high), *_SEGMENT.finditer(data, low, high)]
    if not found:
        return
    match = found[int(random.integers(len(found)))]
    width = int(random.choice([2, 4]))
    at = match.end() if len(match[0]) < 6 else match.start() + int(random.choice([4, 6, 8]))
    length = int(random.choice(_LENGTHS)) if random.random() < 0.6 else int(random.integers(1 << 16))
    order = "little" if random.random() < 0.6 else "big"
    data[at : at + width] = (length & ((1 << 8 * width) - 1)).to_bytes(width, order)


def cut(data: bytearray, random: Random, low: int, high: int) -> None:
    """Everything from a place on is gone."""
    del data[int(random.integers(low, high)) :]


def lost(data: bytearray, random: Random, low: int, high: int) -> None:
    """A stretch is gone."""
    at = int(random.integers(low, high))
    del data[at : at + int(random.integers(1, 64))]


def repeated(data: bytearray, random: Random, low: int, high: int) -> None:
    """A stretch comes twice."""
    at, length = int(random.integers(low, high)), int(random.integers(1, 200))
    data[at:at] = data[at : at + length]


def swapped(data: bytearray, random: Random, low: int, high: int) -> None:
    """Two stretches, which may be elements, change places."""
    found = [match.start() for match in _ELEMENT.finditer(data, low, high)]
    if len(found) < 3:
        return
    first, middle, last = sorted(int(at) for at in random.choice(found, 3, replace=False))
    data[first:last] = data[middle:last] + data[first:middle]


def numbered(data: bytearray, random: Random, low: int, high: int) -> None:
    """A number in the text of the header becomes another."""
    found = list(re.finditer(rb"\d+(\.\d+)?", bytes(data[low:high])))
    if not found:
        return
    match = found[int(random.integers(len(found)))]
    words = [
        b"NaN",
        b"inf",
        b"-1",
        b"0",
        b"1e30",
        b"1e308",
        b"1e999",
        b"\\",
        b"65535",
        b"9" * len(match[0]),
        b"-" + match[0],
    ]
    word = words[int(random.integers(len(words)))]
    data[low + match.start() : low + match.end()] = word[: len(match[0])].ljust(len(match[0]))


def with_others_bytes(data: bytearray, random: Random, low: int, high: int, other: bytes) -> None:
    """Bytes of another file, in place of some or between them."""
    start, length = int(random.integers(len(other))), int(random.integers(1, 400))
    at = int(random.integers(low, high))
    data[at : at + (length if random.random() < 0.5 else 0)] = other[start : start + length]


_WAYS: tuple[tuple[float, Callable[[bytearray, Random, int, int], None]], ...] = (
    (4, flipped), (3, set_absurdly), (4, relengthed), (1, cut), (1, lost), (1, repeated), (1, swapped), (3, numbered),
)  # fmt: skip


def mutated(data: bytes, random: Random, others: list[bytes], shares: tuple[float, ...]) -> bytes:
    """The file damaged one to three times; of a deflated one, often what it holds.

    Args:
        data: of the file.
        random: what decides.
        others: files whose bytes may come in.
        shares: how often the damage is anywhere, in the header, or in the pixels.
    """
    start = 132 + 12 + int.from_bytes(data[140:144], "little")
    if b"1.2.840.10008.1.2.1.99" in data[:400] and random.random() < 0.7:
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        inside = _damaged(zlib.decompress(data[start:], -15), 0, random, others, shares)
        return data[:start] + packer.compress(inside) + packer.flush()
    return _damaged(data, start, random, others, shares)


def _damaged(data: bytes, start: int, random: Random, others: list[bytes], shares: tuple[float, ...]) -> bytes:
    damaged = bytearray(data)
    pixels = max(damaged.find(b"\xe0\x7f\x10\x00"), damaged.find(b"\x7f\xe0\x00\x10"), start + 1)
    regions = [(0, len(data)), (start, pixels), (pixels, len(data))]
    weights = np.array([way[0] for way in _WAYS])
    for _ in range(int(random.integers(1, 4))):
        low, high = regions[int(random.choice(3, p=shares))]
        high = min(high, len(damaged))
        if high - low < 2:
            continue
        if random.random() < 0.07:
            with_others_bytes(damaged, random, low, high, others[int(random.integers(len(others)))])
        else:
            _WAYS[int(random.choice(len(_WAYS), p=weights / weights.sum()))][1](damaged, random, low, high)
    return bytes(damaged)


def study(good: dict[str, list[bytes]], seed: int, number: int) -> tuple[str, list[bytes], int]:
    """The study of a number: its transfer syntax, its files, and how many of them are damaged."""
    random = np.random.default_rng([seed, number])
    name = sorted(good)[number % len(good)]
    files, others = list(good[name]), [file for files in good.values() for file in files]
    count = int(random.integers(1, len(files) + 1))
    # Most damage to a header ends the reading there: half of the studies keep theirs, so that decoders are reached.
    shares = (0, 0, 1) if random.random() < 0.5 else (0.1, 0.6, 0.3)
    for at in random.choice(len(files), count, replace=False):
        files[at] = mutated(files[at], random, others, shares)
    return name, files, count


def outcomes(folder: Path, files: list[bytes], planted: list[str]) -> list[str]:
    """Codes of what became of some files, ``read`` for a volume; asserts what holds of every volume.

    What is not a Rejection comes out.
    """
    from molre.dicom import read_study, scan_files
    from molre.errors import Rejection
    from molre.volume import Grid, resample

    paths = [folder / f"{at}.dcm" for at in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    inventory = scan_files(paths, folder)
    found = [line.code for line in inventory.rejected]
    for one in inventory.studies:
        try:
            series = read_study(one)
            volume = resample(series.stack, Grid(name="tiny", shape=(6, 8, 8), spacing_mm=(20, 20, 20)))
        except Rejection as fault:
            told, code = fault.sentence, fault.code
        else:
            check(series, volume)
            told, code = repr(series.attributes), "read"
        # A sentence that names a line of code is of a fault that nobody foresaw.
        assert not any(word in told for word in (*planted, ".py:")), told
        found.append(code)
    listed = sum(len(series.paths) for one in inventory.studies for series in one.series)
    assert listed + sum(line.files for line in inventory.rejected) + inventory.ignored <= len(files)
    return found


def check(series, volume) -> None:
    """What holds of every volume, whatever the files were."""
    hu, stack = series.stack.hu, series.stack
    assert hu.dtype == volume.hu.dtype == np.int16
    assert hu.ndim == 3
    assert 3 <= len(hu) == len(stack.origins_mm)
    assert hu.min() >= -1024
    assert np.isfinite(stack.origins_mm).all()
    assert all(0 < step < 100 for step in stack.pixel_mm)
    assert np.isfinite(volume.affine).all()
    json.dumps(series.attributes, allow_nan=False)


def main(folder: Path, seed: int, first: int, files: int) -> None:
    """Damage and read studies; prints counts by transfer syntax and code, and the memory gained."""
    good = pickle.loads((folder / "good.pickle").read_bytes())
    planted = json.loads((folder / "planted.json").read_text())
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES_GIB << 30,) * 2)
    for name in good:
        assert outcomes(folder, good[name], planted) == ["read"], name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts: Counter[str] = Counter()
    done, number = 0, first
    with (folder / "at").open("w") as at:
        while done < files:
            at.seek(0)
            at.write(f"{number:08d}")
            at.flush()
            name, damaged, count = study(good, seed, number)
            faulthandler.dump_traceback_later(STUDY_S, exit=True)
            try:
                counts.update(f"{name}: {code}" for code in outcomes(folder, damaged, planted) or ["nothing"])
            except Exception:
                print(f"study {number} of seed {seed} ({name})", file=sys.stderr)
                raise
            done, number = done + count, number + 1
    faulthandler.cancel_dump_traceback_later()
    gained = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"files": done, "studies": number - first, "gained_mib": gained / 1024, "counts": counts}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))

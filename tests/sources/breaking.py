"""Tools to break a good head CT with: for the test that ingestion loses nothing, whatever it is fed.

Bytes are put together here and not by a library, because a library refuses to write most of what archives hold.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from pydicom import uid
from pydicom.encaps import generate_frames

BIRTH, DATE, ACCESSION = "19370415", "20260229", "ACC99887766"
FILES = 7
LONG_FORMS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
ENDLESS = 0xFFFFFFFF
ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


class Tag:
    """The elements that are broken."""

    CHARSET, IMAGE_TYPE, CLASS, INSTANCE = 0x00080005, 0x00080008, 0x00080016, 0x00080018
    STUDY_DATE, MODALITY, REFERENCED, NAME, PATIENT = 0x00080020, 0x00080060, 0x00081140, 0x00100010, 0x00100020
    THICKNESS, KVP, KERNEL = 0x00180050, 0x00180060, 0x00181210
    STUDY, SERIES, NUMBER, POSITION, ORIENTATION = 0x0020000D, 0x0020000E, 0x00200013, 0x00200032, 0x00200037
    SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
    ROWS, COLUMNS, SPACING = 0x00280010, 0x00280011, 0x00280030
    ALLOCATED, STORED, HIGH_BIT, SIGN, PADDING = 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120
    CENTER, WIDTH, INTERCEPT, SLOPE = 0x00281050, 0x00281051, 0x00281052, 0x00281053
    FLOAT_PIXELS, PIXELS, SYNTAX = 0x7FE00008, 0x7FE00010, 0x00020010


@dataclass
class Value:
    """One element; ``length`` where the file is to lie about it."""

    form: bytes
    data: bytes
    length: int | None = None

    def written(self, tag: int) -> bytes:
        """The element in explicit, little endian form."""
        data = self.data + b"\0" * (len(self.data) % 2 if self.length is None else 0)
        length = len(data) if self.length is None else self.length
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + self.form
        return head + (struct.pack("<HI", 0, length) if self.form in LONG_FORMS else struct.pack("<H", length)) + data


@dataclass
class Slice:
    """One file, as parts that can be broken; ``edits`` are of its bytes, in the end."""

    elements: dict[int, Value]
    meta: dict[int, Value]
    preamble: bytes = bytes(128) + b"DICM"
    group_length: int | None = None
    edits: list[Callable[[bytes], bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, data: bytes) -> Slice:
        """Takes a good file apart; it has no sequences but its fragments."""
        values, at = {}, 132
        while at < len(data):
            (group, element), form = struct.unpack_from("<HH", data, at), data[at + 4 : at + 6]
            start = at + (12 if form in LONG_FORMS else 8)
            (length,) = struct.unpack_from(
                *(("<I", data, start - 4) if form in LONG_FORMS else ("<H", data, start - 2))
            )
            end = len(data) if length == ENDLESS else start + length
            values[group << 16 | element] = Value(form, data[start:end], length if length == ENDLESS else None)
            at = end
        meta = {tag: value for tag, value in values.items() if 0x00020000 < tag < 0x00030000}
        return cls({tag: value for tag, value in values.items() if tag > 0x00030000}, meta)

    def put(self, tag: int, value: str | bytes | int, form: str = "", length: int | None = None) -> None:
        """Set a value; a number is one of 16 bits."""
        if isinstance(value, int):
            value = struct.pack("<H", value)
        data = value.encode() if isinstance(value, str) else value
        old = self.elements.get(tag)
        self.elements[tag] = Value(form.encode() or (old.form if old else b"LO"), data, length)

    @property
    def head(self) -> bytes:
        """Preamble and meta information."""
        meta = b"".join(value.written(tag) for tag, value in sorted(self.meta.items()))
        length = len(meta) if self.group_length is None else self.group_length
        return self.preamble + (b"\2\0\0\0UL\4\0" + struct.pack("<I", length) + meta if meta else b"")

    @property
    def body(self) -> bytes:
        """The dataset."""
        return b"".join(value.written(tag) for tag, value in sorted(self.elements.items()))

    @property
    def frame(self) -> bytes:
        """The one compressed frame."""
        return next(generate_frames(self.elements[Tag.PIXELS].data, number_of_frames=1))

    def written(self) -> bytes:
        """The file."""
        data = self.head + self.body
        for edit in self.edits:
            data = edit(data)
        return data


@dataclass
class Good:
    """A study that is whole, for a way to break: its slices, and further files by name."""

    folder: Path
    slices: list[Slice]
    names: list[str]
    aside: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, kit: SimpleNamespace, folder: Path, study: str, **settings) -> Good:
        """A good study, with identifiers that must not come out anywhere."""
        changes = {"StudyDate": DATE, "PatientBirthDate": BIRTH, "AccessionNumber": ACCESSION}
        seen = kit.scan(
            count=FILES, shape=(32, 32), pixel_mm=(6, 6), study=study, series=f"{study}.1", changes=changes, **settings
        )
        slices = [Slice.of(kit.encoded(seen.dataset(index), seen.syntax)) for index in range(FILES)]
        return cls(folder, slices, [f"{index:03d}.dcm" for index in range(FILES)])

    @property
    def study_uid(self) -> str:
        """As the files have it now; empty where they have none."""
        value = self.slices[0].elements.get(Tag.STUDY)
        return value.data.decode().rstrip("\0") if value else ""

    def write(self) -> None:
        """All files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = {name: slice_.written() for name, slice_ in zip(self.names, self.slices, strict=True)}
        for name, data in {**files, **self.aside}.items():
            (self.folder / name).write_bytes(data)


Change = Callable[[Slice], object]


def every(*changes: Change) -> Callable[[Good], None]:
    """Changes of all slices."""

    def changed(good: Good) -> None:
        for slice_ in good.slices:
            for change in changes:
                change(slice_)

    return changed


def one(*changes: Change) -> Callable[[Good], None]:
    """Changes of the slice in the middle."""
    return lambda good: [change(good.slices[3]) for change in changes]


def put(tag: int, value: str | bytes | int, form: str = "", length: int | None = None) -> Change:
    """Sets a value."""
    return lambda slice_: slice_.put(tag, value, form, length)


def drop(*tags: int) -> Change:
    """Removes elements."""
    return lambda slice_: [slice_.elements.pop(tag) for tag in tags]


def relength(tag: int, length: int) -> Change:
    """An element whose length is another than that of its value."""

    def changed(slice_: Slice) -> None:
        slice_.elements[tag].length = length

    return changed


def syntax(name: str) -> Change:
    """Claims another transfer syntax than the one it is written in."""

    def changed(slice_: Slice) -> None:
        slice_.meta[Tag.SYNTAX] = Value(b"UI", name.encode())

    return changed


def edit(change: Callable[[bytes], bytes]) -> Change:
    """A change of the bytes."""
    return lambda slice_: slice_.edits.append(change)


def content(data: bytes) -> Change:
    """Other bytes altogether."""
    return edit(lambda _: data)


def cut(share: float) -> Change:
    """Only the first part of the file."""
    return edit(lambda data: data[: int(share * len(data))])


def cut_at(tag: int, beyond: int = 0) -> Change:
    """Only what lies before an element's start, and some bytes."""
    mark = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return edit(lambda data: data[: data.index(mark, 132) + beyond])


def attributes(**values: object) -> Change:
    """Sets fields of the slice itself."""
    return lambda slice_: [setattr(slice_, name, value) for name, value in values.items()]


def item(data: bytes, length: int | None = None) -> bytes:
    """An item of a sequence, or a fragment."""
    return ITEM + struct.pack("<I", len(data) if length is None else length) + data


def fragments(make: Callable[[bytes], bytes]) -> Change:
    """The compressed pixels made anew from their frame."""
    return lambda slice_: slice_.put(Tag.PIXELS, make(slice_.frame), "OB", ENDLESS)


def frame(change: Callable[[bytes], bytes]) -> Change:
    """A change of the compressed frame."""
    return fragments(lambda data: item(b"") + item(even(change(data))) + SEQUENCE_END)


def even(data: bytes) -> bytes:
    """The bytes, padded."""
    return data + b"\0" * (len(data) % 2)


def patched(mark: bytes, beyond: int, new: bytes) -> Callable[[bytes], bytes]:
    """Other bytes at a place behind a mark."""

    def changed(data: bytes) -> bytes:
        at = data.index(mark) + beyond
        return data[:at] + new + data[at + len(new) :]

    return changed


def nested(depth: int) -> bytes:
    """Items of unknown length in one another, never closed."""
    opened = ITEM + b"\xff\xff\xff\xff\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    return opened * depth


def deflated(body: Callable[[Slice], list[bytes]]) -> Change:
    """The file in the deflated transfer syntax, its body in pieces."""

    def changed(slice_: Slice) -> None:
        syntax(uid.DeflatedExplicitVRLittleEndian)(slice_)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = b"".join(packer.compress(piece) for piece in body(slice_)) + packer.flush()
        content(slice_.head + packed)(slice_)

    return changed


def bomb(slice_: Slice) -> list[bytes]:
    """A header, and pixels of 200 MiB that pack into 200 KiB."""
    before = slice_.body[: slice_.body.index(b"\xe0\x7f\x10\x00OW")]
    return [before, b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 200 << 20), *[bytes(1 << 20)] * 200]


def backwards(slice_: Slice) -> None:
    """Elements from the last to the first."""
    values = sorted(slice_.elements.items(), reverse=True)
    content(slice_.head + b"".join(value.written(tag) for tag, value in values))(slice_)


def many_elements(slice_: Slice) -> None:
    """100,000 private elements."""
    for number in range(100_000):
        slice_.elements[0x00091000 + (number // 50_000 << 17) + number % 50_000] = Value(b"LO", b"x ")


def eight_bits(slice_: Slice) -> None:
    """As a viewer exports it, windowed to 8 bits."""
    for tag, value in ((Tag.ALLOCATED, 8), (Tag.STORED, 8), (Tag.HIGH_BIT, 7)):
        slice_.put(tag, value)
    slice_.put(Tag.PIXELS, slice_.elements[Tag.PIXELS].data[::2])


def upper_bits(slice_: Slice) -> None:
    """Values of 12 bits in the upper bits of 16."""
    values = np.frombuffer(slice_.elements[Tag.PIXELS].data, "<u2")
    slice_.put(Tag.STORED, 12)
    slice_.put(Tag.HIGH_BIT, 15)
    slice_.put(Tag.PIXELS, (values << 4).astype("<u2").tobytes())


def without_pixels(sop_class: str, modality: str) -> Callable[[Good], None]:
    """Objects that are no images, as a report or a plan is."""

    def changed(slice_: Slice) -> None:
        slice_.put(Tag.CLASS, sop_class)
        slice_.put(Tag.MODALITY, modality)
        drop(*[tag for tag in slice_.elements if tag >= 0x00280000])(slice_)

    return every(changed)


def positions(place: Callable[[int], str]) -> Callable[[Good], None]:
    """Says where each slice lies."""
    return lambda good: [one.put(Tag.POSITION, place(index)) for index, one in enumerate(good.slices)]


def half(change: Change) -> Callable[[Good], None]:
    """A change of the last four slices."""
    return lambda good: [change(slice_) for slice_ in good.slices[3:]]


def both(*changes: Callable[[Good], object]) -> Callable[[Good], None]:
    """Several changes of a study."""
    return lambda good: [change(good) for change in changes]


def renamed(name: Callable[[int], str | bytes]) -> Callable[[Good], None]:
    """Gives the files other names."""
    return lambda good: setattr(good, "names", [os.fsdecode(name(index)) for index in range(FILES)])


def beside(**files: bytes) -> Callable[[Good], None]:
    """Other files in the folder; two underscores stand for a dot."""
    return lambda good: good.aside.update({name.replace("__", "."): data for name, data in files.items()})


def alone(names: list[str], data: bytes = b"") -> Callable[[Path], None]:
    """Files of this content, and nothing else."""

    def replaced(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(data)

    return replaced


def zipped(folder: Path) -> None:
    """A bomb in a zip beside the slices."""
    with zipfile.ZipFile(folder / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.dcm", bytes(64 << 20))


def unreadable_series(folder: Path) -> None:
    """A second folder, of zeros."""
    (folder / "second").mkdir()
    for number in range(FILES):
        (folder / "second" / f"IM{number}").write_bytes(bytes(3000))


def in_place_of_a_slice(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something that is no file, under a slice's name."""

    def replaced(folder: Path) -> None:
        (folder / "003.dcm").unlink()
        make(folder / "003.dcm")

    return replaced


def listening(path: Path) -> None:
    """A socket; its path may be longer than a socket's address may be, so that it is named by its folder's handle."""
    handle = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{handle}/{path.name}")
    os.close(handle)


def circles(folder: Path) -> None:
    """Folders that lead back by links, one into another."""
    (folder / "up").symlink_to(folder.parent)
    (folder / "here").symlink_to(".")
    for name, other in (("a", "b"), ("b", "a")):
        (folder / name).mkdir()
        (folder / name / other).symlink_to(folder / other)


def deep(folder: Path) -> None:
    """The slices below a path that is longer than the system takes at once."""
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=handle)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    for file in sorted(folder.glob("*.dcm")):
        os.rename(file, file.name, dst_dir_fd=handle)
    os.close(handle)


def linked(folder: Path) -> None:
    """A slice that lies outside the archive, by a link."""
    outside = folder.parents[1] / f"{folder.name}.moved"
    (folder / "003.dcm").rename(outside)
    (folder / "003.dcm").symlink_to(outside)


def rights(bits: int, *names: str) -> Callable[[Path], None]:
    """Takes rights away from files, or from the folder itself."""
    return lambda folder: [path.chmod(bits) for path in [folder / name for name in names] or [folder]]

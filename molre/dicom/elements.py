"""A walk over the elements of a DICOM dataset that keeps the few asked for and converts them only when they are.

Much of a CT archive's time goes into headers of a hundred elements of which twenty are used. Nothing here warns, or
raises with header text. Structure: PS3.5, 7.1 (elements), 7.5 (sequences).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from molre.dicom.codes import refusal

LONG_FORMS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a length of four bytes after two of reserve (PS3.5, 7.1.2)."""

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
MAX_DEPTH = 32
"""Deepest nesting of sequences that is followed; real headers reach 6."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Elements:
    """Raw values by tag.

    Attributes:
        values: bytes of each element found, without its header.
        little: whether binary values are little endian.
        stopped: whether the tag to stop at was reached; otherwise the bytes ended first.
        end: where the next element starts.
    """

    values: dict[int, bytes]
    little: bool
    stopped: bool
    end: int

    def text(self, tag: int) -> str:
        """The value as text without padding; empty if absent."""
        value = self.values.get(tag, b"")
        try:
            return value.decode("utf-8").strip("\0 \t\r\n")
        except UnicodeDecodeError:
            return value.decode("latin-1").strip("\0 \t\r\n")

    def words(self, tag: int) -> tuple[str, ...]:
        """The values of a text element of several, without padding."""
        text = self.text(tag)
        return tuple(word.strip("\0 ") for word in text.split("\\")) if text else ()

    def numbers(self, tag: int, count: int | None = None) -> tuple[float, ...] | None:
        """The values of a decimal or integer string; none if it is absent or empty.

        Raises:
            ValueError: not numbers, not finite, or not as many as asked for.
        """
        words = self.words(tag)
        if not words:
            return None
        values = tuple(map(float, words))
        if not all(map(math.isfinite, values)) or (count is not None and len(values) != count):
            raise ValueError("not the numbers expected")
        return values

    def first_number(self, tag: int) -> float | None:
        """The first number of an element that nothing depends on; none where there is no such number."""
        try:
            return (self.numbers(tag) or (None,))[0]
        except ValueError:
            return None

    def short(self, tag: int, absent: int, signed: bool = False) -> int:
        """The first 16-bit integer of an element."""
        value = self.values.get(tag, b"")
        if len(value) < 2:
            return absent
        return int.from_bytes(value[:2], "little" if self.little else "big", signed=signed)


def walk(data: bytes, start: int, implicit: bool, little: bool, wanted: frozenset[int], last_tag: int) -> Elements:
    """The elements asked for, of those before ``last_tag``.

    Args:
        data: the bytes; what a length promises beyond them counts as the end.
        start: where the first element starts.
        implicit: whether elements do not name their value representation.
        little: byte order.
        wanted: tags to keep.
        last_tag: first tag that is not looked at.

    Raises:
        Rejection: ENC_BAD_FILE, sequences are broken.
    """
    values: dict[int, bytes] = {}
    unpack = struct.Struct("<HH" if little else ">HH").unpack_from
    at, size = start, len(data)
    while at + 8 <= size:
        group, element = unpack(data, at)
        tag = group << 16 | element
        if tag >= last_tag:
            return Elements(values=values, little=little, stopped=True, end=at)
        value_at, length = _value_place(data, at, implicit, little)
        if length == UNDEFINED_LENGTH:
            at = _after_sequence(data, value_at, implicit or data[at + 4 : at + 6] == b"UN", little, 0)
            continue
        at = value_at + length
        if tag in wanted and at <= size:
            values[tag] = data[value_at:at]
    return Elements(values=values, little=little, stopped=False, end=min(at, size))


def _value_place(data: bytes, at: int, implicit: bool, little: bool) -> tuple[int, int]:
    """Where an element's value starts, and its length."""
    form = data[at + 4 : at + 6]
    order = "<" if little else ">"
    if implicit or not (form.isalpha() and form.isupper()):
        # Some writers fall back to implicit elements inside explicit files.
        return at + 8, struct.unpack_from(order + "I", data, at + 4)[0]
    if form not in LONG_FORMS:
        return at + 8, struct.unpack_from(order + "H", data, at + 6)[0]
    if at + 12 > len(data):
        return at + 12, 0
    return at + 12, struct.unpack_from(order + "I", data, at + 8)[0]


def _after_sequence(data: bytes, at: int, implicit: bool, little: bool, depth: int) -> int:
    """Where a sequence of undefined length ends; the end of the bytes if it does not."""
    if depth > MAX_DEPTH:
        raise refusal("ENC_BAD_FILE")
    unpack = struct.Struct("<HHI" if little else ">HHI").unpack_from
    while at + 8 <= len(data):
        group, element, length = unpack(data, at)
        tag = group << 16 | element
        at += 8
        if tag == SEQUENCE_END:
            return at
        if tag != ITEM:
            raise refusal("ENC_BAD_FILE")
        at = _after_item(data, at, implicit, little, depth + 1) if length == UNDEFINED_LENGTH else at + length
    return len(data)


def _after_item(data: bytes, at: int, implicit: bool, little: bool, depth: int) -> int:
    """Where an item of undefined length ends."""
    unpack = struct.Struct("<HH" if little else ">HH").unpack_from
    while at + 8 <= len(data):
        group, element = unpack(data, at)
        if (group << 16 | element) == ITEM_END:
            return at + 8
        value_at, length = _value_place(data, at, implicit, little)
        if length == UNDEFINED_LENGTH:
            at = _after_sequence(data, value_at, implicit or data[at + 4 : at + 6] == b"UN", little, depth)
        else:
            at = value_at + length
    return len(data)

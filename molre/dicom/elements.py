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

SHORT_FORMS = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US")
)  # fmt: skip
"""Those with a length of two bytes: nearly every element of a header."""

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
MAX_DEPTH = 32
"""Deepest nesting of sequences that is followed; real headers reach 6."""

MAX_ELEMENTS = 200_000
"""Most elements of a header; 2,000 frames of an enhanced CT have 100,000."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Elements:
    """Raw values by tag.

    Attributes:
        values: bytes of each element found, without its header.
        little: whether binary values are little endian.
        stopped: whether the tag to stop at was reached; otherwise the bytes ended first.
        end: where the next element starts.
        swallowed: whether the bytes end within a sequence that holds whole pixels, and so lacks its own end.
    """

    values: dict[int, bytes]
    little: bool
    stopped: bool
    end: int
    swallowed: bool = False

    @property
    def shortfall(self) -> str:
        """Code for elements that end before the tag to stop at."""
        return "ENC_BAD_SEQUENCE" if self.swallowed else "ENC_TRUNCATED"

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
        Rejection: ENC_BAD_SEQUENCE, sequences are broken or too deep; ENC_BAD_FILE, there are more elements than any
            header has.
    """
    walker = _Walker(data, implicit, little)
    values: dict[int, bytes] = {}
    at, size = start, len(data)
    while at + 8 <= size:
        tag, value_at, length = walker.element(at, implicit)
        if tag >= last_tag:
            return Elements(values=values, little=little, stopped=True, end=at)
        if length == UNDEFINED_LENGTH:
            at = walker.after_sequence(value_at, walker.is_implicit_within(at), 0)
            continue
        at = value_at + length
        if tag in wanted and at <= size:
            values[tag] = data[value_at:at]
    swallowed = walker.cut and walker.holds_pixels
    return Elements(values=values, little=little, stopped=False, end=min(at, size), swallowed=swallowed)


class _Walker:
    """Steps from element to element, and counts the steps."""

    __slots__ = ("cut", "data", "first", "holds_pixels", "implicit", "left", "long")

    def __init__(self, data: bytes, implicit: bool, little: bool) -> None:
        self.data = data
        self.implicit = implicit
        self.left = MAX_ELEMENTS
        self.cut = self.holds_pixels = False
        order = "<" if little else ">"
        self.first, self.long = (struct.Struct(order + form).unpack_from for form in ("HH2sH", "I"))

    def element(self, at: int, implicit: bool) -> tuple[int, int, int]:
        """Tag of the element at a place, where its value starts, and its length; needs 8 bytes there."""
        self.left -= 1
        if self.left < 0:
            raise refusal("ENC_BAD_FILE")
        group, element, form, length = self.first(self.data, at)
        tag = group << 16 | element
        # Some writers fall back to implicit elements inside explicit files. Items never name a representation.
        if implicit or group == 0xFFFE or not (form in SHORT_FORMS or (form.isalpha() and form.isupper())):
            return tag, at + 8, self.long(self.data, at + 4)[0]
        if form not in LONG_FORMS:
            return tag, at + 8, length
        if at + 12 > len(self.data):
            return tag, at + 12, 0
        return tag, at + 12, self.long(self.data, at + 8)[0]

    def is_implicit_within(self, at: int) -> bool:
        """Whether the items of the sequence at a place are implicit: those of unknown type are (PS3.5, 6.2.2)."""
        return self.implicit or self.data[at + 4 : at + 6] == b"UN"

    def after_sequence(self, at: int, implicit: bool, depth: int) -> int:
        """Where a sequence of undefined length ends; the end of the bytes if it does not."""
        if depth > MAX_DEPTH:
            raise refusal("ENC_BAD_SEQUENCE")
        while at + 8 <= len(self.data):
            tag, at, length = self.element(at, True)
            if tag == SEQUENCE_END:
                return at
            if tag != ITEM:
                raise refusal("ENC_BAD_SEQUENCE")
            at = self.after_item(at, implicit, depth + 1) if length == UNDEFINED_LENGTH else at + length
        self.cut = True
        return len(self.data)

    def after_item(self, at: int, implicit: bool, depth: int) -> int:
        """Where an item of undefined length ends; the end of the bytes if it does not."""
        while at + 8 <= len(self.data):
            tag, value_at, length = self.element(at, implicit)
            if tag == ITEM_END:
                return value_at
            if length == UNDEFINED_LENGTH:
                at = self.after_sequence(value_at, implicit or self.is_implicit_within(at), depth)
            else:
                at = value_at + length
            if tag == PIXEL_DATA:
                self.holds_pixels = not self.cut and at <= len(self.data)
        self.cut = True
        return len(self.data)

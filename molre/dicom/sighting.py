"""What a look at one file's first elements tells: whose study and series it belongs to, or why it cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from molre.dicom.codes import refusal
from molre.dicom.encoding import HEAD_BYTES, MAX_FILE_MIB, PREAMBLE_BYTES, has_preamble, parse, read_head
from molre.dicom.naming import PERSON_TAGS, Person, person_in
from molre.errors import Rejection
from molre.tree import Entry, Tree

SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
"""Endings that claim a file to be DICOM, so that one which is not is reported."""

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})
"""Endings of archives, which may hold studies and are not looked into."""

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_PATIENT, _STUDY, _SERIES = 0x00100020, 0x0020000D, 0x0020000E


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One DICOM file's identity, as in its header; keep it out of what is written.

    Attributes:
        patient_id: Patient ID, possibly empty.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        person: what else in the header names or dates the patient.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    person: Person


def sighted(tree: Tree, entry: Entry) -> Sighting | None:
    """The identity of a file; none for a file that does not claim to be DICOM.

    Raises:
        Rejection: the file claims to be DICOM and cannot be read, or is an archive.
    """
    path = PurePosixPath(entry.name)
    suffix = path.suffix.lower()
    # "._name" is what macOS writes beside each file of an archive.
    claims = suffix in SUFFIXES and not path.name.startswith("._")
    try:
        data = _head(tree, entry, HEAD_BYTES)
    except Rejection:
        # Many archives name slices without a suffix, and one that is empty or unreadable may be such a slice.
        if claims or not suffix:
            raise
        return None
    if has_preamble(data) or _looks_raw(data):
        return _identity(tree, entry, data)
    if claims or not (suffix or any(data[: PREAMBLE_BYTES + 4])):
        raise refusal("ENC_NOT_DICOM")
    if suffix in ARCHIVE_SUFFIXES or data[:4] == b"PK\3\4":
        raise refusal("ENC_ARCHIVE")
    return None


def _identity(tree: Tree, entry: Entry, data: bytes) -> Sighting | None:
    """The identity, from the file's beginning if that is enough.

    Raises:
        Rejection: SER_NO_UID, ENC_TRUNCATED, and what parsing raises.
    """
    parsed = parse(data, PERSON_TAGS, _SERIES + 1)
    if not parsed.elements.stopped and len(data) < entry.size:
        parsed = parse(_head(tree, entry, entry.size), PERSON_TAGS, _SERIES + 1)
    if parsed.media_class == DICOMDIR_CLASS:
        return None
    text = parsed.elements.text
    if not (text(_STUDY) and text(_SERIES)):
        raise refusal("SER_NO_UID" if parsed.elements.stopped else parsed.elements.shortfall)
    return Sighting(
        patient_id=text(_PATIENT),
        study_uid=text(_STUDY),
        series_uid=text(_SERIES),
        person=person_in(parsed.elements),
    )


def _head(tree: Tree, entry: Entry, count: int) -> bytes:
    """The first bytes of a file.

    Raises:
        Rejection: ENC_EMPTY, ENC_UNREADABLE, ENC_TOO_MANY_BYTES.
    """
    if tree.root.local is not None:
        return read_head(tree.path(entry.name), count)
    if entry.size > MAX_FILE_MIB << 20:
        raise refusal("ENC_TOO_MANY_BYTES", limit_mib=MAX_FILE_MIB)
    if not entry.size:
        raise refusal("ENC_EMPTY")
    try:
        return tree.head(entry.name, count)
    except OSError:
        raise refusal("ENC_UNREADABLE") from None


def _looks_raw(data: bytes) -> bool:
    """Whether the bytes start as a dataset without preamble does: group 2 or 8, then a small element number."""
    return data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] in (b"\x00", b"\x01")

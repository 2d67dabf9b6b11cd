"""Files of a tree, at any depth, gathered into studies and series.

A `look` at a few thousand files gives a `Glimpse`, on any machine; `gather` puts glimpses together. What is kept
of a study until it is read is small and packed, so that memory grows with studies and hardly with files.

A file that cannot be read belongs where its folder belongs: to the series if all others of the folder are of one, to
the study if they are of one. A study so is one row or one refusal, whatever befalls its files. Only where that does not
tell are such files refused on their own, in one line for all of a folder with the same code.
"""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from molre.dicom.codes import failure, refusal
from molre.dicom.naming import Person
from molre.dicom.sighting import Sighting, sighted
from molre.errors import MolreError, Rejection
from molre.location import Location
from molre.tree import Entry, Tree

LOOK_FILES = 2048
"""Files of one look: a second's work."""

_SEVERAL = "\0several"


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesFiles:
    """Files of one series.

    Attributes:
        series_uid: Series Instance UID, as in the files; empty where none of the files could be read.
        paths: in the order they were met.
        fault: code and sentence of a file of the same folder that cannot be read and may be a part of the series.
    """

    series_uid: str
    paths: tuple[Path, ...]
    fault: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFiles:
    """Files of one study.

    Attributes:
        study_uid: Study Instance UID, as in the files: identifies the patient, keep it out of what is written.
        patient_ids: every Patient ID met, usually one.
        series: in the order of the first file of each.
        name: the first file's path below the root, to say which study was refused.
    """

    study_uid: str
    patient_ids: tuple[str, ...]
    series: tuple[SeriesFiles, ...]
    name: str

    @property
    def patient_id(self) -> str:
        """The first Patient ID that is not empty; empty if there is none."""
        return next(filter(None, self.patient_ids), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """Refused files that belong to no study: a line of ``rejected.csv``.

    Attributes:
        path: of the first, below the root.
        code: reason.
        sentence: the same in words.
        files: how many.
    """

    path: str
    code: str
    sentence: str
    files: int = 1


@dataclass(kw_only=True, slots=True)
class Found:
    """A study as met so far.

    Attributes:
        study_uid: as in the files.
        patient_ids: every Patient ID met.
        person: what paths must not show.
        mark: sum of a hash of each file's name, size and time, whatever the order of looks; of its fault, too.
        name: the first file's path below the root.
        packed: of each look, file names by series, compressed.
        faults: by series, code and sentence of a file that cannot be read; under no name where any series may lack it.
    """

    study_uid: str
    patient_ids: tuple[str, ...] = ()
    person: Person = field(default_factory=Person)
    mark: int = 0
    name: str = ""
    packed: list[bytes] = field(default_factory=list)
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Join what a later look found of the same study."""
        self.patient_ids = tuple(dict.fromkeys((*self.patient_ids, *other.patient_ids)))
        self.person |= other.person
        self.mark = (self.mark + other.mark) & _MARK_BITS
        self.name = self.name or other.name
        self.packed += other.packed

    def names(self) -> dict[str, list[str]]:
        """File names below the root by Series Instance UID, in the order they were met."""
        series: dict[str, list[str]] = {}
        for data in self.packed:
            for uid, names in unpacked(data).items():
                series.setdefault(uid, []).extend(names)
        return series

    def files(self, root: Path) -> StudyFiles:
        """The study's files below a root folder."""
        paths = {uid: tuple(root / name for name in names) for uid, names in self.names().items()}
        return study_files(self.study_uid, self.patient_ids, paths, self.faults, self.name)

    @property
    def fingerprint(self) -> str:
        """Changes when a file is added, removed, or written anew."""
        return f"{self.mark:032x}"


_MARK_BITS = (1 << 128) - 1


def study_files(
    study_uid: str,
    patient_ids: Sequence[str],
    paths: Mapping[str, tuple[Path, ...]],
    faults: Mapping[str, tuple[str, str]],
    name: str,
) -> StudyFiles:
    """A study from the paths and the faults of its series."""
    uids = dict.fromkeys((*paths, *faults))
    series = (SeriesFiles(series_uid=uid, paths=paths.get(uid, ()), fault=faults.get(uid)) for uid in uids)
    return StudyFiles(study_uid=study_uid, patient_ids=tuple(patient_ids), series=tuple(series), name=name)


def packed(series: dict[str, list[str]]) -> bytes:
    """File names by series, compressed: names of one study differ by little."""
    return zlib.compress(pickle.dumps(series), 1)


def unpacked(data: bytes) -> dict[str, list[str]]:
    """What `packed` took."""
    return pickle.loads(zlib.decompress(data))  # noqa: S301 - packed by this process or its own worker


@dataclass(frozen=True, slots=True)
class Span:
    """Some files of one folder.

    Attributes:
        folder: below the root.
        start: place of the first among the folder's sorted files.
        stop: place after the last.
    """

    folder: str
    start: int
    stop: int


@dataclass(kw_only=True, slots=True)
class Glimpse:
    """What a look found; what travels from a worker.

    Attributes:
        studies: by Study Instance UID.
        faults: files that cannot be read: name, code, sentence, mark.
        holders: by folder, the one (study, series) that all its files are of; "several" in either place otherwise.
        ignored: number of other files.
        links: number of linked folders met, which are not entered.
    """

    studies: dict[str, Found] = field(default_factory=dict)
    faults: list[tuple[str, str, str, int]] = field(default_factory=list)
    holders: dict[str, tuple[str, str]] = field(default_factory=dict)
    ignored: int = 0
    links: int = 0

    def hold(self, folder: str, study: str, series: str) -> None:
        """Note that a folder holds a file of a series."""
        was = self.holders.get(folder)
        if was is None:
            self.holders[folder] = (study, series)
        elif was != (study, series):
            self.holders[folder] = (study if was[0] == study else _SEVERAL, _SEVERAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What a tree holds.

    Attributes:
        studies: in the order of their first file.
        rejected: files that claim to be DICOM, cannot be read, and belong to no study that could be.
        ignored: number of other files.
        links: number of linked folders, which are not entered.
    """

    studies: list[StudyFiles]
    rejected: list[Rejected]
    ignored: int
    links: int = 0


@dataclass(kw_only=True, slots=True)
class Lot:
    """Files for one look.

    Attributes:
        spans: about `LOOK_FILES` of them.
        closed: folders that cannot be listed.
        links: number of linked folders met.
    """

    spans: list[Span] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    links: int = 0


def lots(tree: Tree) -> Iterator[Lot]:
    """All files of a tree, in order, as lots for one look each."""
    lot, room = Lot(), LOOK_FILES
    for folder in tree.folders():
        lot.links += folder.links
        if folder.closed:
            lot.closed.append(folder.name)
        start = 0
        while start < folder.files:
            stop = min(folder.files, start + room)
            lot.spans.append(Span(folder.name, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield lot
                lot, room = Lot(), LOOK_FILES
    yield lot


def look(lot: Lot, tree: Tree) -> Glimpse:
    """Look at the first elements of some files."""
    glimpse = Glimpse(links=lot.links)
    for span in lot.spans:
        _look_at(tree, tree.entries(span.folder)[span.start : span.stop], span.folder, glimpse)
    for folder in lot.closed:
        glimpse.faults.append((folder, "ENC_UNREADABLE", refusal("ENC_UNREADABLE").sentence, 0))
    return glimpse


def _look_at(tree: Tree, entries: Sequence[Entry], folder: str, glimpse: Glimpse) -> None:
    """Add some files of one folder to a glimpse."""
    series: dict[str, dict[str, list[str]]] = {}
    for entry in entries:
        try:
            seen = _sighted(tree, entry)
        except Rejection as fault:
            glimpse.faults.append((entry.name, fault.code, fault.sentence, _mark(entry, fault.code)))
            continue
        if seen is None:
            glimpse.ignored += 1
            continue
        names = series.setdefault(seen.study_uid, {})
        if not names.get(seen.series_uid):
            glimpse.hold(folder, seen.study_uid, seen.series_uid)
        names.setdefault(seen.series_uid, []).append(entry.name)
        _note(glimpse, seen, entry)
    for uid, names in series.items():
        glimpse.studies[uid].packed.append(packed(names))


def _sighted(tree: Tree, entry: Entry) -> Sighting | None:
    """As `sighted`, the boundary at which no file can end the search."""
    try:
        return sighted(tree, entry)
    except MolreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a file provokes, it concerns this file only
        raise failure(error) from None


def _note(glimpse: Glimpse, seen: Sighting, entry: Entry) -> None:
    found = glimpse.studies.get(seen.study_uid)
    if found is None:
        found = glimpse.studies[seen.study_uid] = Found(study_uid=seen.study_uid, name=entry.name)
    if seen.patient_id not in found.patient_ids:
        found.patient_ids += (seen.patient_id,)
    if not seen.person.words <= found.person.words or not found.person.texts:
        found.person |= seen.person
    found.mark = (found.mark + _mark(entry)) & _MARK_BITS


def _mark(entry: Entry, code: str = "") -> int:
    text = f"{entry.name}\0{entry.size}\0{entry.modified_ns}\0{code}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


@dataclass(kw_only=True, slots=True)
class Gathered:
    """Glimpses put together.

    Attributes:
        studies: in the order of their first file.
        rejected: what belongs to no study.
        ignored: number of other files.
        links: number of linked folders, which are not entered.
    """

    studies: list[Found]
    rejected: list[Rejected]
    ignored: int
    links: int


def gather(glimpses: Iterable[Glimpse]) -> Gathered:
    """All studies of a tree, from glimpses of all its files in their order."""
    whole = Glimpse()
    for glimpse in glimpses:
        whole.ignored += glimpse.ignored
        whole.links += glimpse.links
        whole.faults += glimpse.faults
        for folder, holder in glimpse.holders.items():
            whole.hold(folder, *holder)
        for uid, found in glimpse.studies.items():
            if uid in whole.studies:
                whole.studies[uid].add(found)
            else:
                whole.studies[uid] = found
    rejected, studies = _attached(whole), list(whole.studies.values())
    return Gathered(studies=studies, rejected=rejected, ignored=whole.ignored, links=whole.links)


def _attached(whole: Glimpse) -> list[Rejected]:
    """Give unreadable files to the study of their folder; returns what is left, a line for each folder and code."""
    alone: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, code, sentence, mark in whole.faults:
        folder = name.rpartition("/")[0]
        study, series = whole.holders.get(folder, (_SEVERAL, _SEVERAL))
        if study == _SEVERAL or code == "ENC_ARCHIVE":
            alone.setdefault((folder, code), []).append((name, sentence))
            continue
        found = whole.studies[study]
        found.faults.setdefault("" if series == _SEVERAL else series, (code, sentence))
        found.mark = (found.mark + mark) & _MARK_BITS
    return [_line(code, files) for (_, code), files in alone.items()]


def _line(code: str, files: Sequence[tuple[str, str]]) -> Rejected:
    name, sentence = files[0]
    more = f", and so do {len(files) - 1} more files of this folder" if len(files) > 1 else ""
    return Rejected(path=name, code=code, sentence=f"{sentence}{more}", files=len(files))


def scan(root: Path | str) -> Inventory:
    """Every study below a local folder; sorted order, so that two scans of the same files agree.

    Raises:
        MolreError: the folder is absent.
    """
    root = Path(root)
    if not root.exists():
        raise MolreError(f"no such folder: {root}")
    tree = Tree(Location.of(root))
    gathered = gather(look(lot, tree) for lot in lots(tree))
    return _inventory(gathered, root if root.is_dir() else root.parent)


def scan_files(paths: Iterable[Path], root: Path) -> Inventory:
    """Every study among the given files; ``root`` is what their names in reports are relative to."""
    glimpse, tree = Glimpse(), Tree(Location.of(root))
    folders: dict[str, list[Entry]] = {}
    for path in paths:
        name, about = path.absolute().relative_to(tree.root.path).as_posix(), path.stat()
        folders.setdefault(name.rpartition("/")[0], []).append(Entry(name, about.st_size, about.st_mtime_ns))
    for folder, entries in folders.items():
        _look_at(tree, entries, folder, glimpse)
    return _inventory(gather([glimpse]), root)


def _inventory(gathered: Gathered, root: Path) -> Inventory:
    studies = [found.files(root) for found in gathered.studies]
    return Inventory(studies=studies, rejected=gathered.rejected, ignored=gathered.ignored, links=gathered.links)

"""RSNA 2019 intracranial hemorrhage detection: a folder of slices, and a row for each slice and type of hemorrhage.

``stage_2_train/ID_xxxxxxxxx.dcm`` are the slices, named by SOP Instance UID. ``stage_2_train.csv`` has the columns
``ID`` and ``Label`` and rows such as ``ID_12cadc6af_epidural,0``: 752,803 slices, six rows each. Slices of other
folders, such as ``stage_2_test/``, make studies without labels.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from jaxtyping import Bool, Int, Shaped

from molre.dicom import Pseudonymiser, StudyFiles
from molre.errors import ConfigError
from molre.location import Location
from molre.sources.crosswalk import HEMORRHAGE, crossed, gathered
from molre.sources.dicom import DicomCase, DicomSource
from molre.sources.found import FoundStudies, ReadStudy
from molre.sources.labels import Known, Labelling
from molre.volume import Grid

TABLE = "stage_2_train.csv"
_KINDS = tuple(HEMORRHAGE)
_ROW = rf"^(?P<slice>ID_[0-9A-Za-z]+)_(?P<kind>{'|'.join(_KINDS)})$"
_BLOCK_BYTES = 2**20
"""What is parsed at once, 40,000 rows: larger blocks take more memory and no less time (measured: 1.8 s in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceLabels:
    """Labels of slices, and of studies as sets of slices.

    A study has a type of hemorrhage where any of its slices has; it is free of it only where every slice has a row that
    says so. Where rows of one slice contradict each other, the positive one holds.

    Attributes:
        names: of the slices, sorted.
        present: by slice and type, whether a row says 1; ``absent``, whether rows say 0 only.
        asked: slices of studies asked for so far.
        contradicting: number of slices and types with both.
    """

    names: Shaped[np.ndarray, " slices"]
    present: Bool[np.ndarray, "slices kinds"]
    absent: Bool[np.ndarray, "slices kinds"]
    asked: Bool[np.ndarray, " slices"]
    contradicting: int

    def known(self, study: StudyFiles) -> Known:
        """What the rows of a study's slices say of it."""
        stems = {path.stem for series in study.series for path in series.paths}
        at = self._places(stems)
        self.asked[at] = True
        present = self.present[at].any(axis=0)
        absent = self.absent[at].all(axis=0) & (len(at) == len(stems))
        values = {
            kind: gathered(bool(one), bool(none)) for kind, one, none in zip(_KINDS, present, absent, strict=True)
        }
        return Known(labels=crossed(HEMORRHAGE, values))

    def unmatched(self) -> int:
        """Number of rows of slices that no study has brought up so far; rows that repeat another count once."""
        return int((self.present | self.absent)[~self.asked].sum())

    def _places(self, stems: set[str]) -> Int[np.ndarray, " found"]:
        """Where the slices that have rows are."""
        encoded = sorted(stem.encode("utf-8", "surrogateescape") for stem in stems)
        # A longer name is none of ours, and would make the search widen all of them.
        wanted = np.array([name for name in encoded if len(name) <= self.names.itemsize], self.names.dtype)
        at = np.minimum(np.searchsorted(self.names, wanted), len(self.names) - 1)
        return at[self.names[at] == wanted]


@dataclass(frozen=True, kw_only=True, slots=True)
class RsnaSource:
    """The cohort as it is distributed.

    Attributes:
        root: folder or URI that holds ``stage_2_train/``.
        labels: path or URI of ``stage_2_train.csv``.
        pseudonymiser: makes what names patients, studies and series; made for the search only.
        linkage: file that says which study was which; none by default.
        name: what the manifest calls the source.
    """

    root: str
    labels: str
    pseudonymiser: Callable[[], Pseudonymiser]
    linkage: Path | None = None
    name: str = "rsna"

    def prepare(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> None:
        """Nothing: the files are there."""

    def find(self, spread: Callable[..., Iterator[tuple[Any, Any]]]) -> FoundStudies:
        """The studies that the slices make up, with the labels of their slices.

        Raises:
            ConfigError: the root is absent or holds no DICOM file, or the labels are wrong.
        """
        labels = read_slices(self.labels)
        found = self._dicom(lambda: labels).find(spread)
        counts = {**found.counts, "label_rows_contradicting": labels.contradicting}
        return dataclasses.replace(found, counts=counts)

    def read(self, case: DicomCase, grid: Grid) -> ReadStudy:
        """One study, exactly as any DICOM study is read."""
        return self._dicom(lambda: read_slices(self.labels)).read(case, grid)

    def _dicom(self, labelling: Callable[[], Labelling]) -> DicomSource:
        return DicomSource(
            root=self.root,
            pseudonymiser=self.pseudonymiser,
            labelling=labelling,
            name=self.name,
            masks=False,
            linkage=self.linkage,
        )


def read_slices(place: str | Location) -> SliceLabels:
    """The table of slices, parsed block by block: memory grows with slices and not with rows.

    Raises:
        ConfigError: the file is absent, or a line is not of the form; it is named by its number.
    """
    where = Location.of(place)
    blocks = [_block(batch, line, where) for line, batch in _batches(where)]
    if not blocks:
        raise ConfigError(f"{where} holds no rows: each is like ID_12cadc6af_epidural,0")
    names, inverse = np.unique(np.concatenate([block[0] for block in blocks]), return_inverse=True)
    absent, present = said = np.zeros((2, len(names), len(_KINDS)), bool)
    start = 0
    for named, block in blocks:
        said[:, inverse[start : start + len(named)]] |= block
        start += len(named)
    contradicting = int((absent & present).sum())
    return SliceLabels(
        names=names,
        present=present,
        absent=absent & ~present,
        asked=np.zeros(len(names), bool),
        contradicting=contradicting,
    )


def _batches(where: Location) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows in blocks, each with the number of its first line.

    Raises:
        ConfigError: the file is absent, has other columns, or a line has more or fewer cells than two.
    """
    odd: list[int] = []

    def note(row: pa_csv.InvalidRow) -> str:
        odd.append(row.number)
        return "error"

    line = 1
    try:
        with where.filesystem.open_input_stream(where.path) as stream, _reader(stream, note) as reader:
            if reader.schema.names != ["ID", "Label"]:
                raise ConfigError(f"{where} line 1: the columns must be ID,Label, as in {TABLE}")
            line = 2
            for batch in reader:
                yield line, batch
                line += batch.num_rows
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(f"no labels file at {where}: give {TABLE} with --labels") from None
    except pa.ArrowInvalid as error:
        told = re.search(r"Row #(\d+)", str(error))
        number = odd[0] if odd else int(told[1]) if told else line
        raise ConfigError(f"{where} line {number}: it is no row of an ID and a Label, as in {TABLE}") from None
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {type(error).__name__}") from None


def _reader(stream: pa.NativeFile, note: Callable[[pa_csv.InvalidRow], str]) -> pa_csv.CSVStreamingReader:
    return pa_csv.open_csv(
        stream,
        # With threads, rows are not numbered.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(column_types={"ID": pa.string(), "Label": pa.string()}),
    )


def _block(
    batch: pa.RecordBatch, line: int, where: Location
) -> tuple[Shaped[np.ndarray, " slices"], Bool[np.ndarray, "2 slices kinds"]]:
    """Slices named in a block, and whether a row says 0, or 1, of each and of each type.

    Raises:
        ConfigError: a row is not of the form.
    """
    ids, values = batch.column(0), pc.index_in(batch.column(1), pa.array(["0", "1"]))
    parsed = pc.extract_regex(ids, _ROW)
    blank = pc.and_(pc.equal(ids, ""), pc.equal(batch.column(1), ""))
    for wrong, told in (
        (pc.is_null(parsed), f"the ID must be like ID_12cadc6af_epidural, with one of {', '.join(_KINDS)}"),
        (pc.is_null(values), "the Label must be 0 or 1"),
    ):
        at = _first(pc.and_not(wrong, blank))
        if at is not None:
            raise ConfigError(f"{where} line {line + at}: {told}")
    slices = pc.struct_field(parsed, "slice").drop_null().dictionary_encode()
    kinds = pc.index_in(pc.struct_field(parsed, "kind"), pa.array(_KINDS)).drop_null()
    said = np.zeros((2, len(slices.dictionary), len(_KINDS)), bool)
    said[values.drop_null().to_numpy(), slices.indices.to_numpy(), kinds.to_numpy()] = True
    return np.array(slices.dictionary.to_pylist(), "S"), said


def _first(wrong: pa.BooleanArray) -> int | None:
    at = np.flatnonzero(wrong.to_numpy(zero_copy_only=False))
    return int(at[0]) if len(at) else None

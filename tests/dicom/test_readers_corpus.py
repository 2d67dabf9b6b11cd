"""Common defects of head CT, and what each reader makes of them: right, told, refused, or wrong silently."""

from __future__ import annotations

import importlib.util
import re
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from readers import PEERS, listening, ours

from molre.errors import Rejection

RIGHT, TOLD, REFUSED, SILENT = "right", "told", "refused", "wrong silently"
TOLERANCE_HU = 3.0
"""Rounding, once when stored and once when resampled; a millimetre off its place is 3.9 HU off."""


def scene(points_mm: np.ndarray) -> np.ndarray:
    """A head, inside which every place has its own HU: a ramp that linear interpolation keeps exactly."""
    radius = np.linalg.norm(points_mm / np.array([70.0, 90.0, 80.0]), axis=-1)
    ramp = 40 + points_mm @ np.array([1.5, 2.0, -3.0])
    return np.where(radius > 1.06, -1000.0, np.where(radius > 1, 900.0, ramp))


def points() -> np.ndarray:
    """Places well inside the head and inside what every edit leaves scanned."""
    random = np.random.default_rng(7).uniform(-1, 1, (4000, 3))
    inside = random[np.linalg.norm(random, axis=1) < 0.75]
    return inside * np.array([70.0, 90.0, 76.0])


Slices = list[Dataset]


@dataclass(frozen=True)
class Edit:
    """A row: what is done to a clean series, and what has to become of it here.

    Attributes:
        name: of the row.
        ours: outcome, and codes of repairs or of the refusal.
        change: of the slices as they are written.
        options: of the scan.
        peers: whether other readers are tried, too.
    """

    name: str
    ours: tuple[str, ...]
    change: Callable[[Slices], Slices] = lambda slices: slices
    options: tuple[tuple[str, object], ...] = ()
    peers: bool = True


def each(change: Callable[[Dataset, int], object]) -> Callable[[Slices], Slices]:
    """An edit of every slice."""

    def changed(slices: Slices) -> Slices:
        for index, data in enumerate(slices):
            change(data, index)
        return slices

    return changed


def without(*keywords: str) -> Callable[[Slices], Slices]:
    """An edit that removes elements."""

    def remove(data: Dataset, _: int) -> None:
        for keyword in keywords:
            delattr(data, keyword)

    return each(remove)


def duplicated(slices: Slices) -> Slices:
    """One image twice, as two."""
    copy = deepcopy(slices[10])
    copy.SOPInstanceUID, copy.InstanceNumber = f"{copy.SeriesInstanceUID}.99", 29
    return [*slices, copy]


def shuffled(slices: Slices) -> Slices:
    """Instance numbers in no order."""
    for data, number in zip(slices, np.random.default_rng(1).permutation(len(slices)), strict=True):
        data.InstanceNumber = int(number) + 1
    return slices


def with_scout(slices: Slices) -> Slices:
    """A side view of another size, of the same series."""
    scout = deepcopy(slices[0])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient, scout.ImagePositionPatient = [0, 1, 0, 0, 0, -1], [0, -128, 80]
    scout.Rows = scout.Columns = 80
    scout.PixelSpacing = [2, 3.2]
    scout.PixelData = np.full((80, 80), 1024 + 40, "<i2").tobytes()
    scout.SOPInstanceUID, scout.InstanceNumber = f"{scout.SeriesInstanceUID}.98", 0
    return [scout, *slices]


def own_scale(data: Dataset, index: int) -> None:
    """The same HU, stored in another scale."""
    slope, intercept = 1 + index % 3, -1024 - 10 * index
    hu = np.frombuffer(data.PixelData, "<i2").astype(float) - 1024
    data.PixelData = np.rint((hu - intercept) / slope).astype("<i2").tobytes()
    data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)


def cut(slices: Slices) -> Slices:
    """Half the pixels of one slice are gone; the header stays."""
    slices[9].PixelData = slices[9].PixelData[: len(slices[9].PixelData) // 2]
    return slices


def enhanced(slices: Slices) -> Slices:
    """All slices as frames of one file (PS3.3, A.38)."""

    def item(**values: object) -> Dataset:
        data = Dataset()
        for keyword, value in values.items():
            setattr(data, keyword, value)
        return data

    first = slices[0]
    whole = deepcopy(first)
    whole.SOPClassUID, whole.NumberOfFrames = uid.EnhancedCTImageStorage, len(slices)
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(whole, keyword)
    whole.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
            PixelMeasuresSequence=[item(PixelSpacing=first.PixelSpacing, SliceThickness="5")],
            PixelValueTransformationSequence=[item(RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU")],
            CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
        )
    ]
    whole.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=data.ImagePositionPatient)],
            FrameContentSequence=[
                item(StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[1, index + 1])
            ],
        )
        for index, data in enumerate(slices)
    ]
    whole.PixelData = b"".join(data.PixelData for data in slices)
    return [whole]


def tilted(degrees: float, **more: object) -> tuple[tuple[str, object], ...]:
    """Options of a scan whose gantry is tilted while the table moves along the body."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return (("column", (0, cosine, -sine)), ("travel", (0, 0, 1)), *more.items())


GE_STEPS = np.cumsum([0, *[4.0] * 14, 1.08, *[7.0] * 14]) - 70
EDITS = (
    Edit("clean", (RIGHT,)),
    Edit(
        "tilt, steps of 4 and 7 mm",
        (RIGHT, "GEO_TILT", "GEO_IRREGULAR_STEP"),
        options=tilted(18.5, heights_mm=tuple(GE_STEPS * np.cos(np.radians(18.5)))),
    ),
    Edit("uniform tilt", (RIGHT, "GEO_TILT"), options=tilted(-18.5, count=56, step_mm=2.5)),
    Edit("missing slice", (REFUSED, "GEO_MISSING_SLICE"), lambda slices: slices[:12] + slices[13:]),
    Edit("duplicated position", (RIGHT, "GEO_DUP_POSITION"), duplicated),
    Edit("InstanceNumber shuffled", (RIGHT,), shuffled),
    Edit("InstanceNumber absent", (RIGHT,), without("InstanceNumber")),
    Edit("scout in the series", (RIGHT, "SER_LOCALIZER"), with_scout),
    Edit("RescaleSlope per slice", (RIGHT, "VAL_PER_SLICE_RESCALE"), each(own_scale)),
    Edit("rescale absent", (REFUSED, "VAL_NO_RESCALE"), without("RescaleSlope", "RescaleIntercept")),
    Edit("ImageOrientationPatient absent", (REFUSED, "GEO_NO_ORIENTATION"), without("ImageOrientationPatient")),
    Edit("PixelData truncated in one slice", (REFUSED, "ENC_TRUNCATED"), cut),
    Edit(
        "MONOCHROME1",
        (REFUSED, "VAL_MONOCHROME1"),
        each(lambda data, _: setattr(data, "PhotometricInterpretation", "MONOCHROME1")),
    ),
    Edit("enhanced multi-frame", (RIGHT,), enhanced),
    Edit("deflate bomb", (REFUSED, "ENC_INFLATE_LIMIT"), peers=False),
)


def write(kit, edit: Edit, folder: Path) -> None:
    """The row's series as files."""
    options = {"count": 28, "step_mm": 5.0, "shape": (64, 64), "pixel_mm": (4.0, 4.0), "intercept": -1024}
    options["changes"] = {"Manufacturer": "GE MEDICAL SYSTEMS", "PatientPosition": "HFS", "ProtocolName": "HEAD"}
    scan_ = kit.scan(**{**options, "scene": scene, "series": "1.2.3.4", **dict(edit.options)})
    slices = [scan_.dataset(index) for index in range(len(scan_.heights()))]
    folder.mkdir()
    for number, data in enumerate(edit.change(slices)):
        (folder / f"{number:03d}.dcm").write_bytes(kit.encoded(data, scan_.syntax))
    if edit.name == "deflate bomb":
        data = (folder / "003.dcm").read_bytes()
        at = 144 + int.from_bytes(data[140:144], "little")
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = b"".join(packer.compress(part) for part in (data[at:], *[bytes(1 << 20)] * 512)) + packer.flush()
        start = kit.encoded(slices[3], uid.DeflatedExplicitVRLittleEndian)
        at = 144 + int.from_bytes(start[140:144], "little")
        (folder / "003.dcm").write_bytes(start[:at] + bomb)


def ours_of(folder: Path) -> tuple[str, ...]:
    """Our cell: the outcome and its codes."""
    try:
        reading, codes = ours(folder)
    except Rejection as fault:
        return REFUSED, fault.code
    return (RIGHT if is_right(reading) else TOLD if codes else SILENT), *codes


def peer_of(read: Callable, folder: Path, usual: set[str]) -> tuple[str, set[str]]:
    """The cell of another reader, and what it said; nothing is told by what it says of every series."""
    with listening() as said:
        try:
            reading = read(folder)
        except Exception as fault:
            return f"{REFUSED}: {type(fault).__name__}", set()
    lines = {re.sub(r"\d+", "", line) for line in said.lines}
    if is_right(reading):
        return RIGHT, lines
    return (TOLD if lines - usual else SILENT), lines


def is_right(reading) -> bool:
    """Whether every known place has the HU that it has in the patient."""
    if reading.voxels.ndim != 3:
        return False
    errors_hu = np.abs(reading.at(points()) - scene(points()))
    return bool(np.isfinite(errors_hu).all() and errors_hu.max() <= TOLERANCE_HU)


def test_no_reader_s_defect_passes_ours_silently(kit, tmp_path):
    there = {name: read for name, (module, read) in PEERS.items() if importlib.util.find_spec(module)}
    table = [("edit", *PEERS, "molre")]
    outcomes: dict[str, tuple[str, ...]] = {}
    usual: dict[str, set[str]] = {}
    for number, edit in enumerate(EDITS):
        folder = tmp_path / f"{number}"
        write(kit, edit, folder)
        outcomes[edit.name] = ours_of(folder)
        cells = dict.fromkeys(PEERS, "-")
        for name in there if edit.peers else ():
            cells[name], lines = peer_of(there[name], folder, usual.get(name, set()))
            usual.setdefault(name, lines)
        table.append((edit.name, *cells.values(), " ".join(outcomes[edit.name])))
    for row in table:
        print("| " + " | ".join(cell.ljust(30) for cell in row).rstrip() + " |")
    assert not any(outcome[0] in (SILENT, TOLD) for outcome in outcomes.values())
    assert outcomes == {edit.name: edit.ours for edit in EDITS}
    if "SimpleITK" in there:
        # The judge can tell: a reader that drops the shear of a tilt without a word is found out.
        assert {row[0]: row[2] for row in table}["uniform tilt"] == SILENT

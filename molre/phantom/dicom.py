"""A phantom study as DICOM files, as a scanner would send it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from molre.phantom.headers import (
    SYNTHETIC,
    dose_header,
    image_header,
    localizer_header,
    set_pixels,
    set_slice,
)
from molre.phantom.protocol import Kernel
from molre.phantom.scanner import Scan
from molre.phantom.study import PhantomStudy

NAMES = 1_000_000


def write_study(study: PhantomStudy, folder: Path | str) -> None:
    """Write all series of a study, one file an image, under random names in no order.

    The soft axial series is always there. Which others are follows from the number of the study alone.

    Args:
        study: what to write.
        folder: made if absent.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int(study.study_uid.rsplit(".", 1)[1]))
    suffix = ".dcm" if rng.random() < 0.6 else ""
    # Every name is taken once: they step through all numbers by one that shares no divisor with their count.
    first, step = int(rng.integers(NAMES)), 10 * int(rng.integers(NAMES // 10)) + 1
    for number, data in enumerate(_objects(study)):
        _write(data, folder / f"IM{(first + step * number) % NAMES:06d}{suffix}")
    if study.scan.sent.stray:
        (folder / "README.txt").write_text("exported study\n", encoding="ascii")


def _objects(study: PhantomStudy) -> Iterator[Dataset]:
    scan, sent = study.scan, study.scan.sent
    scanner = scan.protocol.scanner
    _, soft, bone, thin, _ = scanner.numbers
    yield from _axial(study, scan, scanner.soft, soft, study.hu, 60)
    if sent.localizer:
        yield from _localizers(study)
    if sent.bone:
        yield from _axial(study, scan, scanner.bone, bone, scan.reconstruct(scanner.bone), 60)
    if scan.thin is not None:
        yield from _axial(study, scan.thin, scanner.bone, thin, scan.thin.reconstruct(scanner.bone), 60)
    if sent.dose:
        yield dose_header(study, _report(study))


def _axial(
    study: PhantomStudy,
    scan: Scan,
    kernel: Kernel,
    number: int,
    hu: Int16[np.ndarray, "slices rows columns"],
    start_s: int,
) -> Iterator[Dataset]:
    """The images of a series; one dataset is filled again and again."""
    description = f"HEAD {float(scan.geometry.thickness_mm[-1]):.1f} {kernel.name}"
    data = image_header(study, scan, kernel, number, description, start_s)
    for place, image in enumerate(hu):
        set_slice(data, study, scan.geometry, place)
        set_pixels(data, image, scan)
        yield data


def _localizers(study: PhantomStudy) -> Iterator[Dataset]:
    for number, view in enumerate(study.scan.protocol.scanner.scouts, start=1):
        image, corner = _view(study, view)
        yield localizer_header(study, view, image, corner, number)


def _view(study: PhantomStudy, view: str) -> tuple[Int16[np.ndarray, "rows columns"], np.ndarray]:
    """Means along rays from the side or the front, on square pixels, and where the first pixel lies."""
    geometry = study.geometry
    lateral = view == "LATERAL"
    means = np.maximum(study.scan.hu, -1000).mean(2 if lateral else 1)
    line = np.arange(geometry.matrix_px) * geometry.pixel_mm
    # A tilted slice lies higher or lower towards the back.
    height = geometry.positions_mm[:, 2, None] + (line * geometry.column_cosine[2] if lateral else line * 0)
    top, bottom = float(height.max()), float(height.min())
    rows = top - np.arange(0, top - bottom, geometry.pixel_mm)
    image = [np.interp(rows, height[:, c], means[:, c], left=-1000, right=-1000) for c in range(geometry.matrix_px)]
    corner = np.array([*geometry.positions_mm[0, :2], top])
    return np.clip(np.rint(np.stack(image, 1) * 1.4 + 400), -1024, 3071).astype(np.int16), corner


def _report(study: PhantomStudy) -> np.ndarray:
    """A picture of the dose report."""
    protocol = study.scan.protocol
    picture = Image.new("L", (256, 128))
    lines = [SYNTHETIC, "DOSE REPORT", f"{protocol.kvp} kV  {protocol.mas:.0f} mAs", f"{len(study.hu)} images"]
    ImageDraw.Draw(picture).multiline_text((8, 8), "\n".join(lines), fill=255)
    return np.asarray(picture)


def _write(data: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    dcmwrite(path, data, enforce_file_format=True)

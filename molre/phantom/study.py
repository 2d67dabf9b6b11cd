"""One phantom study: drawn, painted, scanned, with labels that are true by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int16, UInt8

from molre.findings import KEYS
from molre.phantom import anatomy, scanner
from molre.phantom.body import Body, draw_body
from molre.phantom.config import CohortConfig
from molre.phantom.geometry import Geometry, draw_scan
from molre.phantom.head import Head
from molre.phantom.lesions import LESIONS, Lesion, implied, lesion_named, mark_effects


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomStudy:
    """A synthetic head CT with everything that is known about it.

    Attributes:
        index: number of the study in its cohort.
        patient: ``PHANTOM-000123``.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        age_years: the person's age.
        hu: acquired slices from feet to head.
        geometry: where the slices lie.
        labels: every one of the 75 findings, 1 present or 0 absent. A phantom holds nothing that was not drawn, so
            a finding that was neither drawn nor implied is truly absent.
        masks: voxels of each present finding.
        tissue: position in ``TISSUES`` of every voxel.
        shift_mm: displacement of the septum pellucidum, positive to the patient's left.
    """

    index: int
    patient: str
    study_uid: str
    series_uid: str
    age_years: float
    hu: Int16[np.ndarray, "slices rows columns"]
    geometry: Geometry
    labels: dict[str, int]
    masks: dict[str, Bool[np.ndarray, "slices rows columns"]]
    tissue: UInt8[np.ndarray, "slices rows columns"]
    shift_mm: float


LEAST_VOXELS = 3
"""A finding on fewer voxels is nothing that a reader could see."""


def draw_findings(rng: np.random.Generator, config: CohortConfig) -> list[Lesion]:
    """The lesions of a study: none in a normal one, else a random number of them, one a slot."""
    if rng.random() < config.normal_fraction:
        return []
    count = 1 + int(rng.poisson(max(config.findings_per_study - 1, 0)))
    weights = np.array([entry.weight for entry in LESIONS.values()])
    order = rng.choice(len(weights), len(weights), replace=False, p=weights / weights.sum())
    entries = list(LESIONS.values())
    chosen: list[Lesion] = []
    taken: set[str] = set()
    for position in order:
        entry = entries[int(position)]
        if len(chosen) < count and not (entry.slot and entry.slot in taken):
            chosen.append(entry)
            taken.add(entry.slot)
    return chosen


def uid(*parts: int) -> str:
    """A UID under 2.25, made from numbers (DICOM PS3.5 B.2: the integer form of a 128-bit number)."""
    words = np.random.SeedSequence(parts).generate_state(4, np.uint32)
    return f"2.25.{int.from_bytes(words.tobytes(), 'little')}"


def make_study(config: CohortConfig, index: int, force: tuple[str, ...] | None = None) -> PhantomStudy:
    """Draw, paint and scan one study; the same numbers give the same study in any process and order.

    Args:
        config: the cohort.
        index: number of the study.
        force: draw exactly these findings (and what they imply) in place of random ones.

    Raises:
        ConfigError: the phantom does not draw a forced finding.
    """
    person, plan, scan, paint, noise = (
        np.random.default_rng(s) for s in np.random.SeedSequence([config.seed, index]).spawn(5)
    )
    lesions = draw_findings(plan, config) if force is None else [lesion_named(key) for key in force]
    # Large lesions come last in the registry's order only by chance; a fixed order keeps a forced set reproducible.
    lesions = [entry for entry in LESIONS.values() if entry in lesions]
    body = draw_body(person)
    painters = [entry.draw(paint, body) for entry in lesions]
    geometry, pose = draw_scan(scan, config, body)
    head = Head(geometry, pose, body)
    anatomy.fill(head)
    for painter in painters:
        painter(head)
    mark_effects(head)
    return _finish(config, index, body, geometry, head, {entry.key for entry in lesions}, noise)


def _finish(
    config: CohortConfig,
    index: int,
    body: Body,
    geometry: Geometry,
    head: Head,
    drawn: set[str],
    noise: np.random.Generator,
) -> PhantomStudy:
    masks = _masks(head, drawn | body.claims)
    return PhantomStudy(
        index=index,
        patient=f"PHANTOM-{index:06d}",
        study_uid=uid(config.seed, index, 1),
        series_uid=uid(config.seed, index, 2),
        age_years=body.age_years,
        hu=scanner.acquire(head, config, noise),
        geometry=geometry,
        labels={key: int(key in masks) for key in KEYS},
        masks=masks,
        tissue=scanner.acquired_tissue(head),
        shift_mm=body.shift_mm,
    )


def _masks(head: Head, present: set[str]) -> dict[str, Bool[np.ndarray, "slices rows columns"]]:
    """Masks of the present findings and of all they imply, which take the union.

    What left no voxel, because another lesion or the end of the scan hides it, is not present.
    """
    masks = {key: scanner.acquired_mask(head, key) for key in sorted(present) if key in head.marks}
    masks = {key: mask for key, mask in masks.items() if mask.sum() >= LEAST_VOXELS}
    for key in list(masks):
        for other in implied({key}) - {key}:
            masks[other] = masks[other] | masks[key] if other in masks else masks[key].copy()
    return {key: masks[key] for key in KEYS if key in masks}


def labels_row(study: PhantomStudy) -> dict[str, str | int]:
    """A row of the cohort's table of labels: study and patient as in the DICOM headers, then the 75 findings."""
    return {"study": study.study_uid, "patient": study.patient, **study.labels}

"""One phantom study: planned, painted, scanned, with labels that are true by construction."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int16, UInt8

from molre.errors import ConfigError
from molre.findings import KEYS
from molre.phantom import scanner
from molre.phantom.body import Body, draw_body
from molre.phantom.case import Case, Paint
from molre.phantom.config import CohortConfig
from molre.phantom.geometry import Geometry, draw_geometry
from molre.phantom.head import Head
from molre.phantom.lesions import LESIONS, LOOKALIKES, Lesion, mark_effects
from molre.phantom.normal import fill
from molre.phantom.plan import Plan, Planned, forced_plan, make_plan
from molre.phantom.pose import draw_pose
from molre.phantom.protocol import draw_protocol
from molre.phantom.table import Entry, entries, implied_by, mimics
from molre.phantom.visits import moment_of


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomStudy:
    """A synthetic head CT with everything that is known about it.

    Attributes:
        index: number of the study in its cohort.
        patient: ``PHANTOM-000123``; a patient may have several studies.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID of the soft axial series.
        moment: when the patient was scanned.
        age_years: the person's age.
        sex: F or M.
        hu: acquired slices from feet to head.
        geometry: where the slices lie.
        labels: every one of the 75 findings, 1 present or 0 absent. A phantom holds nothing that was not drawn, so
            a finding that was neither drawn nor follows is truly absent.
        masks: voxels of each present finding.
        tissue: position in ``TISSUES`` of every voxel.
        scan: from which the scanner reconstructs other series.
        shift_mm: displacement of the septum pellucidum, positive to the patient's left.
    """

    index: int
    patient: str
    study_uid: str
    series_uid: str
    moment: datetime.datetime
    age_years: float
    sex: str
    hu: Int16[np.ndarray, "slices rows columns"]
    geometry: Geometry
    labels: dict[str, int]
    masks: dict[str, Bool[np.ndarray, "slices rows columns"]]
    tissue: UInt8[np.ndarray, "slices rows columns"]
    scan: scanner.Scan
    shift_mm: float


LEAST_VOXELS = 3
"""A finding on fewer voxels is nothing that a reader could see."""


def uid(*parts: int) -> str:
    """A UID under 2.25, made from numbers (DICOM PS3.5 B.2: the integer form of a 128-bit number)."""
    words = np.random.SeedSequence(parts).generate_state(4, np.uint32)
    return f"2.25.{int.from_bytes(words.tobytes(), 'little')}"


def make_study(
    config: CohortConfig,
    index: int,
    force: tuple[str, ...] | None = None,
    severity: float = 0.75,
    age_years: float | None = None,
) -> PhantomStudy:
    """Plan, paint and scan one study; the same numbers give the same study in any process and order.

    Args:
        config: the cohort.
        index: number of the study.
        force: show exactly these findings (and what follows from them) in place of what chance would plan.
        severity: of forced findings, 0 barely visible to 1 obvious.
        age_years: of the person where findings are forced; by default a usual age for the first of them.

    Raises:
        ConfigError: a forced finding is not one of the 75.
    """
    for key in force or ():
        if key not in KEYS:
            raise ConfigError(f"unknown finding {key!r}: the keys are listed in molre/findings.csv")
    plan = make_plan(config, index) if force is None else forced_plan(config, index, force, severity, age_years)
    scan = np.random.default_rng([config.seed, index, 8])
    body = draw_body(np.random.default_rng([config.seed, plan.patient, 10]), plan.age_years)
    painters = [*_begun(plan.mimics, LOOKALIKES, mimics(), body), *_begun(plan.findings, LESIONS, entries(), body)]
    protocol = draw_protocol(scan, config)
    geometry = draw_geometry(scan, protocol, config, body)
    head = Head(geometry, draw_pose(scan, body, geometry.tilt_deg), body)
    fill(head)
    for painter in painters:
        painter(head)
    mark_effects(head)
    return _finish(config, index, plan, head, scanner.acquire(head, geometry, protocol, config, (config.seed, index)))


def _begun(
    planned: tuple[Planned, ...], lesions: Mapping[str, Lesion], table: Mapping[str, Entry], body: Body
) -> list[Paint]:
    """Choose places and sizes, and let the body change accordingly."""
    return [
        lesions[one.key].draw(
            Case(rng=np.random.default_rng(one.seed), body=body, entry=table[one.key], severity=one.severity)
        )
        for one in planned
    ]


def _finish(config: CohortConfig, index: int, plan: Plan, head: Head, scan: scanner.Scan) -> PhantomStudy:
    masks = _masks(head, {one.key for one in plan.findings} | head.body.claims)
    return PhantomStudy(
        index=index,
        patient=f"PHANTOM-{plan.patient:06d}",
        study_uid=uid(config.seed, index, 1),
        series_uid=uid(config.seed, index, 2),
        moment=moment_of(config, index, plan),
        age_years=plan.age_years,
        sex=head.body.sex,
        hu=scan.reconstruct(scan.protocol.scanner.soft),
        geometry=scan.geometry,
        scan=scan,
        labels={key: int(key in masks) for key in KEYS},
        masks=masks,
        tissue=scanner.acquired_tissue(head),
        shift_mm=head.body.shift_mm,
    )


def _masks(head: Head, present: set[str]) -> dict[str, Bool[np.ndarray, "slices rows columns"]]:
    """Masks of the present findings and of all they imply, which take the union.

    What left no voxel, because another lesion or the end of the scan hides it, is not present.
    """
    masks = {key: scanner.acquired_mask(head, key) for key in sorted(present) if key in head.marks}
    masks = {key: mask for key, mask in masks.items() if mask.sum() >= LEAST_VOXELS}
    for key in list(masks):
        for other in sorted(implied_by(key) - {key}):
            masks[other] = masks[other] | masks[key] if other in masks else masks[key].copy()
    return {key: masks[key] for key in KEYS if key in masks}


def labels_row(study: PhantomStudy) -> dict[str, str | int]:
    """A row of the cohort's table of labels: study and patient as in the DICOM headers, then the 75 findings."""
    return {"study": study.study_uid, "patient": study.patient, **study.labels}
